//! `kill -9`, two hundred times: whatever was acknowledged is there.

use std::path::Path;

use dv_power::{kills::kills, workload::Kind};

fn fifty(seed: u64) {
    let shown = kills(Path::new(env!("CARGO_BIN_EXE_power")), Kind::Store, 50, seed).unwrap();
    println!("{shown:?}");
    assert_eq!(shown.lost, [""; 0]);
    assert_eq!(shown.cuts, 50);
    // Nobody is killed before anything was acknowledged, and calls that a proof.
    assert!(shown.acknowledged > 500, "{shown:?}");
}

#[test]
fn the_first_fifty() {
    fifty(1);
}

#[test]
fn the_second_fifty() {
    fifty(2);
}

#[test]
fn the_third_fifty() {
    fifty(3);
}

#[test]
fn the_fourth_fifty() {
    fifty(4);
}

#[test]
fn in_the_middle_of_restores() {
    let shown = kills(Path::new(env!("CARGO_BIN_EXE_power")), Kind::Restore, 30, 1).unwrap();
    println!("{shown:?}");
    assert_eq!(shown.lost, [""; 0]);
    assert!(shown.acknowledged >= 30, "{shown:?}");
}
