//! The stub of a forge (tests/forge) on the coordinator's machine, and what it says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{bed::Bed, machine::Machine, wait::until};

const SOON: Duration = Duration::from_secs(30);
const UNIT: &str = "bed-forge";
/// Where it listens: a token may go to this machine in clear.
const LISTEN: &str = "127.0.0.1:8099";
const STATE: &str = "/var/lib/bed/forge.json";

/// The merge that brought what was reviewed, and one that nobody saw.
pub const REVIEWED: &str = "2222222222222222222222222222222222222222";
/// Pushed to the branch by hand.
pub const UNSEEN: &str = "5555555555555555555555555555555555555555";

/// A forge that answers.
#[derive(Debug)]
pub struct Forge<'b> {
    machine: &'b Machine,
    state: Value,
}

impl<'b> Forge<'b> {
    /// Begins, with `version` a tag of the reviewed commit, whose checks `unit` and `e2e` succeeded.
    #[must_use]
    #[track_caller]
    pub fn begin(bed: &'b Bed, version: &str) -> Self {
        let example = include_str!("../../forge/example.json");
        let state = serde_json::from_str(example).expect("the example is JSON");
        let mut forge = Self { machine: &bed.coordinator, state };
        forge.stop();
        forge.says(|state| {
            state["branches"][version] = json!(REVIEWED);
            // What nobody saw is on the branch all the same.
            state["commits"][1]["parents"][0] = json!(UNSEEN);
        });
        forge.start();
        forge
    }

    /// From now on it says something else.
    #[track_caller]
    pub fn says(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.state);
        let text = self.state.to_string();
        self.machine.write(&format!("{STATE}.new"), &text).expect("the state is written");
        self.machine.exec(&["mv", &format!("{STATE}.new"), STATE]).ok();
    }

    /// It answers nobody any more.
    pub fn stop(&self) {
        self.machine.exec(&["systemctl", "stop", UNIT]);
    }

    /// It answers again.
    #[track_caller]
    pub fn start(&self) {
        let unit = format!("--unit={UNIT}");
        let stub = ["/usr/share/forge/forge-stub", "--state", STATE, "--listen", LISTEN];
        let run = ["systemd-run", "--quiet", "--collect", &unit];
        self.machine.exec(&[&run[..], &stub[..]].concat()).ok();
        let ask = format!("http://{LISTEN}/");
        until(SOON, "the forge to answer", || {
            self.machine.exec(&["curl", "--silent", "--output", "/dev/null", &ask]).result()
        });
    }
}
