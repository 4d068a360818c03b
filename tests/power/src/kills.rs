//! `kill -9` at random instants.

use std::{path::Path, thread, time::Duration};

use crate::{
    acks::{Writer, verify},
    chance::Chance,
    cuts::Shown,
    workload::Kind,
};

/// The longest life of a writer, in milliseconds.
const LIFE: u64 = 400;

/// Kills a writer `count` times in one directory.
pub fn kills(power: &Path, kind: Kind, count: u64, seed: u64) -> Result<Shown, String> {
    let directory = tempfile::tempdir().map_err(|why| why.to_string())?;
    let mut chance = Chance::new(seed);
    let mut shown = Shown::default();
    let mut acknowledged = Vec::new();
    let told = match kind {
        Kind::Restore => 2,
        Kind::Store | Kind::Shipped => 40,
    };
    for kill in 1..=count {
        let mut writer = Writer::start(power, kind, directory.path(), kill * 1_000_000)?;
        if kill.is_multiple_of(2) {
            // Past what it does when it starts; the others are killed in the middle of that, or soon after.
            wait_for(&mut writer, told)?;
        }
        thread::sleep(Duration::from_millis(chance.below(LIFE)));
        acknowledged.extend(writer.kill()?);
        shown.cuts += 1;
        if let Some(lost) = verify(power, kind, directory.path(), &acknowledged)? {
            shown.lost.push(format!("kill {kill} of seed {seed}: {lost}"));
        }
    }
    shown.acknowledged = acknowledged.len() as u64;
    Ok(shown)
}

/// Waits until a writer has told so much.
fn wait_for(writer: &mut Writer, lines: usize) -> Result<(), String> {
    while writer.acknowledged().len() < lines {
        if !writer.writes() {
            return Err("the writer has ended; its words are above".to_owned());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
