//! The coordinator's process: started again whenever it has died, as systemd does; or stopped in the middle while
//! another begins.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dv_coordinator::{
    api::ControlApi, config::Config, identity::Authority, reign::Reign, store::MemoryStore,
};
use dv_types::Span;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::CoordinatorClock,
    gate::{Gate, until},
    network::Server,
    store::SimStore,
    world::World,
};

/// The machine that the coordinator runs on.
pub(crate) struct Machine {
    world: Arc<World>,
    kept: MemoryStore,
    pub(crate) authority: Arc<Authority>,
    pub(crate) skew: Arc<Mutex<i64>>,
    /// Whom operators reach.
    control: Mutex<Option<Arc<ControlApi>>>,
    life: Mutex<CancellationToken>,
    stop: Notify,
}

/// A coordinator that serves.
struct Office {
    number: u32,
    reign: Reign,
    awake: Arc<Gate>,
    gone: CancellationToken,
}

impl Machine {
    pub(crate) fn new(world: Arc<World>, kept: MemoryStore, authority: Arc<Authority>) -> Self {
        let (skew, control, life, stop) = Default::default();
        Self { world, kept, authority, skew, control, life, stop }
    }

    pub(crate) fn control(&self) -> Option<Arc<ControlApi>> {
        self.control.lock().unwrap().clone()
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        self.life.lock().unwrap().cancel();
    }

    /// Stops the one that serves where it is; another begins, and later the old one goes on.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Runs coordinators, one after the other, for ever.
    pub(crate) async fn live(self: Arc<Self>) {
        let mut chance = self.world.chance("coordinator's machine");
        for number in 1.. {
            let gone = CancellationToken::new();
            *self.life.lock().unwrap() = gone.clone();
            if let Some(office) = self.begin(number, gone.clone()).await {
                let agents = Arc::new(office.reign.agent_link());
                let awake = Arc::clone(&office.awake);
                self.world.network.listen(Server { number, agents, awake, gone: gone.clone() });
                *self.control.lock().unwrap() = Some(Arc::new(office.reign.control()));
                tokio::select! {
                    biased;
                    () = gone.cancelled() => self.end(office),
                    why = office.reign.broken() => {
                        self.world.tell(|| format!("coordinator {number} goes down: {why}"));
                        self.end(office);
                    }
                    () = self.stop.notified() => {
                        self.world.tell(|| format!("fault       coordinator {number} is stopped"));
                        *self.control.lock().unwrap() = None;
                        office.awake.close();
                        let (asleep, stray) = (chance.millis(500, 40_000), chance.millis(0, 60_000));
                        tokio::spawn(Arc::clone(&self).wake(office, asleep, stray));
                    }
                }
            }
            tokio::time::sleep(chance.millis(100, 3000)).await;
        }
    }

    async fn begin(&self, number: u32, gone: CancellationToken) -> Option<Office> {
        let world = &self.world;
        let awake = Arc::new(Gate::default());
        let store = SimStore {
            world: Arc::clone(world),
            kept: self.kept.clone(),
            number,
            chance: Mutex::new(world.chance(&format!("store of coordinator {number}"))),
            awake: Arc::clone(&awake),
            gone: gone.clone(),
        };
        let config = Config { heartbeat: Span::from_secs(5), ..Config::default() };
        let clock = CoordinatorClock { world: Arc::clone(world), skew: Arc::clone(&self.skew) };
        let authority = Arc::clone(&self.authority);
        let begun = Reign::begin(&config, Arc::new(store), Arc::new(clock), authority);
        match until(&gone, begun).await? {
            Ok(reign) => {
                world.tell(|| format!("coordinator {number} begins, epoch {}", reign.epoch()));
                world.check(|watch| watch.reign(number, reign.epoch()));
                Some(Office { number, reign, awake, gone })
            }
            Err(why) => {
                world.tell(|| format!("coordinator {number} can't begin: {why}"));
                None
            }
        }
    }

    /// Every task of it ends where it is.
    fn end(&self, office: Office) {
        let Office { number, reign, gone, .. } = office;
        self.world.tell(|| format!("coordinator {number} dies"));
        gone.cancel();
        self.world.network.hang_up(number);
        drop(reign);
        let mut control = self.control.lock().unwrap();
        if !self.world.network.is_anybody(number + 1) {
            *control = None;
        }
    }

    async fn wake(self: Arc<Self>, office: Office, asleep: Duration, stray: Duration) {
        tokio::time::sleep(asleep).await;
        self.world.tell(|| format!("fault       coordinator {} goes on", office.number));
        office.awake.open();
        tokio::time::sleep(stray).await;
        self.end(office);
    }

    /// At the end of a simulation: no coordinator, which holds the world, is held by it any more.
    pub(crate) fn clear(&self) {
        self.kill();
        *self.control.lock().unwrap() = None;
        self.world.network.close();
    }
}
