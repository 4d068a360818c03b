//! One command to all, and all outcomes durably recorded.

use std::time::Duration;

use dv_types::{Fact, Timestamp};

use super::{Bench, line, median};
use crate::{Result, operator::one_command, process};

impl Bench<'_> {
    pub(super) async fn broadcast(&mut self) -> Result<()> {
        let (mut times, mut busy) = (Vec::new(), Duration::ZERO);
        for round in 0..self.wish.rounds {
            let (took, worked) = self.one_command(round).await?;
            times.push(took);
            busy += worked / self.wish.rounds as u32;
        }
        let (took, floor) = (median(&mut times), self.floor.echo);
        let ratio = took.as_secs_f64() / floor.as_secs_f64();
        let seconds = |time: Duration| format!("{:.3} s", time.as_secs_f64());
        line("a command to all, outcomes recorded", seconds(took), seconds(floor), ratio, 3.0);
        let ratio = busy.as_secs_f64() / self.floor.busy.as_secs_f64();
        line("  its processor time", seconds(busy), seconds(self.floor.busy), ratio, 3.0);
        println!("  (rounds: {})", times.into_iter().map(seconds).collect::<Vec<_>>().join(", "));
        Ok(())
    }

    /// From the decision that all begin to the last acknowledgement, which follows the record.
    async fn one_command(&mut self, round: usize) -> Result<(Duration, Duration)> {
        let manifest = one_command("broadcast", ("role", "web"))?;
        let recorded = self.fleet.tally.outcomes() + self.wish.hosts;
        let rollout = self.operator.begin(&manifest, &format!("v{round}")).await?;
        let before = process::processor_time(self.coordinator.pid())?;
        self.fleet.tally.recorded(recorded).await;
        let busy = process::processor_time(self.coordinator.pid())? - before;
        let end = Timestamp::now();
        let told = self.operator.follow(&rollout).await?;
        let begun = told.records.iter().find(|r| matches!(r.fact, Fact::WaveStarted { .. }));
        let begun = begun.ok_or("a wave has begun")?.at;
        Ok((Duration::try_from(end.duration_since(begun))?, busy))
    }
}
