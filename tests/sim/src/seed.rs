//! One seed, from the beginning to its end.

use std::{
    cell::{Cell, RefCell},
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use dv_coordinator::{
    identity::Authority,
    store::{Held, HostRecord, Journal, MemoryStore},
};
use dv_types::{Labels, Timestamp};
use tokio::runtime::Builder;

use crate::{
    Reach, Violation,
    coordinator::Machine,
    faults,
    host::{self, agent},
    operators::Operator,
    scenario::Scenario,
    world::{EPOCH, World},
};

/// By then, of simulated time, everything has ended once the faults have stopped.
const END_BY: Duration = Duration::from_secs(4 * 3600);

thread_local! {
    /// The first panic in this thread.
    static PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

/// From now on, no panic goes unheard.
fn hear_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let first = PANIC.take().unwrap_or_else(|| panic.to_string());
        PANIC.set(Some(first));
    }));
}

/// What became of a seed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
    /// How far it came.
    pub reach: Reach,
    /// What happened, if anybody wanted to read it.
    pub story: Vec<String>,
}

/// What all seeds share.
#[derive(Clone)]
pub struct Simulator {
    authority: Arc<Authority>,
}

impl Simulator {
    /// Makes what takes time to make.
    ///
    /// # Panics
    ///
    /// If no key can be made.
    #[must_use]
    pub fn new() -> Self {
        hear_panics();
        let authority = Authority::passing(now()).expect("a CA can be made");
        Self { authority: Arc::new(authority) }
    }

    /// Plays a seed; `telling` what happens takes time and memory.
    ///
    /// # Panics
    ///
    /// If the runtime can't be built.
    #[must_use]
    pub fn play(&self, seed: u64, telling: bool) -> Outcome {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        PANIC.take();
        let seen = RefCell::new(Weak::new());
        // With the runtime every task of it ends.
        let play =
            || runtime.expect("a runtime can be built").block_on(self.run(seed, telling, &seen));
        let played = std::panic::catch_unwind(AssertUnwindSafe(play));
        let mut outcome = played.unwrap_or_default();
        let holders = seen.borrow().strong_count();
        if holders > 0 && outcome.violation.is_none() {
            let what = format!("{holders} that ended with the world still hold it");
            outcome.violation = Some(Violation { invariant: "nothing-left", what });
        }
        // Also of a task, whose panic nobody else would hear of.
        if let Some(what) = PANIC.take() {
            outcome.violation = Some(Violation { invariant: "panic", what });
        }
        outcome
    }

    async fn run(&self, seed: u64, telling: bool, seen: &RefCell<Weak<World>>) -> Outcome {
        let scenario = Scenario::of(seed);
        let length = Duration::from_secs(scenario.length);
        let world = Arc::new(World::new(seed, scenario, telling));
        *seen.borrow_mut() = Arc::downgrade(&world);
        world.tell(|| format!("world       seed {seed}: {:?}", world.scenario));
        let kept = MemoryStore::default();
        enrol(&world, &kept).await;
        let authority = Arc::clone(&self.authority);
        let machine = Arc::new(Machine::new(Arc::clone(&world), kept, authority));
        tokio::spawn(Arc::clone(&machine).live());
        for host in world.hosts.values() {
            tokio::spawn(agent::live(Arc::clone(&world), Arc::clone(host)));
        }
        let operator = |part: &str| Operator {
            world: Arc::clone(&world),
            machine: Arc::clone(&machine),
            chance: world.chance(part),
        };
        let play = async {
            tokio::spawn(host::copy::happen(Arc::clone(&world)));
            let trouble = async {
                let (world, machine) = (Arc::clone(&world), Arc::clone(&machine));
                tokio::join!(operator("operator").meddle(), faults::happen(world, machine))
            };
            let _ = tokio::time::timeout(length, trouble).await;
            faults::heal(&world, &machine);
            tokio::time::sleep(faults::AFTERMATH).await;
            faults::heal(&world, &machine);
            operator("the last operator").put_in_order(END_BY).await;
            // What is still to be acknowledged is, at the next connection at the latest.
            world.machines().iter().for_each(|host| host.path.reset());
            tokio::time::sleep(Duration::from_secs(120)).await;
            world.check(|watch| watch.at_rest(&world));
        };
        tokio::select! {
            biased;
            () = world.over.cancelled() => {}
            () = play => {}
        }
        machine.clear();
        let reach = world.watch().reach();
        Outcome { violation: world.violation(), reach, story: world.take_story() }
    }
}

impl Default for Simulator {
    fn default() -> Self {
        Self::new()
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(EPOCH).expect("it is a time")
}

/// Every host is known before anything happens.
async fn enrol(world: &World, kept: &MemoryStore) {
    let journal = Journal::open(Arc::new(kept.clone()), now()).await.expect("the store is new");
    for name in world.hosts.keys() {
        let record = HostRecord {
            name: name.clone(),
            labels: Labels::from([("role".to_owned(), "app".to_owned())]),
            enrolled: now(),
            certificates: vec![Held::of_serial(&crate::serial(name))],
            revoked: None,
        };
        journal.save_host(&record).await.expect("the store is new");
    }
}
