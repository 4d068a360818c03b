//! Takes commands, each as its own task: one that is stuck holds up neither the others nor the link.

mod fit;
mod queue;
mod unwritten;
mod warranted;

pub(crate) use fit::short;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::Duration,
};

use dv_types::{Command, CommandId, OpResult, Operation, Outcome, RolloutId, Span, Timestamp};
use tokio::{
    sync::{Notify, OwnedRwLockReadGuard, RwLock},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    durable,
    inspect::Background,
    ledger::{Entry, Known, Ledger, UnitMark},
    limits::Limits,
    machine::{self, Decision},
    notify::Status,
    operations::{self, Attempt, Context, Halt},
    outbox::Outbox,
    ports::Ports,
    progress::Progress,
    switch::Switches,
    tasks::Tasks,
    warrants::{Claim, Warrants},
};
pub(crate) use queue::conflict;
use queue::{Queue, Turn};
use unwritten::Unwritten;

/// An operation that outruns its own deadline by this much is given up: the agent has a fault.
pub(crate) const LENIENCE: Duration = Duration::from_secs(15);
/// The pause before an outcome that can't be written is tried again.
const DISK_PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked whether all is at rest: a switch that has fired rings no bell.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is said what an operation waits for: a line may be lost.
const REMINDER: Duration = Duration::from_secs(5);

/// Held by a command that changes the host: no switch takes it back meanwhile. The others need none.
pub(crate) type Pass = Option<OwnedRwLockReadGuard<()>>;

/// What carries out this host's commands.
pub(crate) struct Runner {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
    pub(crate) background: Background,
    ledger: Ledger,
    pub(crate) switches: Switches,
    pub(crate) warrants: Warrants,
    /// Open to many commands that change the host, or to one switch that takes it back.
    pub(crate) gate: Arc<RwLock<()>>,
    outbox: Arc<Outbox>,
    status: Arc<Status>,
    pub(crate) tasks: Tasks,
    running: Mutex<BTreeMap<CommandId, CancellationToken>>,
    /// Rung whenever a command has ended, and its outcome is told and written.
    ended: Notify,
    queue: Arc<Queue>,
    unwritten: Unwritten,
}

impl Runner {
    pub(crate) fn new(
        config: Config,
        ports: Ports,
        ledger: Ledger,
        switches: Switches,
        warrants: Warrants,
        outbox: Arc<Outbox>,
        status: Arc<Status>,
    ) -> Self {
        let (background, gate, tasks, running, ended, queue, unwritten) = Default::default();
        Self {
            config,
            ports,
            background,
            ledger,
            switches,
            warrants,
            gate,
            outbox,
            status,
            tasks,
            running,
            ended,
            queue,
            unwritten,
        }
    }

    /// Does `command`, unless it is known; sends its outcome in any case.
    pub(crate) fn command(self: &Arc<Self>, command: Command, claim: Claim) {
        let (id, operation) = (command.id, command.operation.to_string());
        self.task(id, |runner, cancel| {
            // The order is that of arrival, so the place is taken before anything is waited for.
            let turn = runner.queue.place(&command);
            async move {
                tracing::info!(command = %id, operation, "commanded");
                runner.take(command, claim, cancel, &turn).await
            }
        });
    }

    /// Answers a command that can't be understood, or not be obeyed now; nothing is begun.
    pub(crate) fn refuse(self: &Arc<Self>, id: CommandId, why: String) {
        tracing::warn!(command = %id, why, "not begun");
        self.task(id, |runner, _| async move {
            match runner.known(id).await {
                Known::Ended(Entry { outcome: Some(outcome), .. }) => outcome,
                _ => runner.end(runner.entry(id, None), OpResult::Refused(why).into(), None).await,
            }
        });
    }

    /// Calls a command off.
    pub(crate) fn cancel(self: &Arc<Self>, id: CommandId) {
        if let Some(cancel) = lock(&self.running).get(&id) {
            tracing::info!(command = %id, "called off");
            cancel.cancel();
            return;
        }
        self.task(id, |runner, _| async move { runner.call_off(id).await });
    }

    /// Calls off whatever is under way for `rollout`.
    pub(crate) fn call_off_all_of(&self, rollout: RolloutId) {
        for (_, cancel) in lock(&self.running).iter().filter(|(id, _)| id.rollout == rollout) {
            cancel.cancel();
        }
    }

    /// The coordinator has the outcome of `id`.
    pub(crate) fn acknowledge(self: &Arc<Self>, id: CommandId) {
        let (ledger, now) = (self.ledger.clone(), self.ports.outside.now());
        self.unwritten.acknowledge(id, now);
        self.tasks.spawn(async move {
            let acknowledged = ledger.with(move |l| l.acknowledge(id, now)).await;
            if let Err(error) = acknowledged {
                // It will be sent once more, that is all.
                tracing::warn!(command = %id, %error, "the acknowledgement can't be written");
            }
        });
    }

    /// Commands whose outcome the coordinator may not have, those at work included.
    pub(crate) fn unacknowledged(&self) -> Vec<CommandId> {
        let mut ids = self.ledger.unacknowledged();
        ids.extend(self.unwritten.untold().iter().map(|outcome| outcome.command));
        ids.extend(lock(&self.running).keys());
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The newest rollout that this host remembers.
    pub(crate) fn newest(&self) -> Option<RolloutId> {
        let told = self.unacknowledged().last().map(|id| id.rollout);
        told.max(self.ledger.newest()).max(self.switches.newest())
    }

    /// Waits until nothing is under way that the agent's end would cut off, and nothing is known in memory only.
    pub(crate) async fn idle(&self) {
        loop {
            // Before the look, so that who ends right after it is noticed.
            let ended = self.ended.notified();
            // No command is in the middle, and no switch takes the host back.
            let is_at_rest = lock(&self.running).is_empty() && self.gate.try_write().is_ok();
            if is_at_rest && self.unwritten.is_empty() {
                return;
            }
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Sends every outcome that was not acknowledged.
    pub(crate) async fn send_again(&self) {
        for id in self.ledger.unacknowledged() {
            if let Known::Ended(Entry { outcome: Some(outcome), .. }) = self.known(id).await {
                self.outbox.room().await;
                self.outbox.outcome(&outcome);
            }
        }
        for outcome in self.unwritten.untold() {
            self.outbox.room().await;
            self.outbox.outcome(&outcome);
        }
    }

    /// Runs `work` for `id` as a task of its own, unless there is one already, and sends its outcome.
    fn task<F>(
        self: &Arc<Self>,
        id: CommandId,
        work: impl FnOnce(Arc<Self>, CancellationToken) -> F,
    ) where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        {
            let mut running = lock(&self.running);
            if running.contains_key(&id) {
                return;
            }
            running.insert(id, cancel.clone());
        }
        let work = work(Arc::clone(self), cancel);
        let runner = Arc::clone(self);
        self.tasks.spawn(async move {
            let outcome = work.await;
            lock(&runner.running).remove(&id);
            tracing::info!(command = %id, result = %outcome.result, took = %outcome.took, "ended");
            runner.outbox.outcome(&outcome);
            runner.write_at_last(id).await;
            runner.ended.notify_waiters();
        });
    }

    /// Whether the last checkout of `tree` was cut off.
    pub(crate) async fn is_unfinished(&self, tree: &str) -> bool {
        let tree = tree.to_owned();
        self.ledger.with(move |ledger| ledger.is_unfinished(&tree)).await
    }

    async fn take(
        &self,
        command: Command,
        claim: Claim,
        cancel: CancellationToken,
        turn: &Turn,
    ) -> Outcome {
        let id = command.id;
        match machine::decide(self.known(id).await, &command) {
            Decision::Do => self.begin(command, claim, cancel, turn).await,
            Decision::Again(entry) => self.resume(entry, command, claim, cancel, turn).await,
            Decision::AskSystemd { entry, unit, mark } => {
                match self.ask_systemd(&entry, &unit, &mark).await {
                    Ok(Some(attempt)) => self.end(entry, attempt, None).await,
                    Ok(None) => self.resume(entry, command, claim, cancel, turn).await,
                    Err(halt) => self.end(entry, doubtful(*halt), None).await,
                }
            }
            Decision::Repeat(outcome) => outcome,
            Decision::Close(result) => {
                let entry = self.entry(id, Some(command.operation));
                self.end(Entry { given: command.given, ..entry }, result.into(), None).await
            }
            Decision::Refuse(result) => {
                let now = self.ports.outside.now();
                let said = outcome(id, now, Span::ZERO, result.into());
                Outcome { given: command.given, ..said }
            }
        }
    }

    async fn call_off(&self, id: CommandId) -> Outcome {
        let known = self.known(id).await;
        // What was begun is still what is on record.
        let mut begun = match &known {
            Known::Intent(entry) => Entry { unfinished: true, ..entry.clone() },
            _ => self.entry(id, None),
        };
        begun.outcome = None;
        match machine::call_off(known) {
            Decision::AskSystemd { entry, unit, mark } => {
                let attempt = match self.ask_systemd(&entry, &unit, &mark).await {
                    Ok(Some(attempt)) => attempt,
                    Ok(None) => OpResult::Cancelled.into(),
                    Err(halt) => doubtful(*halt),
                };
                self.end(entry, attempt, None).await
            }
            Decision::Repeat(outcome) => outcome,
            Decision::Close(result) => self.end(begun, result.into(), None).await,
            Decision::Do | Decision::Again(_) | Decision::Refuse(_) => {
                unreachable!("nothing is begun by calling it off")
            }
        }
    }

    /// Waits until `turn` has come; not any longer than until it is called off.
    async fn wait(
        &self,
        id: CommandId,
        turn: &Turn,
        cancel: &CancellationToken,
    ) -> Result<(), Halt> {
        let progress = Progress::new(id, Arc::clone(&self.outbox));
        let text = Mutex::new(String::new());
        let waits = |other| {
            let waits = format!("waits for {other} to end");
            tracing::info!(command = %id, "{waits}");
            progress.say(&waits);
            self.status.began(id, waits.clone());
            *lock(&text) = waits;
        };
        let remind = async {
            loop {
                tokio::time::sleep(REMINDER).await;
                progress.say(&lock(&text));
            }
        };
        let come = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(OpResult::Cancelled.into()),
            () = turn.come(waits) => Ok(()),
            () = remind => Ok(()),
        };
        self.status.ended(id);
        come
    }

    /// Writes the intent, then acts. What is refused leaves its outcome only.
    async fn begin(
        &self,
        command: Command,
        claim: Claim,
        cancel: CancellationToken,
        turn: &Turn,
    ) -> Outcome {
        let (id, operation) = (command.id, &command.operation);
        let ready = async {
            // Before anything waits for it, or makes way.
            self.look_at_warrant(&command, &claim, false).await?;
            // The turn first: who holds a pass while it waits would hold up a switch that fires.
            self.wait(id, turn, &cancel).await?;
            let pass = self.admit(id, operation, &cancel).await?;
            let resumed = match operation {
                Operation::Checkout { tree, .. } => self.is_unfinished(tree).await,
                _ => false,
            };
            let mut context = self.context(id, operation, cancel, resumed)?;
            context.mark = operations::mark(operation, &context).await?;
            self.let_in_by_warrant(&command, &claim, context.mark.clone()).await?;
            Ok::<_, Halt>((context, pass))
        };
        let ready = ready.await;
        let Command { operation, given, .. } = command;
        let mut entry = Entry { given, ..self.entry(id, Some(operation.clone())) };
        let (context, pass) = match ready {
            Ok((context, pass)) => {
                entry.mark = context.mark.clone();
                (context, pass)
            }
            Err(halt) => return self.end(entry, *halt, None).await,
        };
        if let Err(error) = self.write(&entry).await {
            let why = format!("the agent can't write down what it is about to do: {error}");
            return self.end(entry, OpResult::Refused(why).into(), None).await;
        }
        self.act(entry, operation, context, pass).await
    }

    /// Does again, or does at last, what was begun before the agent died.
    async fn resume(
        &self,
        mut entry: Entry,
        command: Command,
        claim: Claim,
        cancel: CancellationToken,
        turn: &Turn,
    ) -> Outcome {
        // Until it is done.
        entry.unfinished = true;
        let ready = async {
            self.look_at_warrant(&command, &claim, true).await?;
            let operation = &command.operation;
            self.wait(entry.id, turn, &cancel).await?;
            let pass = self.admit(entry.id, operation, &cancel).await?;
            Ok::<_, Halt>((self.context(entry.id, operation, cancel, true)?, pass))
        };
        match ready.await {
            Ok((mut context, pass)) => {
                context.mark = entry.mark.clone();
                self.act(entry, command.operation, context, pass).await
            }
            Err(halt) => self.end(entry, *halt, None).await,
        }
    }

    /// Acts, and writes the outcome.
    async fn act(
        &self,
        entry: Entry,
        operation: Operation,
        context: Context,
        pass: Pass,
    ) -> Outcome {
        if context.limits.is_cancelled() {
            drop(pass);
            return self.end(entry, OpResult::Cancelled.into(), None).await;
        }
        let began = Instant::now();
        let attempt = self.perform(entry.id, operation, context, pass).await;
        self.end(entry, attempt, Some(began.elapsed())).await
    }

    /// Performs, whatever happens, and ends soon after the operation's own limit.
    pub(crate) async fn perform(
        &self,
        id: CommandId,
        operation: Operation,
        context: Context,
        pass: Pass,
    ) -> Attempt {
        let limit = operation.time_limit();
        self.status.began(id, operation.to_string());
        // A task of its own: a panic in it is an outcome, not the end of the agent.
        let task = self.tasks.spawn(async move {
            let _pass = pass;
            operations::perform(&operation, &context).await
        });
        let abort = task.abort_handle();
        let attempt = match tokio::time::timeout(limit.get() + LENIENCE, task).await {
            Ok(Ok(Some(attempt))) => attempt,
            // Nobody hears of it: this task ends as well.
            Ok(Ok(None)) => cut_off(OpResult::Unknown("the agent ended".to_owned())),
            Ok(Err(panic)) => cut_off(OpResult::Unknown(format!("the agent has a fault: {panic}"))),
            Err(_) => {
                abort.abort();
                cut_off(OpResult::TimedOut(format!(
                    "it did not end within {limit}, nor soon after"
                )))
            }
        };
        self.status.ended(id);
        attempt
    }

    /// Lets a command begin: not before a switch that fires has ended, and not at all once that of its own
    /// rollout has fired. What was taken back is not to be done again by a coordinator that missed it. Switches of
    /// earlier rollouts that would take back what it changes are let go, before anything says that it was begun.
    async fn admit(
        &self,
        id: CommandId,
        operation: &Operation,
        cancel: &CancellationToken,
    ) -> Result<Pass, Halt> {
        let stays_out = operation.touches()
            || matches!(operation, Operation::Verify { .. } | Operation::Confirm);
        loop {
            if stays_out && let Some(answer) = self.switches.reverted(id.rollout).await {
                return Err(Box::new(answer));
            }
            if !operation.touches() {
                return Ok(None);
            }
            let ready = async {
                self.switches.earlier_have_fired(id.rollout, operation).await;
                Arc::clone(&self.gate).read_owned().await
            };
            let pass = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(OpResult::Cancelled.into()),
                pass = ready => pass,
            };
            if self.switches.is_firing(id.rollout) {
                continue;
            }
            // With the pass in hand: a switch that begins to fire now waits until the command has ended.
            if !self.switches.has_earlier(id.rollout, operation) {
                return Ok(Some(pass));
            }
            // What is refused leaves the host its way back.
            self.context(id, operation, cancel.clone(), false)?;
            match self.switches.let_earlier_go(id.rollout, operation).await {
                Ok(true) => return Ok(Some(pass)),
                // It was faster, and must have the host to itself first.
                Ok(false) => drop(pass),
                Err(error) => {
                    let why = format!(
                        "an earlier rollout's dead-man's switch would take this back, and can't be let go: {error}"
                    );
                    return Err(OpResult::Refused(why).into());
                }
            }
        }
    }

    /// What was called off because the host goes back is answered so, once it has gone back.
    async fn overtaken(&self, id: CommandId, attempt: Attempt) -> Attempt {
        match attempt.result {
            OpResult::Cancelled => self.switches.reverted(id.rollout).await.unwrap_or(attempt),
            _ => attempt,
        }
    }

    /// Writes the outcome before anybody hears of it; where the disk does not take it, it is held in memory meanwhile.
    async fn end(&self, mut entry: Entry, attempt: Attempt, took: Option<Duration>) -> Outcome {
        let took = Span::from(took.unwrap_or_default());
        entry.unfinished = (entry.unfinished || attempt.unfinished) && !attempt.result.is_done();
        let attempt = self.overtaken(entry.id, attempt).await;
        let outcome = outcome(entry.id, entry.began, took, attempt);
        let outcome = Outcome { given: entry.given, ..outcome };
        entry.outcome = Some(outcome.clone());
        if let Err(error) = self.write(&entry).await {
            tracing::error!(command = %entry.id, %error, "the outcome can't be written: told all the same, and tried again");
            self.status.unwritten(entry.id, error.to_string());
            self.unwritten.hold(entry);
        }
        if outcome.result.is_done() && !self.warrants.is_empty() {
            let (warrants, id) = (self.warrants.clone(), outcome.command);
            durable::apart(&*self.ports.disk, move || warrants.done(id)).await;
        }
        outcome
    }

    /// Writes what the disk did not take, as soon as it does.
    async fn write_at_last(&self, id: CommandId) {
        while let Some(entry) = self.unwritten.find(id) {
            match self.write(&entry).await {
                Ok(()) if self.unwritten.written(&entry) => self.status.written(id),
                // Acknowledged meanwhile: that is written too.
                Ok(()) => {}
                Err(error) => {
                    self.status.unwritten(id, error.to_string());
                    tokio::time::sleep(DISK_PAUSE).await;
                }
            }
        }
    }

    async fn write(&self, entry: &Entry) -> io::Result<()> {
        let entry = entry.clone();
        self.ledger.with(move |ledger| ledger.write(&entry)).await
    }

    async fn ask_systemd(
        &self,
        entry: &Entry,
        unit: &str,
        mark: &UnitMark,
    ) -> Result<Option<Attempt>, Halt> {
        let Some(operation) = &entry.operation else { return Ok(None) };
        // systemd would take the restart on the way back for the one that is asked about.
        if let Some(answer) = self.switches.reverted(entry.id.rollout).await {
            return Ok(Some(answer));
        }
        let context = self.context(entry.id, operation, CancellationToken::new(), true)?;
        operations::unit::settle(&context, unit, mark).await
    }

    /// The policy is read anew for each operation, so that an edit counts at once.
    pub(crate) fn context(
        &self,
        id: CommandId,
        operation: &Operation,
        cancel: CancellationToken,
        resumed: bool,
    ) -> Result<Context, Halt> {
        let refused = |why| Halt::from(OpResult::Refused(why));
        let policy = (self.ports.policy)().map_err(|e| refused(e.to_string()))?;
        policy.allows_all(&operation.subjects()).map_err(refused)?;
        Ok(Context {
            command: id,
            switches: self.switches.clone(),
            config: self.config.clone(),
            ports: self.ports.clone(),
            policy,
            limits: Limits::new(operation.time_limit(), cancel),
            units: OnceLock::new(),
            progress: Progress::new(id, Arc::clone(&self.outbox)),
            resumed,
            mark: None,
        })
    }

    /// A new entry of the ledger.
    fn entry(&self, id: CommandId, operation: Option<Operation>) -> Entry {
        let began = self.ports.outside.now();
        let (given, mark, outcome, unfinished, acknowledged) = Default::default();
        Entry { id, operation, given, began, mark, outcome, unfinished, acknowledged }
    }

    async fn known(&self, id: CommandId) -> Known {
        if let Some(entry) = self.unwritten.find(id) {
            return Known::Ended(entry);
        }
        self.ledger.with(move |ledger| ledger.known(id)).await
    }
}

fn outcome(command: CommandId, began: Timestamp, took: Span, attempt: Attempt) -> Outcome {
    let Attempt { result, output, evidence, .. } = attempt;
    fit::fitted(Outcome { command, given: None, result, began, took, output, evidence })
}

/// Nobody saw its end.
fn cut_off(result: OpResult) -> Attempt {
    Attempt { unfinished: true, ..result.into() }
}

/// systemd could not be asked about a restart that the agent died in.
pub(crate) fn doubtful(attempt: Attempt) -> Attempt {
    let result = OpResult::Unknown(format!(
        "the agent died while it ran, and could not find out whether it was done: {}",
        attempt.result
    ));
    Attempt { result, ..attempt }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic under this lock")
}

#[cfg(test)]
mod tests;
