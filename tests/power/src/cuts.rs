//! Power cuts at random instants.

use std::{path::Path, thread, time::Duration};

use crate::{
    acks::{Writer, verify},
    chance::Chance,
    disk::Cut,
    rig::Rig,
    workload::Kind,
};

/// Cuts of one disk, before a new one is taken.
const EACH: u64 = 6;
/// Where the second writer of a disk counts from.
const LATER: u64 = 1_000_000;
/// The longest time between two cuts, in milliseconds.
const PAUSE: u64 = 150;

/// What cuts have shown.
#[derive(Debug, Default)]
pub struct Shown {
    /// Cuts that were looked at.
    pub cuts: u64,
    /// Writes that were acknowledged before a cut, each counted once for each cut.
    pub acknowledged: u64,
    /// What was missing after which cut, in words.
    pub lost: Vec<String>,
}

/// Cuts the power `count` times while `kind` writes, or until something is lost, if that `ends` it.
pub fn cuts(power: &Path, kind: Kind, count: u64, seed: u64, ends: bool) -> Result<Shown, String> {
    let mut chance = Chance::new(seed);
    let mut shown = Shown::default();
    while shown.cuts < count && (!ends || shown.lost.is_empty()) {
        let rig = Rig::new()?;
        let directory = rig.mounted.join("state");
        std::fs::create_dir(&directory).map_err(|why| why.to_string())?;
        let mut writer = Writer::start(power, kind, &directory, 0)?;
        let mut before = Vec::new();
        for look in 0..EACH.min(count - shown.cuts) {
            if look == EACH / 2 {
                // Another one takes up what there is, and is cut in the middle of that.
                before = writer.kill()?;
                writer = Writer::start(power, kind, &directory, LATER)?;
            }
            thread::sleep(Duration::from_millis(chance.below(PAUSE)));
            // What was told before the cut must be there after it.
            let told = writer.acknowledged();
            let cut = Cut::any(&mut chance);
            let image = rig.disk.cut(cut, &mut chance);
            // What was about to go meanwhile may have gone.
            let since = writer.acknowledged().split_off(told.len());
            let going = since.into_iter().filter(|line| line.ends_with(" goes ."));
            let acknowledged: Vec<_> = before.iter().cloned().chain(told).chain(going).collect();
            if !writer.writes() {
                return Err("the writer has ended; its words are above".to_owned());
            }
            shown.cuts += 1;
            shown.acknowledged += acknowledged.len() as u64;
            let lost = rig.look(&image, |at| {
                if acknowledged.is_empty() && !at.join("state").exists() {
                    return Ok(None);
                }
                verify(power, kind, &at.join("state"), &acknowledged)
            })?;
            if let Some(lost) = lost {
                shown.lost.push(format!("cut {} of seed {seed} ({cut:?}): {lost}", shown.cuts));
                if ends {
                    break;
                }
            }
        }
        drop(writer.kill()?);
    }
    Ok(shown)
}
