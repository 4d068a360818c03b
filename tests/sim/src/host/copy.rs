//! A machine that is copied: one certificate, one name and one ledger, on two machines.

use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::{Host, Place, State, agent};
use crate::{chance::Chance, gate::until, network::Path, world::World};

/// Copies the host that the seed says, when it says so.
pub(crate) async fn happen(world: Arc<World>) {
    let Some(copied) = world.scenario.copied.clone() else { return };
    let millis = std::time::Duration::from_millis;
    tokio::time::sleep(millis(copied.at)).await;
    let original = &world.hosts[&copied.host];
    let copy = Arc::new(original.copied(&world));
    world.tell(|| format!("fault       {}: it is there twice", original.name));
    world.watch().copied(original, &copy);
    world.add_copy(Arc::clone(&copy));
    copy.boot(&world);
    let gone = CancellationToken::new();
    let alive = agent::live(Arc::clone(&world), Arc::clone(&copy));
    let until_gone = gone.clone();
    tokio::spawn(async move { until(&until_gone, alive).await });
    let Some(stays) = copied.stays else { return };
    tokio::time::sleep(millis(stays)).await;
    world.tell(|| format!("fault       {}: is gone", copy.machine));
    gone.cancel();
    copy.state().powered = false;
    copy.kill_agent();
    copy.path.silence();
    world.remove_copy(&copy);
}

impl Host {
    /// What is on the disk of this one, and in its engine, on a machine that is not yet started.
    fn copied(&self, world: &World) -> Self {
        let machine = format!("{}, copied", self.name);
        let disk = self.disk.copied(Chance::of(world.seed, &format!("disk of {machine}")));
        disk.power_cut();
        let now = self.state();
        let mut unit = now.unit.clone();
        unit.power_off();
        let state = State {
            life: CancellationToken::new(),
            boot: now.boot,
            booted: now.booted,
            powered: false,
            skew: now.skew,
            flaky: now.flaky,
            hangs: 0,
            touched: None,
            unit,
            images: now.images.clone(),
        };
        let chance = Mutex::new(Chance::of(world.seed, &machine));
        let (name, path, state) = (self.name.clone(), Path::default(), Mutex::new(state));
        Self { name, machine, disk, path, state, chance }
    }

    /// The machine starts, and its service with it.
    pub(super) fn boot(self: &Arc<Self>, world: &Arc<World>) {
        let place = Place { world: Arc::clone(world), host: Arc::clone(self) };
        let mut state = self.state();
        state.powered = true;
        state.boot += 1;
        state.booted = world.elapsed().as_millis() as u64;
        place.start_service(&mut state);
    }
}
