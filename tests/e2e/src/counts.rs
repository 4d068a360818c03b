//! How often something was started on a host, by the host's own records: systemd's journal, the engine's events.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::{bed::Bed, machine::Machine, manifest::Shape};

/// The id of systemd's message "Started UNIT".
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";

/// A moment from which on starts are counted.
#[derive(Debug, Clone)]
pub struct Mark {
    /// A cursor into each host's journal.
    cursors: Vec<(String, String)>,
    at: Timestamp,
}

impl Mark {
    /// Now, on every host of the bed.
    #[must_use]
    pub fn now(bed: &Bed) -> Self {
        let cursors = bed.hosts.iter().map(|host| (host.name.clone(), cursor(host))).collect();
        Self { cursors, at: Timestamp::now() }
    }

    /// How often the service of this shape was started on a host since then.
    #[must_use]
    pub fn starts(&self, host: &Machine, shape: Shape) -> usize {
        match shape {
            Shape::Unit | Shape::Git => self.unit_starts(host, shape.unit()),
            Shape::Image => self.container_starts(host),
        }
    }

    /// How often a unit was started on a host since then.
    #[must_use]
    pub fn unit_starts(&self, host: &Machine, unit: &str) -> usize {
        self.started(host, unit).len()
    }

    /// When a unit was first started on a host since then, since 1970.
    #[must_use]
    pub fn first_start(&self, host: &Machine, unit: &str) -> Option<Duration> {
        self.started(host, unit).first().copied()
    }

    fn started(&self, host: &Machine, unit: &str) -> Vec<Duration> {
        let cursor = &self.cursors.iter().find(|(name, _)| *name == host.name).expect("a host").1;
        // The filter is ours: journalctl, given one, leaves out an entry after the cursor.
        let ran = host.exec(&[
            "journalctl",
            "--output=json",
            "--output-fields=MESSAGE_ID,UNIT",
            &format!("--after-cursor={cursor}"),
        ]);
        let started = |line: &str| {
            let entry: Value = serde_json::from_str(line).expect("the journal is JSON");
            let at = entry["__REALTIME_TIMESTAMP"].as_str().and_then(|text| text.parse().ok());
            let at = Duration::from_micros(at.expect("an entry has its time, in microseconds"));
            (entry["MESSAGE_ID"] == STARTED && entry["UNIT"] == unit).then_some(at)
        };
        ran.ok().lines().filter_map(started).collect()
    }

    /// How often a container of the compose project was started on a host since then.
    fn container_starts(&self, host: &Machine) -> usize {
        let seconds = |at: Timestamp| format!("{}.{:09}", at.as_second(), at.subsec_nanosecond());
        let ran = host.exec(&[
            "docker",
            "events",
            "--since",
            &seconds(self.at),
            "--until",
            &seconds(Timestamp::now()),
            "--filter=type=container",
            "--filter=event=start",
            "--filter=label=com.docker.compose.project=debvisor",
            "--format={{.TimeNano}}",
        ]);
        ran.ok().lines().count()
    }
}

fn cursor(host: &Machine) -> String {
    let ran = host.exec(&["journalctl", "--lines=1", "--output=json", "--output-fields=MESSAGE"]);
    let text = ran.ok();
    let entry: Value = serde_json::from_str(text.trim()).expect("the journal is JSON");
    entry["__CURSOR"].as_str().expect("an entry has a cursor").to_owned()
}

/// How often `bed-work NAME` was begun on a host, ever.
#[must_use]
pub fn works(host: &Machine, name: &str) -> usize {
    let ran = host.exec(&["cat", &format!("/var/lib/bed/work/{name}")]);
    if ran.code == Some(0) { ran.stdout.lines().count() } else { 0 }
}
