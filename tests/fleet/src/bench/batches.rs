//! A rollout in batches: what a host of many costs, and what a host of few.

use std::time::{Duration, Instant};

use super::{Bench, line};
use crate::{
    Result,
    operator::{OPERATIONS, in_batches},
    process,
};

/// Hosts under way at once, in both.
const PARALLEL: u32 = 100;

impl Bench<'_> {
    pub(super) async fn batches(&mut self) -> Result<()> {
        let all = self.wish.hosts;
        let few = all.div_ceil(10);
        // The first rollout finds everything cold: the few go before and after, and what was cheaper counts.
        let before = self.rollout(("part", "tenth"), few, "v1").await?;
        let (all_busy, all_took) = self.rollout(("role", "web"), all, "v1").await?;
        let after = self.rollout(("part", "tenth"), few, "v2").await?;
        let (few_busy, few_took) = (before.0.min(after.0), before.1.min(after.1));
        let ms = |time: f64| format!("{:.3} ms", time * 1000.0);
        let what = |how: &str| format!("{how} for each of {all} hosts, of {few}");
        line(&what("processor"), ms(all_busy), ms(few_busy), all_busy / few_busy, 1.2);
        line(&what("time"), ms(all_took), ms(few_took), all_took / few_took, 1.2);
        Ok(())
    }

    /// Seconds of the coordinator's processor time, and of time, for each host.
    async fn rollout(
        &mut self,
        label: (&str, &str),
        hosts: usize,
        version: &str,
    ) -> Result<(f64, f64)> {
        let manifest = in_batches(&format!("batches-of-{hosts}"), label, PARALLEL)?;
        let recorded = self.fleet.tally.outcomes() + OPERATIONS * hosts;
        let before = process::processor_time(self.coordinator.pid())?;
        let began = Instant::now();
        self.operator.begin(&manifest, version).await?;
        self.fleet.tally.recorded(recorded).await;
        let took = began.elapsed();
        let busy = process::processor_time(self.coordinator.pid())? - before;
        let each = |time: Duration| time.as_secs_f64() / hosts as f64;
        Ok((each(busy), each(took)))
    }
}
