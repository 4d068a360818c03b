//! The service's probes.

use dv_agent::ports::Probes;
use dv_types::probe::Probing;
use futures_util::{FutureExt as _, future::BoxFuture};

use super::Place;

impl Probes for Place {
    fn round<'a>(&'a self, _: &'a Probing) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let takes = self.host.chance().millis(1, 30);
            tokio::time::sleep(takes).await;
            match self.host.is_well(&self.world) {
                true => Ok(()),
                false => Err("ready: 503".to_owned()),
            }
        }
        .boxed()
    }
}
