//! Power cuts: whatever was acknowledged is there. They need root, and `cargo ci` runs them as a stage of its own.

use std::path::Path;

use dv_power::{cuts::cuts, machine, workload::Kind};

const POWER: &str = env!("CARGO_BIN_EXE_power");

#[test]
fn a_hundred_cuts_take_nothing_from_the_store() {
    machine::prepare().unwrap();
    let shown = cuts(Path::new(POWER), Kind::Store, 100, 1, false).unwrap();
    println!("{shown:?}");
    assert_eq!(shown.lost, [""; 0]);
    assert_eq!(shown.cuts, 100);
    assert!(shown.acknowledged > 1_000, "{shown:?}");
}

#[test]
fn sixty_cuts_in_the_middle_of_restores_leave_one_that_can_be_run_again() {
    machine::prepare().unwrap();
    let shown = cuts(Path::new(POWER), Kind::Restore, 60, 1, false).unwrap();
    println!("{shown:?}");
    assert_eq!(shown.lost, [""; 0]);
    assert_eq!(shown.cuts, 60);
    assert!(shown.acknowledged > 60, "{shown:?}");
}

/// Without the cure, the same cuts lose something: so they would be seen to.
#[test]
fn the_same_cuts_take_something_from_sled_as_it_is_shipped() {
    machine::prepare().unwrap();
    let shown = cuts(Path::new(POWER), Kind::Shipped, 100, 1, true).unwrap();
    println!("{shown:?}");
    assert_eq!(shown.lost.len(), 1, "{shown:?}");
}
