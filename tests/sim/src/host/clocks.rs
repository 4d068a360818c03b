//! A host's clocks, and chance.

use std::time::Duration;

use dv_agent::ports::Outside;
use dv_types::Timestamp;

use super::Place;

impl Outside for Place {
    fn now(&self) -> Timestamp {
        self.world.time(self.host.state().skew)
    }

    fn boot_id(&self) -> String {
        format!("{} boot {}", self.host.machine, self.host.state().boot)
    }

    fn since_boot(&self) -> Duration {
        self.world.elapsed().saturating_sub(Duration::from_millis(self.host.state().booted))
    }

    fn chance(&self) -> f64 {
        self.host.chance().share()
    }

    fn unique(&self) -> u128 {
        self.host.chance().next().into()
    }
}
