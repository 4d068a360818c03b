//! Places where the service and its commands wait on a host, so that whatever happens meanwhile happens in the middle
//! of what they do.

use std::time::Duration;

use crate::{machine::Machine, manifest::Shape, wait::until};

/// Files here change how the service behaves on the host (tests/service/README.md).
const KNOBS: &str = "/etc/debvisor/knobs";
/// While this file is there, the service starts but does not listen.
const START: &str = "hold-start";
const SOON: Duration = Duration::from_secs(60);

/// Turns a knob.
#[track_caller]
pub fn turn(host: &Machine, knob: &str, content: &str) {
    host.write(&format!("{KNOBS}/{knob}"), content).expect("the knob is set");
}

/// Takes a knob away, with the mark of what waited for it. What waits goes on.
#[track_caller]
pub fn let_go(host: &Machine, knob: &str) {
    // The mark first: the next one to wait is another.
    let files = [format!("{KNOBS}/{knob}-reached"), format!("{KNOBS}/{knob}")];
    host.exec(&["rm", "--force", &files[0], &files[1]]).ok();
}

/// Waits until something waits at a knob.
#[track_caller]
pub fn reached(host: &Machine, knob: &str) {
    let mark = format!("{KNOBS}/{knob}-reached");
    until(SOON, &format!("{} to reach {knob}", host.name), || {
        host.exec(&["test", "-e", &mark]).result()
    });
}

/// What has reached a knob is dead: the next one to come is another.
#[track_caller]
pub fn forget(host: &Machine, knob: &str) {
    host.exec(&["rm", "--force", &format!("{KNOBS}/{knob}-reached")]).ok();
}

/// From now on no start of the service comes to its end on this host.
#[track_caller]
pub fn hold(host: &Machine) {
    turn(host, START, "");
}

/// Lets the start go on.
#[track_caller]
pub fn release(host: &Machine) {
    let_go(host, START);
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
