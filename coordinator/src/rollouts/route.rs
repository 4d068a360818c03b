//! Agents' words and operators' verbs find the rollout that they are for.

use std::sync::Arc;

use dv_types::{
    CommandId, HostName, Outcome, Report, RolloutId, ServiceName, record::Verb, report::Phase,
};
use tokio::sync::oneshot;

use super::{
    Active, Rollouts,
    feed::Progress,
    mailbox::{Posted, Said, Turned},
};
use crate::{
    fleet::{Cut, Order, Word},
    refusal::Refusal,
};

/// So many commands are called off at one connection, so that their orders have room; the others at the next.
const CALLED_OFF: usize = 32;

impl Rollouts {
    /// A host came or went.
    pub(crate) fn link_changed(self: &Arc<Self>, host: &HostName) {
        for active in self.of_host(host) {
            active.mailbox.post_link(host.clone());
        }
        if self.fleet.session(host).is_some() {
            self.arrived.send_replace(());
            let labels = self.fleet.record(host).map(|record| record.labels).unwrap_or_default();
            let awaiting = self.book().services_awaiting(host, &labels);
            for service in awaiting {
                self.next_soon(service);
            }
        }
    }

    /// Calls off what a host that connects still knows of rollouts that are over, or that were lost with an older
    /// store: nobody waits for it, and nothing else would ever end it. What comes of it is kept as a late outcome.
    pub(crate) fn call_off_ended(&self, host: &HostName, commands: &[CommandId]) {
        for &command in commands.iter().take(CALLED_OFF) {
            let over = {
                let book = self.book();
                match book.header(command.rollout) {
                    Some(header) => header.end.is_some(),
                    // A number that is still to come may be given again.
                    None => !book.is_to_come(command.rollout),
                }
            };
            if over {
                tracing::info!(%host, %command, "its rollout is over: called off");
                self.fleet.send(host, Order::Cancel(command));
            }
        }
    }

    /// Calls off what hosts were given by a rollout that has just ended, and that came back too late for it to know.
    pub(super) fn call_off_left_behind(&self, report: &Report) {
        for host in report.hosts.iter().filter(|host| host.phase == Phase::Unreachable) {
            if let Some(step) = host.step.as_ref().filter(|step| step.outstanding) {
                self.fleet.send(&host.name, Order::Cancel(step.command));
            }
        }
    }

    fn of_host<'h>(&self, host: &'h HostName) -> impl Iterator<Item = Arc<Active>> + use<'h> {
        self.all_active().into_iter().filter(move |active| active.hosts.contains(host))
    }

    /// A host said something, in this session of it.
    pub(crate) async fn heard(&self, host: &HostName, session: u64, word: Word) {
        match word {
            Word::Heartbeat => {}
            Word::Progress { command, text } => {
                if let Some(active) = self.find(command.rollout) {
                    active.feed.say(Progress { host: host.clone(), command, text });
                }
            }
            Word::Outcome(outcome) => self.outcome(host, session, outcome).await,
            Word::Health { service, good, why } => {
                for active in self.of_host(host).filter(|a| a.header.service == service) {
                    let turned = Turned { session, good, why: why.clone() };
                    active.mailbox.post_health(host.clone(), turned);
                }
            }
            Word::Facts { request, facts } => self.fleet.answer(host, request, facts),
        }
    }

    async fn outcome(&self, host: &HostName, session: u64, outcome: Outcome) {
        match self.find(outcome.command.rollout) {
            Some(active) => match active.mailbox.post_outcome(host.clone(), outcome) {
                Posted::Taken => {}
                Posted::Full => {
                    tracing::warn!(%host, "it reports more outcomes than it was given commands: cut");
                    self.fleet.cut(host, session, Cut::Unasked);
                }
                Posted::Closed(outcome) => self.late(host, outcome).await,
            },
            None => self.late(host, outcome).await,
        }
    }

    /// Keeps an outcome that changes nothing any more, so that the agent may forget it.
    pub(super) async fn late(&self, host: &HostName, outcome: Outcome) {
        let command = outcome.command;
        let (known, to_come) = {
            let book = self.book();
            (book.header(command.rollout).is_some(), book.is_to_come(command.rollout))
        };
        tracing::info!(%host, %command, result = %outcome.result, known, "an outcome that nobody waits for");
        if to_come {
            // A later reign has given it, and keeps it: this one is over, and does not know that yet. Or the store was
            // lost. Not acknowledged, it is said again.
            return;
        }
        if known && let Err(why) = self.journal.keep_late(host, &outcome).await {
            // Not acknowledged: the agent says it again at its next connection.
            tracing::error!(%host, %command, %why, "it can't be kept");
            return;
        }
        self.fleet.send(host, Order::Acknowledge(command));
    }

    /// Says a verb to a rollout, and waits until it is in its journal or refused.
    pub(crate) async fn operate(
        &self,
        id: RolloutId,
        by: String,
        verb: Verb,
        reason: Option<String>,
    ) -> Result<(), Refusal> {
        let Some(active) = self.find(id) else {
            let book = self.book();
            let header = book.known(id)?;
            let state = header.end.as_ref().map(|end| &end.summary.state);
            return Err(Refusal::Rejected(match (state, &verb) {
                (_, Verb::Rollback) => {
                    format!("{id} has ended: take it back with `dvctl rollback {id}`")
                }
                (Some(dv_types::report::State::Ended(verdict)), verb) => {
                    format!("{id} has {verdict}: there is nothing left to {verb}")
                }
                (_, verb) => format!("{id} has ended: there is nothing left to {verb}"),
            }));
        };
        let (answer, verdict) = oneshot::channel();
        active.mailbox.post_verb(Said { by, verb, reason, answer });
        tokio::select! {
            biased;
            verdict = verdict => match verdict {
                Ok(verdict) => verdict.map_err(Refusal::Rejected),
                Err(_) => Err(Refusal::Rejected(format!("{id} has ended meanwhile"))),
            },
            () = self.stop.cancelled() => Err(Refusal::Interrupted(format!(
                "look with `dvctl rollout status {id}` whether it was done"
            ))),
        }
    }

    /// Whether a service's rollout is unfinished.
    pub(crate) fn unfinished_of(&self, service: &ServiceName) -> Option<RolloutId> {
        self.book().active(service)
    }
}
