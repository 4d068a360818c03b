//! What the parts of a simulation share: the time, the story, the hosts, the network, and what is checked.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dv_types::{HostName, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    chance::Chance, database::Database, host::Host, invariants::Watch, network::Network,
    scenario::Scenario,
};

/// What was found against an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
}

/// One simulated world.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) scenario: Scenario,
    pub(crate) hosts: BTreeMap<HostName, Arc<Host>>,
    /// Machines that are copies of one of the hosts.
    copies: Mutex<Vec<Arc<Host>>>,
    pub(crate) network: Network,
    pub(crate) database: Mutex<Database>,
    watch: Mutex<Watch>,
    story: Mutex<Option<Vec<String>>>,
    violation: Mutex<Option<Violation>>,
    /// Cancelled when an invariant does not hold.
    pub(crate) over: CancellationToken,
    /// Faults happen no more.
    healed: Mutex<bool>,
    began: Instant,
    /// How often a store was read or written to.
    asked: AtomicU64,
}

/// Whoever asks the store for more than this goes round in circles: a long world asks it some thousand times.
const CIRCLES: u64 = 300_000;

/// When the simulation begins, by a clock that is right.
pub(crate) const EPOCH: i64 = 1_800_000_000;

impl World {
    pub(crate) fn new(seed: u64, scenario: Scenario, telling: bool) -> Self {
        let hosts = scenario.hosts.iter().map(|name| {
            let host = Host::new(seed, name.clone(), &scenario);
            (name.clone(), Arc::new(host))
        });
        Self {
            seed,
            hosts: hosts.collect(),
            copies: Mutex::default(),
            network: Network::default(),
            database: Mutex::new(Database::new(&scenario)),
            watch: Mutex::new(Watch::new(&scenario)),
            story: Mutex::new(telling.then(Vec::new)),
            violation: Mutex::default(),
            over: CancellationToken::new(),
            healed: Mutex::new(false),
            began: Instant::now(),
            asked: AtomicU64::new(0),
            scenario,
        }
    }

    /// Every machine: the hosts, and copies of them.
    pub(crate) fn machines(&self) -> Vec<Arc<Host>> {
        self.hosts.values().chain(self.copies.lock().unwrap().iter()).cloned().collect()
    }

    pub(crate) fn add_copy(&self, copy: Arc<Host>) {
        self.copies.lock().unwrap().push(copy);
    }

    pub(crate) fn remove_copy(&self, copy: &Host) {
        self.copies.lock().unwrap().retain(|other| other.machine != copy.machine);
    }

    /// Whether a host is one machine that says what is so.
    pub(crate) fn is_plain(&self, host: &HostName) -> bool {
        let copied = self.scenario.copied.as_ref().is_some_and(|copied| copied.host == *host);
        !copied && self.scenario.liar.as_ref() != Some(host)
    }

    pub(crate) fn chance(&self, part: &str) -> Chance {
        Chance::of(self.seed, part)
    }

    /// Somebody reads the store, or writes to it.
    pub(crate) fn store_is_asked(&self) {
        if self.asked.fetch_add(1, Ordering::Relaxed) == CIRCLES {
            let what = format!("the store was asked {CIRCLES} times, and there is no end to it");
            self.violated(Violation { invariant: "liveness", what });
        }
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The right time, and `skew` seconds.
    pub(crate) fn time(&self, skew: i64) -> Timestamp {
        let millis = self.elapsed().as_millis() as i64 + (EPOCH + skew) * 1000;
        Timestamp::from_millisecond(millis).expect("a simulation is short")
    }

    /// A line of the story, if anybody wants to read it.
    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        if let Some(story) = self.story.lock().unwrap().as_mut() {
            story.push(format!("{:>10.3}  {}", self.elapsed().as_secs_f64(), line()));
        }
    }

    /// What is checked. It says through [`World::violated`] what does not hold.
    pub(crate) fn check(&self, look: impl FnOnce(&mut Watch) -> Result<(), Violation>) {
        let found = look(&mut self.watch());
        if let Err(violation) = found {
            self.violated(violation);
        }
    }

    pub(crate) fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap()
    }

    /// The first one counts.
    pub(crate) fn violated(&self, violation: Violation) {
        self.tell(|| format!("VIOLATED    {}: {}", violation.invariant, violation.what));
        self.violation.lock().unwrap().get_or_insert(violation);
        self.over.cancel();
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation.lock().unwrap().clone()
    }

    pub(crate) fn heal(&self) {
        *self.healed.lock().unwrap() = true;
    }

    pub(crate) fn is_healed(&self) -> bool {
        *self.healed.lock().unwrap()
    }

    pub(crate) fn take_story(&self) -> Vec<String> {
        self.story.lock().unwrap().take().unwrap_or_default()
    }
}
