//! The coordinator killed in the middle of a rollout, and started again.

use std::time::Instant;

use super::{Bench, line};
use crate::{Result, operator::in_batches};

/// Hosts under way at once.
const PARALLEL: u32 = 100;

impl Bench<'_> {
    pub(super) async fn restart(&mut self) -> Result<()> {
        let hosts = self.wish.hosts;
        let tally = std::sync::Arc::clone(&self.fleet.tally);
        let manifest = in_batches("restart", ("role", "web"), PARALLEL)?;
        let middle = tally.outcomes() + hosts;
        let rollout = self.operator.begin(&manifest, "v1").await?;
        tally.recorded(middle).await;

        self.coordinator.kill()?;
        let began = Instant::now();
        tally.lost().await;
        let commands = tally.commands();
        self.coordinator.launch()?;
        tally.reach(1).await;
        let first = began.elapsed().as_secs_f64();
        tally.told(commands + 1).await;
        let commanded = began.elapsed().as_secs_f64();
        tally.reach(hosts).await;
        let all = began.elapsed().as_secs_f64();
        let done = tally.outcomes();
        tally.recorded(done + 1).await;

        let floor = self.floor.handshakes.as_secs_f64();
        let seconds = |time: f64| format!("{time:.2} s");
        line(
            "kill -9 until all are back and it goes on",
            seconds(all),
            seconds(floor),
            all / floor,
            3.0,
        );
        let wait = commanded - first;
        println!(
            "first agent back after {}, first command {} later{}",
            seconds(first),
            seconds(wait),
            if wait <= 1.0 { "" } else { "  MISSED" }
        );
        let told = self.operator.follow(&rollout).await?;
        println!("the rollout went on: {:?}, {} records", told.report.state, told.records.len());
        Ok(())
    }
}
