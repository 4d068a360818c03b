//! A simulated host: what the agent on it finds through its ports.

pub(crate) mod agent;
mod clocks;
pub(crate) mod copy;
mod disk;
pub(crate) mod images;
mod probes;
mod programs;
mod units;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use dv_agent::{policy::Policy, ports::Ports};
use dv_types::{HostName, Version};
use tokio_util::sync::CancellationToken;

use crate::{
    chance::Chance,
    network::{Dialler, Path},
    scenario::{Quality, Scenario},
    world::World,
};
pub(crate) use disk::SimDisk;
use images::Store;
use units::Unit;

/// What a host has.
pub(crate) struct Host {
    pub(crate) name: HostName,
    /// Which machine it is, of those that call themselves so.
    pub(crate) machine: String,
    pub(crate) disk: SimDisk,
    /// Its way to the coordinator.
    pub(crate) path: Path,
    state: Mutex<State>,
    chance: Mutex<Chance>,
}

/// How it is now.
pub(crate) struct State {
    /// Cancelled when the agent is killed.
    pub(crate) life: CancellationToken,
    /// Counts up with each start of the machine.
    pub(crate) boot: u32,
    /// Since the beginning of the world, in milliseconds.
    booted: u64,
    pub(crate) powered: bool,
    /// So many seconds its clock is wrong.
    pub(crate) skew: i64,
    /// Of 1000 programs, pulls and jobs, so many fail.
    pub(crate) flaky: u64,
    /// Of 1000, so many hang.
    pub(crate) hangs: u64,
    /// When a fault came over it last, in milliseconds since the beginning.
    touched: Option<u64>,
    pub(crate) unit: Unit,
    images: Store,
}

impl Host {
    pub(crate) fn new(seed: u64, name: HostName, scenario: &Scenario) -> Self {
        let mut chance = Chance::of(seed, name.as_str());
        let disk = SimDisk::new(Chance::of(seed, &format!("disk of {name}")));
        let state = State {
            life: CancellationToken::new(),
            boot: 1,
            booted: 0,
            powered: true,
            skew: if chance.hit(100) { chance.between(0, 7200) as i64 - 3600 } else { 0 },
            flaky: 0,
            hangs: 0,
            touched: None,
            unit: Unit::running(scenario.first_version().clone()),
            images: Store::with(scenario.first_version()),
        };
        let (path, machine) = (Path::default(), name.to_string());
        Self { name, machine, disk, path, state: Mutex::new(state), chance: Mutex::new(chance) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn chance(&self) -> MutexGuard<'_, Chance> {
        self.chance.lock().unwrap()
    }

    /// The version that its service runs, if it runs.
    pub(crate) fn runs(&self) -> Option<Version> {
        self.state().unit.runs()
    }

    /// A fault comes over it.
    pub(crate) fn touch(&self, world: &World) {
        self.state().touched = Some(world.elapsed().as_millis() as u64);
    }

    /// Whether a fault is over it, or was `lately`, or its version has turned bad then.
    pub(crate) fn was_touched(&self, world: &World, lately: Duration) -> bool {
        let (now, lately) = (world.elapsed().as_millis() as u64, lately.as_millis() as u64);
        let state = self.state();
        let turned = state.unit.runs_since().is_some_and(|(version, since)| {
            match world.scenario.quality(&version, &self.name) {
                Quality::Sours(after) => (since + after..since + after + lately).contains(&now),
                _ => false,
            }
        });
        let touched = state.touched.is_some_and(|touched| now < touched + lately);
        turned || touched || state.flaky > 0 || state.hangs > 0
    }

    /// Whether its service is well.
    pub(crate) fn is_well(&self, world: &World) -> bool {
        let state = self.state();
        let Some((version, since)) = state.unit.runs_since() else { return false };
        let age = (world.elapsed().as_millis() as u64).saturating_sub(since);
        match world.scenario.quality(&version, &self.name) {
            Quality::Good => true,
            Quality::Bad | Quality::Crashes => false,
            Quality::Sours(after) => age < after,
        }
    }

    /// The agent's outside on this host.
    fn ports(self: &Arc<Self>, world: &Arc<World>, policy: Policy) -> Ports {
        let place = Place { world: Arc::clone(world), host: Arc::clone(self) };
        let (units, images) = (place.clone(), place.clone());
        Ports {
            units: Arc::new(move || Arc::new(units.clone())),
            images: Arc::new(move || Ok(Arc::new(images.clone()))),
            programs: Arc::new(place.clone()),
            probes: Arc::new(place.clone()),
            disk: Arc::new(self.disk.clone()),
            outside: Arc::new(place),
            policy: Arc::new(move || Ok(policy.clone())),
            dial: Arc::new(Dialler { world: Arc::clone(world), host: Arc::clone(self) }),
        }
    }
}

/// A host in its world: what the ports are made of.
#[derive(Clone)]
struct Place {
    world: Arc<World>,
    host: Arc<Host>,
}

/// How something goes that may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Luck {
    Good,
    Fails,
    Hangs,
}

impl Place {
    fn luck(&self) -> Luck {
        let (flaky, hangs) = {
            let state = self.host.state();
            (state.flaky, state.hangs)
        };
        let mut chance = self.host.chance();
        match (chance.hit(hangs), chance.hit(flaky)) {
            (true, _) => Luck::Hangs,
            (_, true) => Luck::Fails,
            _ => Luck::Good,
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        self.world.tell(|| format!("host        {}: {}", self.host.machine, what()));
    }
}
