//! Following a release: its members' rollouts one after another, as they begin, and then back.

use std::{collections::BTreeSet, time::Duration};

use dv_proto::from_json;
use dv_types::{
    ReleaseId, RolloutId, Timestamp,
    release::{MemberReport, ReleaseReport},
};
use tokio::time::sleep;

use super::{Follower, Stop, feed, verdict};
use crate::{Exit, display, error::Result};

impl Follower<'_> {
    /// Follows a release to its end, or until Ctrl-C, without the rollouts that are `known`.
    pub(crate) async fn follow_release(
        &self,
        id: ReleaseId,
        known: BTreeSet<RolloutId>,
    ) -> Result<Exit> {
        tokio::select! {
            exit = self.members(id, known) => exit,
            _ = tokio::signal::ctrl_c() => Ok(self.detached(id)),
        }
    }

    async fn members(&self, id: ReleaseId, mut known: BTreeSet<RolloutId>) -> Result<Exit> {
        let mut pause = feed::FIRST_PAUSE;
        loop {
            let report = match self.begun {
                true => self.look_at_release(id).await?,
                false => self.client.release(id).await?,
            };
            if let Some((rollout, member)) = next(&report, &known) {
                known.insert(rollout);
                pause = feed::FIRST_PAUSE;
                self.output.remark(&headline(&report, member, rollout));
                let (report, plan) = self.look(rollout).await?;
                match self.one(report, plan).await? {
                    Stop::Ended(_) => continue,
                    Stop::Waiting => return Ok(Exit::Waiting),
                }
            }
            if report.held.is_some() || report.ending.is_some() {
                self.say_release(&report)?;
                return Ok(verdict::of_release(&report));
            }
            sleep(pause).await;
            pause = feed::longer(pause).min(Duration::from_secs(1));
        }
    }

    fn say_release(&self, report: &ReleaseReport) -> Result<()> {
        if self.output.json() {
            self.output.json_line(&serde_json::json!({ "release": report }))?;
        } else {
            self.output.text("\n")?;
            self.output.lines(&display::release::status(report, Timestamp::now()))?;
        }
        Ok(())
    }

    async fn look_at_release(&self, id: ReleaseId) -> Result<ReleaseReport> {
        let reply = self.patiently(id, async || self.client.try_release(id).await).await?;
        Ok(from_json("report_json", &reply.report_json)?)
    }
}

/// The oldest rollout that has not been followed.
fn next<'r>(
    report: &'r ReleaseReport,
    known: &BTreeSet<RolloutId>,
) -> Option<(RolloutId, &'r MemberReport)> {
    let all = report.members.iter().flat_map(|member| {
        [member.rollout, member.back].into_iter().flatten().map(move |rollout| (rollout, member))
    });
    all.filter(|(rollout, _)| !known.contains(rollout)).min_by_key(|(rollout, _)| *rollout)
}

fn headline(report: &ReleaseReport, member: &MemberReport, rollout: RolloutId) -> String {
    let MemberReport { service, version, .. } = member;
    match member.back == Some(rollout) {
        true => format!("{} {}: {service} is taken back by {rollout}", report.release, report.name),
        false => format!("{} {}: {service} {version} by {rollout}", report.release, report.name),
    }
}
