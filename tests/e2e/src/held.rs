//! A service whose start is held on a host, so that whatever happens meanwhile happens in the middle of its restart.

use std::time::Duration;

use crate::{machine::Machine, manifest::Shape, wait::until};

/// While this file is there, the service starts but does not listen.
const KNOB: &str = "/etc/debvisor/knobs/hold-start";
const SOON: Duration = Duration::from_secs(60);

/// From now on no start of the service comes to its end on this host.
#[track_caller]
pub fn hold(host: &Machine) {
    host.write(KNOB, "").expect("the knob is set");
}

/// Lets the start go on.
#[track_caller]
pub fn release(host: &Machine) {
    host.exec(&["rm", "--force", KNOB]).ok();
}

/// Whether the host's unit is in its start.
pub fn is_starting(host: &Machine) -> Result<(), String> {
    match host.property(Shape::Unit.unit(), "ActiveState").as_str() {
        "activating" => Ok(()),
        state => Err(state.to_owned()),
    }
}

/// Waits until a host on which the start is held is in the middle of its restart; there it stays.
#[track_caller]
pub fn in_the_middle_of_its_restart(host: &Machine) {
    let what = format!("{} to be in the middle of its restart", host.name);
    until(SOON, &what, || is_starting(host));
}
