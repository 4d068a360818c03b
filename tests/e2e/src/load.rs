//! Visitors who ask the service's pages on all hosts, steadily.

use crate::{bed::Bed, machine::Machine, manifest::Shape};

const UNIT: &str = "bed-load";

/// They come until this is dropped.
#[derive(Debug)]
pub struct Load<'b> {
    machine: &'b Machine,
}

impl<'b> Load<'b> {
    /// So many questions a second to each host.
    #[must_use]
    #[track_caller]
    pub fn start(bed: &'b Bed, rate: u32) -> Self {
        let load = Self { machine: &bed.infra };
        load.stop();
        let mut run: Vec<String> =
            ["systemd-run", "--quiet", "--collect"].map(str::to_owned).into();
        run.push(format!("--unit={UNIT}"));
        run.extend(["/usr/share/debvisor/bin/debvisor-load", "--rate"].map(str::to_owned));
        run.push(rate.to_string());
        let port = Shape::Unit.port();
        run.extend(bed.hosts.iter().map(|host| format!("http://{}.bed:{port}", host.name)));
        load.machine.exec(&run).ok();
        load
    }

    fn stop(&self) {
        // There may be none.
        self.machine.exec(&["systemctl", "stop", UNIT]);
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}
