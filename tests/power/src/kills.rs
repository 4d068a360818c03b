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
    for kill in 1..=count {
        let writer = Writer::start(power, kind, directory.path(), kill * 1_000_000)?;
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
