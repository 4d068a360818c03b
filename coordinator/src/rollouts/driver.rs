//! One task per unfinished rollout: news → turn → append → effects. The only loop there is.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use dv_rollout::{Effect, Event, Rollout, Turn};
use dv_types::{HostName, Report, Timestamp};
use futures_util::FutureExt as _;
use tokio::{
    sync::oneshot,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::{
    Active, Rollouts,
    damper::Damper,
    feed::Head,
    hands::Hands,
    mailbox::{Mail, Turned, Verdict},
    retry::Retry,
};
use crate::{fleet::Order, ports::StoreError, store::Header};

/// The pause after a deadline that led to nothing.
const BREATH: Duration = Duration::from_millis(100);

/// Drives a rollout until it has ended, or the coordinator stops.
pub(super) async fn drive(rollouts: Arc<Rollouts>, active: Arc<Active>) {
    let id = active.header.rollout;
    let mut retry = Retry::new();
    loop {
        let began = Instant::now();
        let driven = AssertUnwindSafe(async {
            let mut driver = Driver::load(&rollouts, &active).await?;
            driver.run().await
        })
        // Nothing of it is looked at again: what counts is in the journal.
        .catch_unwind();
        let driven = tokio::select! {
            biased;
            () = rollouts.stop.cancelled() => return,
            driven = driven => driven,
        };
        match driven {
            Ok(Ok((header, report))) => return rollouts.ended(&active, header, &report),
            Ok(Err(why)) => {
                tracing::error!(rollout = %id, %why, "nothing is commanded until its journal can be read and written");
                active.trouble.store(Some(Arc::new(why.to_string())));
            }
            Err(_) => {
                let why = "its driver panicked: it begins again from the journal";
                tracing::error!(rollout = %id, "{why}");
                active.trouble.store(Some(Arc::new(why.to_owned())));
            }
        }
        let pause = retry.pause(began.elapsed());
        tokio::select! {
            biased;
            () = rollouts.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Why a driver gives its machine up: what is in memory may differ from what is stored.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the journal is damaged: {0}")]
    Illegal(#[from] dv_rollout::IllegalRecord),
}

struct Driver<'a> {
    rollouts: &'a Arc<Rollouts>,
    active: &'a Arc<Active>,
    machine: Rollout,
    /// The session in which the machine believes each host to be.
    sessions: HashMap<HostName, u64>,
    /// News that wait while nothing goes on.
    damper: Damper,
    /// The report of this many records, if somebody asked for it.
    report: Option<Arc<Report>>,
    ended: Option<(Header, Report)>,
    /// What is asked and looked at outside; it ends with the driver.
    errands: JoinSet<()>,
    sampling: Option<AbortHandle>,
    /// What is handed to its hosts, where the plan is signed.
    hands: Option<Hands>,
}

impl<'a> Driver<'a> {
    /// The machine as its journal tells, with the first turn of this reign still to come.
    async fn load(rollouts: &'a Arc<Rollouts>, active: &'a Arc<Active>) -> Result<Self, Lost> {
        let id = active.header.rollout;
        let records = rollouts.journal.all_records(id).await?;
        let machine = Rollout::replay(id, Arc::clone(&active.plan), &records)?;
        let sessions = HashMap::new();
        let hands = Hands::of(rollouts, &active.header).await;
        Ok(Self {
            rollouts,
            active,
            machine,
            sessions,
            damper: Damper::default(),
            report: None,
            ended: None,
            errands: JoinSet::new(),
            sampling: None,
            hands,
        })
    }

    async fn run(&mut self) -> Result<(Header, Report), Lost> {
        let first = match self.machine.last_record() {
            0 => Event::Start {
                by: self.active.header.by.clone(),
                reason: self.active.header.reason.clone(),
                overrides: self.active.header.overrides.clone(),
            },
            _ => Event::Recover,
        };
        let mut mail = self.active.mailbox.take();
        mail.links.extend(self.active.hosts.iter().cloned());
        self.turn(Some(first), mail).await?;
        loop {
            if let Some(ended) = self.ended.take() {
                return Ok(ended);
            }
            let deadline = self.machine.next_deadline().into_iter().chain(self.damper.next()).min();
            let record = self.machine.last_record();
            let due = tokio::select! {
                biased;
                () = self.active.mailbox.wait() => false,
                () = self.sleep_until(deadline) => true,
            };
            let mail = self.active.mailbox.take();
            self.turn(None, mail).await?;
            // The first turn proves little: it writes only that this driver began.
            if self.machine.last_record() != record {
                self.active.trouble.store(None);
            }
            if due && self.machine.last_record() == record {
                // Nothing came of it: a deadline that stays must not keep the processor busy.
                tokio::time::sleep(BREATH).await;
            }
        }
    }

    async fn sleep_until(&self, deadline: Option<Timestamp>) {
        match deadline {
            Some(at) => self.rollouts.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// One turn. An error means that the machine may be ahead of the journal.
    async fn turn(&mut self, first: Option<Event>, mut mail: Mail) -> Result<(), StoreError> {
        let mut events = Vec::from_iter(first);
        let rests = self.machine.rests() && mail.verbs.is_empty();
        self.held(rests, &mut mail, &mut events);
        let verbs = self.verbs(&mut mail, &mut events);
        let outcomes = events.len();
        events.extend(mail.outcomes.iter().map(|((_, host), outcome)| Event::Outcome {
            host: host.clone(),
            outcome: outcome.clone(),
        }));
        events.extend(mail.gates.drain(..).map(|answer| Event::Gate { answer }));
        events.extend(mail.samples.drain(..).map(|sample| Event::Sampled { sample }));
        self.links(rests, &mut mail, &mut events);
        self.health(rests, &mut mail, &mut events);

        let now = self.rollouts.clock.now();
        let Turn { step, rejected } = self.machine.turn(self.rollouts.journal.epoch(), now, events);
        let rejected: HashMap<usize, String> =
            rejected.into_iter().map(|rejected| (rejected.event, rejected.why)).collect();

        if !step.records().is_empty() {
            self.report = None;
        }
        let last = self.machine.is_ended().then(|| {
            let report = self.machine.report();
            let left = self.rollouts.book().left_after(&self.active.header, &report);
            (report, left)
        });
        let mut closed = None;
        let (journal, header) = (&self.rollouts.journal, &self.active.header);
        let committed = step
            .commit(async |records| match &last {
                None => journal.append(header.rollout, &records).await,
                Some((report, left)) => {
                    closed = Some(journal.close(header, &records, report, left.as_ref()).await?);
                    Ok(())
                }
            })
            .await;
        let effects = match committed {
            Ok(effects) => effects,
            Err(why) => {
                // Nothing else is lost: hosts are greeted anew, and asked again for what they have answered.
                answer_all(verbs, &format!("it could not be saved: {why}"));
                return Err(why);
            }
        };
        self.publish();
        for effect in effects {
            self.carry_out(effect);
        }
        for (event, answer) in verbs {
            // Whoever asked may be gone.
            let _ = answer.send(rejected.get(&event).map_or(Ok(()), |why| Err(why.clone())));
        }
        for (i, ((_, host), outcome)) in mail.outcomes.into_iter().enumerate() {
            if let Some(why) = rejected.get(&(outcomes + i)) {
                tracing::warn!(%host, %why, "an outcome is not taken");
                self.rollouts.late(&host, outcome).await;
            }
        }
        self.answer_reports(mail.reports);
        self.ended = closed.zip(last.map(|(report, _)| report));
        Ok(())
    }

    fn verbs(
        &self,
        mail: &mut Mail,
        events: &mut Vec<Event>,
    ) -> Vec<(usize, oneshot::Sender<Verdict>)> {
        let mut answers = Vec::new();
        for said in mail.verbs.drain(..) {
            answers.push((events.len(), said.answer));
            events.push(Event::Operator { by: said.by, verb: said.verb, reason: said.reason });
        }
        answers
    }

    /// News that have waited. Where something goes on, it begins with all of them.
    fn held(&mut self, rests: bool, mail: &mut Mail, events: &mut Vec<Event>) {
        let due = match rests {
            true => self.damper.take_due(self.rollouts.clock.now()),
            false => self.damper.take_all(),
        };
        let mut held = Mail::default();
        for (host, health) in due {
            held.links.insert(host.clone());
            // What has come since is newer.
            if let Some(health) = health.filter(|_| !mail.health.contains_key(&host)) {
                held.health.insert(host, health);
            }
        }
        if rests {
            mail.links.append(&mut held.links);
            mail.health.append(&mut held.health);
        } else {
            self.links(false, &mut held, events);
            self.health(false, &mut held, events);
        }
    }

    /// Whether news of a host are told now, or wait.
    fn waits(&mut self, rests: bool, host: &HostName, health: Option<&Turned>) -> bool {
        let waits = rests && !self.damper.may(host, self.rollouts.clock.now());
        if waits {
            self.damper.hold(host.clone(), health.cloned());
        }
        waits
    }

    /// What became of the hosts' links since the machine was told last.
    fn links(&mut self, rests: bool, mail: &mut Mail, events: &mut Vec<Event>) {
        for host in std::mem::take(&mut mail.links) {
            let now = self.rollouts.fleet.session(&host);
            let known = self.sessions.contains_key(&host);
            // One that only dialled anew is greeted, which makes no record.
            if known != now.is_some() && self.waits(rests, &host, None) {
                continue;
            }
            let before = match now {
                Some(session) => self.sessions.insert(host.clone(), session),
                None => self.sessions.remove(&host),
            };
            match (before, now) {
                (before, Some(_)) if before != now => {
                    let enrolled = self.rollouts.fleet.enrolled(&host).unwrap_or_default();
                    events.push(Event::Connected { host, enrolled });
                }
                (Some(_), None) => events.push(Event::Disconnected { host }),
                _ => {}
            }
        }
    }

    /// Probes' answers of sessions that are live.
    fn health(&mut self, rests: bool, mail: &mut Mail, events: &mut Vec<Event>) {
        for (host, turned) in std::mem::take(&mut mail.health) {
            let live = self.sessions.get(&host) == Some(&turned.session);
            if live && !self.waits(rests, &host, Some(&turned)) {
                events.push(Event::Health { host, good: turned.good, why: turned.why });
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let service = || self.active.header.service.clone();
        let (host, order) = match effect {
            Effect::AskGates { gates } => {
                let (rollouts, active) = (Arc::clone(self.rollouts), Arc::clone(self.active));
                self.errands.spawn(async move { rollouts.ask_gates(&active, gates).await });
                return;
            }
            Effect::Sample { monitor, new, old } => {
                let (rollouts, active) = (Arc::clone(self.rollouts), Arc::clone(self.active));
                let sampling = async move { rollouts.sample(&active, &monitor, &new, &old).await };
                if let Some(before) = self.sampling.replace(self.errands.spawn(sampling)) {
                    before.abort();
                }
                return;
            }
            Effect::StopSampling => {
                if let Some(sampling) = self.sampling.take() {
                    sampling.abort();
                }
                return;
            }
            Effect::Send { host, command } => {
                let session = self.rollouts.fleet.session(&host);
                let order = match &mut self.hands {
                    Some(hands) => {
                        if let Some(warrant) = hands.hand(&host, session) {
                            self.rollouts.fleet.send(&host, Order::Warrant(Box::new(warrant)));
                        }
                        hands.order(command)
                    }
                    None => Order::Command(command),
                };
                (host, order)
            }
            Effect::Cancel { host, command } => (host, Order::Cancel(command)),
            Effect::Acknowledge { host, command } => (host, Order::Acknowledge(command)),
            Effect::Watch { host, probing } => (host, Order::Watch { service: service(), probing }),
            Effect::Unwatch { host } => (host, Order::Unwatch { service: service() }),
        };
        self.rollouts.fleet.send(&host, order);
    }

    fn publish(&self) {
        let head = Head { record: self.machine.last_record(), ended: self.machine.is_ended() };
        self.active.feed.publish(head);
    }

    fn answer_reports(&mut self, asked: Vec<oneshot::Sender<Arc<Report>>>) {
        for answer in asked {
            let report = self.report.get_or_insert_with(|| Arc::new(self.machine.report()));
            let _ = answer.send(Arc::clone(report));
        }
    }
}

fn answer_all(verbs: Vec<(usize, oneshot::Sender<Verdict>)>, why: &str) {
    for (_, answer) in verbs {
        let _ = answer.send(Err(why.to_owned()));
    }
}
