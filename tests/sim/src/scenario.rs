//! What a seed means: the fleet, the versions, the manifest, and which troubles there are.

mod manifest;

use dv_types::{HostName, MigrationKind, Version};
use serde_json::Value;

use crate::chance::Chance;

pub(crate) const SERVICE: &str = "app";
pub(crate) const UNIT: &str = "app.service";
pub(crate) const REPOSITORY: &str = "registry:5000/app";
/// Every host's policy.
pub(crate) const POLICY: &str = "\
units: [app.service]
images: [\"registry:5000/app\"]
commands: [[/bin/db, \"**\"], [/bin/backup, \"**\"], [/bin/hook, \"**\"], [/bin/smoke, \"**\"]]
";

/// How a version is on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quality {
    Good,
    /// It starts, and its probes are never good.
    Bad,
    /// It does not even start.
    Crashes,
    /// It is well for so many milliseconds, and bad from then on.
    Sours(u64),
}

/// A version that can be brought out.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) name: Version,
    pub(crate) migrations: Vec<MigrationKind>,
    quality: Quality,
    /// Hosts on which it is bad although it is good elsewhere.
    unlucky: Vec<HostName>,
}

/// How often what goes wrong, of 1000.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Troubles {
    pub(crate) store_dies: u64,
    pub(crate) store_fails: u64,
    /// Faults come this often, in milliseconds on average; 0 for never.
    pub(crate) pace: u64,
    /// Operators say something this often, in milliseconds on average.
    pub(crate) meddling: u64,
}

/// What a seed means.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) hosts: Vec<HostName>,
    pub(crate) versions: Vec<Release>,
    pub(crate) manifest: Value,
    pub(crate) troubles: Troubles,
    /// How long there are faults, in seconds.
    pub(crate) length: u64,
    /// A host whose disk goes on in a second machine, too.
    pub(crate) copied: Option<Copied>,
    /// A host that says what is not so.
    pub(crate) liar: Option<HostName>,
}

/// A machine that is copied.
#[derive(Debug, Clone)]
pub(crate) struct Copied {
    pub(crate) host: HostName,
    /// When, in milliseconds.
    pub(crate) at: u64,
    /// How long the copy is there, in milliseconds; nothing if it stays.
    pub(crate) stays: Option<u64>,
}

impl Scenario {
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed, "scenario");
        let count = if chance.coin() { chance.between(3, 5) } else { chance.between(3, 12) };
        let hosts: Vec<_> =
            (1..=count).map(|n| HostName::new(format!("h{n:02}")).expect("it is a name")).collect();
        let migrates = chance.hit(350);
        let versions = (1..=4).map(|n| release(&mut chance, n, &hosts, migrates)).collect();
        let manifest = manifest::of(&mut chance, &hosts, migrates);
        // A third of all worlds is quiet but for one kind of trouble, so that rollouts get far.
        let calm = chance.hit(330);
        let troubles = Troubles {
            store_dies: if chance.hit(400) { chance.between(2, 15) } else { 0 },
            store_fails: if chance.hit(200) { chance.between(2, 20) } else { 0 },
            pace: if calm { 0 } else { chance.between(2_000, 30_000) },
            meddling: chance.between(5_000, 60_000),
        };
        let length = chance.between(60, 420);
        let (copied, liar) = (copied(seed, &hosts, length), liar(seed, &hosts));
        Self { hosts, versions, manifest, troubles, length, copied, liar }
    }

    /// What runs everywhere before anything is brought out.
    pub(crate) fn first_version(&self) -> &Version {
        &self.versions[0].name
    }

    pub(crate) fn quality(&self, version: &Version, host: &HostName) -> Quality {
        match self.versions.iter().find(|known| known.name == *version) {
            Some(known) if known.unlucky.contains(host) => Quality::Bad,
            Some(known) => known.quality,
            None => Quality::Crashes,
        }
    }
}

fn copied(seed: u64, hosts: &[HostName], length: u64) -> Option<Copied> {
    let mut chance = Chance::of(seed, "copies");
    chance.hit(120).then(|| Copied {
        host: chance.pick(hosts).clone(),
        at: chance.between(0, length * 1000),
        stays: chance.coin().then(|| chance.between(1_000, 300_000)),
    })
}

fn liar(seed: u64, hosts: &[HostName]) -> Option<HostName> {
    let mut chance = Chance::of(seed, "liars");
    chance.hit(120).then(|| chance.pick(hosts).clone())
}

fn release(chance: &mut Chance, n: u32, hosts: &[HostName], migrates: bool) -> Release {
    use MigrationKind::{Expand, Irreversible, Reversible};
    let name = Version::new(format!("v{n}")).expect("it is a version");
    let quality = match chance.between(0, 9) {
        _ if n == 1 => Quality::Good,
        0 => Quality::Bad,
        1 => Quality::Crashes,
        2 => Quality::Sours(chance.between(2_000, 120_000)),
        _ => Quality::Good,
    };
    let unlucky = hosts.iter().filter(|_| n > 1 && chance.hit(60)).cloned().collect();
    let count = if migrates && n > 1 { chance.between(0, 2) } else { 0 };
    let kinds = [Expand, Expand, Reversible, Irreversible];
    let migrations = (0..count).map(|_| *chance.pick(&kinds)).collect();
    Release { name, migrations, quality, unlucky }
}
