//! The agent of a host: started again whenever it has died, as systemd does.

use std::{sync::Arc, time::Duration};

use dv_agent::{Agent, config::Config, policy::Policy};
use tokio_util::sync::CancellationToken;

use super::Host;
use crate::{gate::until, scenario::POLICY, world::World};

fn config() -> Config {
    Config {
        coordinator: "coordinator:7443".into(),
        state_dir: "/state".into(),
        policy: "/policy.yaml".into(),
        docker_socket: None,
        unprivileged: false,
    }
}

/// Runs the host's agent, for ever.
pub(crate) async fn live(world: Arc<World>, host: Arc<Host>) {
    let policy = Policy::parse("/policy.yaml".as_ref(), POLICY).expect("the policy is valid");
    loop {
        let life = CancellationToken::new();
        let powered = {
            let mut state = host.state();
            state.life = life.clone();
            state.powered
        };
        if powered {
            host.disk.serve(life.clone());
            let ports = host.ports(&world, policy.clone());
            match Agent::open(config(), ports) {
                Ok(agent) => {
                    world.tell(|| format!("agent       {}: starts", host.machine));
                    until(&life, agent.work()).await;
                    world.tell(|| format!("agent       {}: died", host.machine));
                    host.path.agent_died();
                    world.watch().died(&host);
                }
                Err(why) => world.tell(|| format!("agent       {}: {why}", host.machine)),
            }
        }
        let pause = host.chance().millis(50, 2000);
        tokio::time::sleep(pause).await;
    }
}

impl Host {
    /// `kill -9` of the agent.
    pub(crate) fn kill_agent(&self) {
        self.state().life.cancel();
    }

    /// The machine loses its power, and has it again after `dark`.
    pub(crate) async fn power_cut(self: &Arc<Self>, world: &Arc<World>, dark: Duration) {
        self.touch(world);
        world.tell(|| format!("fault       {}: power cut for {dark:?}", self.name));
        {
            let mut state = self.state();
            state.powered = false;
            state.unit.power_off();
            state.life.cancel();
        }
        self.path.silence();
        self.disk.power_cut();
        tokio::time::sleep(dark).await;
        self.boot(world);
        world.tell(|| format!("host        {}: is up again", self.name));
    }
}
