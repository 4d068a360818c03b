//! Following a rollout to its end, and into the rollback that it may end in.

pub(crate) mod feed;
mod live;
mod plain;
mod release;
mod screen;
mod verdict;
mod view;

use std::{cell::Cell, fmt::Display, sync::Arc, time::Duration};

use dv_proto::from_json;
use dv_types::{Plan, Report, RolloutId, Span, Timestamp, report::State};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tonic::Status;

use crate::{
    Exit,
    client::{Client, is_transient},
    display::{line::Line, next, story::Story, summary::summary, words},
    error::{Error, Result},
    output::Output,
};
use feed::{Feed, News};

/// Time from one picture to the next.
const REDRAW: Duration = Duration::from_millis(250);

/// How long the coordinator may take to begin a rollback that it announced.
const REVERSAL_BEGINS: Duration = Duration::from_secs(60);

/// Follows rollouts.
pub(crate) struct Follower<'f> {
    pub(crate) client: &'f Client,
    pub(crate) output: &'f Output,
    /// Give up after being out of contact for this long.
    pub(crate) patience: Span,
    /// Whether a rollout was started just now: then it goes on, even where the first look fails.
    pub(crate) begun: bool,
}

/// Why following one rollout came to an end.
enum Stop {
    Ended(Box<Report>),
    Waiting,
}

impl Follower<'_> {
    /// Follows the rollout to its end, or until Ctrl-C.
    pub(crate) async fn follow(&self, id: RolloutId) -> Result<Exit> {
        let now = Cell::new(id);
        tokio::select! {
            exit = self.to_the_end(id, &now) => exit,
            _ = tokio::signal::ctrl_c() => Ok(self.detached(now.get())),
        }
    }

    async fn to_the_end(&self, id: RolloutId, now: &Cell<RolloutId>) -> Result<Exit> {
        let (report, plan) =
            if self.begun { self.look(id).await? } else { self.client.rollout(id).await? };
        let Stop::Ended(report) = self.one(report, plan).await? else { return Ok(Exit::Waiting) };
        if !report.rollback {
            return Ok(verdict::of(&report));
        }
        let reversal = self.reversal(id).await?;
        now.set(reversal);
        let (report, plan) = self.look(reversal).await?;
        self.output.remark(&match plan.hosts.is_empty() {
            true => format!("{reversal} should take {id} back, and no host of it has a way back"),
            false => format!("{id} is taken back by {reversal}"),
        });
        let Stop::Ended(back) = self.one(report, plan).await? else { return Ok(Exit::Waiting) };
        Ok(verdict::of_reversed(&back))
    }

    /// Shows a rollout until it ends or waits for a person.
    async fn one(&self, report: Report, plan: Plan) -> Result<Stop> {
        let id = report.rollout;
        let mut story = Story::new(id, Arc::new(plan));
        let mut view = view::of(self.output);
        let mut feed = Feed::open(self.client.clone(), id, self.patience.get());
        let mut ticks = interval(REDRAW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut latest = report;
        view.report(&latest)?;
        loop {
            let news = tokio::select! {
                news = feed.next() => news,
                _ = ticks.tick() => {
                    view.tick(Timestamp::now())?;
                    continue;
                }
            };
            match news {
                News::Record(record) => {
                    view.record(&record, &story)?;
                    story.take(&record);
                }
                News::Report(report) if report.record >= latest.record => {
                    latest = *report;
                    view.report(&latest)?;
                }
                News::Report(_) => {}
                News::Progress { host, text } => view.progress(host, text),
                News::Remark(text) => view.remark(&text)?,
                News::Failed(status) => {
                    view.close()?;
                    return Err(self.client.no_answer(&status).await);
                }
                News::GaveUp(why) => {
                    view.close()?;
                    return Err(self.lost(id, &why));
                }
                News::End => {
                    view.close()?;
                    return self.ended(id, &story).await;
                }
            }
            let waits = matches!(latest.state, State::Paused(_) | State::AwaitingPromotion);
            if waits && story.record >= latest.record {
                view.close()?;
                self.say_waiting(&latest)?;
                return Ok(Stop::Waiting);
            }
        }
    }

    /// The report that says everything, and the summary of it.
    async fn ended(&self, id: RolloutId, story: &Story) -> Result<Stop> {
        let (report, _) = self.look(id).await?;
        if self.output.json() {
            self.output.json_line(&serde_json::json!({ "report": report }))?;
        } else {
            self.output.lines(&summary(&report, story))?;
        }
        Ok(Stop::Ended(Box::new(report)))
    }

    fn say_waiting(&self, report: &Report) -> Result<()> {
        if self.output.json() {
            return Ok(());
        }
        let (style, state) = words::state(&report.state);
        let mut lines =
            vec![Line::default(), Line::from(format!("{}: ", report.rollout)).add(style, state)];
        lines.extend(next::lines(report));
        Ok(self.output.lines(&lines)?)
    }

    /// Where the rollout stands, asked until there is an answer.
    async fn look(&self, id: RolloutId) -> Result<(Report, Plan)> {
        let reply = self.patiently(id, async || self.client.try_rollout(id).await).await?;
        let report = from_json("report_json", &reply.report_json)?;
        Ok((report, from_json("plan_json", &reply.plan_json)?))
    }

    /// Asks until there is an answer.
    async fn patiently<T>(
        &self,
        id: impl Display,
        ask: impl AsyncFn() -> Result<T, Status>,
    ) -> Result<T> {
        let deadline = Instant::now() + self.patience.get();
        let mut pause = feed::FIRST_PAUSE;
        loop {
            match ask().await {
                Ok(reply) => return Ok(reply),
                Err(status) if !is_transient(&status) => {
                    return Err(self.client.no_answer(&status).await);
                }
                Err(status) if Instant::now() + pause >= deadline => {
                    return Err(self.lost(id, status.message()));
                }
                Err(_) => sleep(pause).await,
            }
            pause = feed::longer(pause);
        }
    }

    /// The rollout that takes `id` back, once it has begun.
    async fn reversal(&self, id: RolloutId) -> Result<RolloutId> {
        let deadline = Instant::now() + REVERSAL_BEGINS;
        let mut pause = Duration::from_millis(100);
        loop {
            if let Some(by) = self.look(id).await?.0.reversed_by {
                return Ok(by);
            }
            if Instant::now() >= deadline {
                return Err(Error::new(
                    Exit::FailedTouched,
                    format!(
                        "{id} should be taken back by itself, but within {}s no rollback began: look at \
                         `dvctl rollout history` and at the coordinator's journal, or begin one: dvctl rollback {id}",
                        REVERSAL_BEGINS.as_secs()
                    ),
                ));
            }
            sleep(pause).await;
            pause = feed::longer(pause).min(Duration::from_secs(1));
        }
    }

    fn detached(&self, id: impl Display) -> Exit {
        if self.output.live() {
            // The terminal has written ^C.
            self.output.warn(&Line::default());
        }
        self.output.warn(&Line::from(format!(
            "Detached: {id} goes on. Follow it again: dvctl rollout watch {id}. End it: dvctl rollout abort {id}"
        )));
        Exit::Detached
    }

    fn lost(&self, id: impl Display, why: &str) -> Error {
        Error::new(
            Exit::LostContact,
            format!(
                "contact was lost for {} ({why}); {id} goes on without dvctl. Follow it again: dvctl rollout watch {id}",
                self.patience
            ),
        )
    }
}
