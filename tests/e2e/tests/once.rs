//! kill -9 of the coordinator and of agents around everything that happens once: it is never done twice, never silently
//! not at all, and where nobody can know, a person is asked.
//!
//! One rollout and its way back carry a whole row of the table: a coordinator that dies disturbs no step, so it dies at
//! every moment of each; a step whose agent died begins anew when a person has said that it was not done.

use std::time::Duration;

use dv_e2e::{
    bed::HOSTS,
    database::{self, Lock},
    held::{forget, hold, in_the_middle_of_its_restart, let_go, reached, release, turn},
    machine::Machine,
    manifest::{Manifest, Shape},
    scenario::Scenario,
    wait::until,
};
use dv_types::{
    CommandId, Report,
    record::{PauseWhy, Verdict},
    report::{OnceReport, OnceState, State},
};

const SOON: Duration = Duration::from_secs(60);
const AGENT: &str = "dv-agent.service";
const COORDINATOR: &str = "dv-coordinator.service";

/// Something that happens once, and how it can be watched and held.
struct Step {
    /// Its name in the rollout.
    name: &'static str,
    /// Where it happens.
    host: &'static str,
    /// What its knobs begin with.
    knob: &'static str,
    /// What the database calls it.
    what: &'static str,
}

const BACKUP: Step = Step { name: "backup", host: "h1", knob: "backup", what: "backup create" };
const MIGRATE: Step = Step { name: "migrate", host: "h2", knob: "upgrade", what: "db upgrade" };
const DOWNGRADE: Step =
    Step { name: "downgrade", host: "h2", knob: "downgrade", what: "db downgrade" };
const RESTORE: Step = Step { name: "restore", host: "h1", knob: "restore", what: "backup restore" };
/// A command like any other to dv. That it is a backup, on a host where no other is made, lets it be watched and held.
const RUN: Step = Step { name: "run-5", host: "h4", knob: "backup", what: "backup create" };
const UNDO_RUN: Step =
    Step { name: "undo-run-5", host: "h4", knob: "restore", what: "backup restore" };

impl Step {
    fn before(&self) -> String {
        format!("{}-hold-before", self.knob)
    }

    fn after(&self) -> String {
        format!("{}-hold-after", self.knob)
    }
}

/// In front of each step but the first another waits here, until the test lets it go.
const THRESHOLD: (&str, &str) = ("h3", "check-hold-before");
/// The smoke tests, and where they log in.
const SMOKE_CANARY: (&str, &str) = ("smoke-canary", "h1");
const SMOKE: (&str, &str) = ("smoke", "h5");
const LOGIN: &str = "login-hold";

/// A rollout whose every step that happens once waits for the test.
struct Held {
    scenario: Scenario,
    manifest: Manifest,
}

impl Held {
    #[track_caller]
    fn begin(name: &str) -> Self {
        let scenario = Scenario::begin(name);
        let look = "[/usr/local/bin/debvisor-release, run, v3-reversible, debvisor-cli, db, check]";
        let threshold =
            format!("run: {{argv: {look}, undo: {look}, once: {{host: {}}}}}", THRESHOLD.0);
        let tagged = |verb: &str| {
            format!(
                "[/usr/local/bin/debvisor-release, run, v3-reversible, debvisor-cli, backup, {verb}, --tag, \"by-run-${{rollout}}\"]"
            )
        };
        let run = format!(
            "run: {{argv: {}, undo: {}, once: {{host: {}}}}}",
            tagged("create"),
            tagged("restore"),
            RUN.host
        );
        let manifest = scenario
            .playbook(["{host: h1}", "{host: h2}"])
            .at(1, &threshold)
            .at(3, &threshold)
            .at(4, &run)
            .with("canary", "1")
            .with("auto_promote", "true")
            .with("max_parallel", "100%")
            .with("min_healthy_time", "0s");
        scenario.baseline(&manifest, "v2");
        database::prepare(&scenario.bed, "v2");
        Self { scenario, manifest }
    }

    fn host(&self, name: &str) -> &Machine {
        self.scenario.host(name)
    }

    fn coordinator(&self) -> &Machine {
        &self.scenario.bed.coordinator
    }

    /// Begins a rollout of v3-reversible.
    #[track_caller]
    fn start(&self, more: &[&str]) {
        turn(self.host(THRESHOLD.0), THRESHOLD.1, "");
        let start = self.scenario.starting(&self.manifest, "v3-reversible");
        let start: Vec<_> = start.iter().map(String::as_str).chain(["--detach"]).collect();
        self.scenario.dvctl.run(&[&start[..], more].concat()).exits(0);
    }

    /// Begins the way back.
    #[track_caller]
    fn roll_back(&self, arguments: &[&str]) {
        turn(self.host(THRESHOLD.0), THRESHOLD.1, "");
        let command = ["rollback", &self.scenario.service, "--detach"];
        self.scenario.dvctl.run(&[&command[..], arguments].concat()).exits(0);
    }

    /// `step` will wait before its work and after it.
    #[track_caller]
    fn hold(&self, step: &Step) {
        turn(self.host(step.host), &step.before(), "");
        turn(self.host(step.host), &step.after(), "");
    }

    /// The step in front of `step` waits. The agent that is to carry `step` out stops where it is, so that what it is told
    /// does not get through; then the step in front goes on.
    #[track_caller]
    fn is_told(&self, step: &Step) {
        reached(self.host(THRESHOLD.0), THRESHOLD.1);
        self.hold(step);
        // A coordinator that has just begun is dialled again in time, and one that hears nothing tells nothing.
        until(SOON, "five hosts to be in contact", || self.scenario.dvctl.all_connected());
        self.host(step.host).freeze(AGENT);
        self.pass_threshold();
        self.once(step.name, "to be told", |once| once.state == OnceState::Working);
        // What comes in front of the next one waits too.
        turn(self.host(THRESHOLD.0), THRESHOLD.1, "");
        let begun = self.counts(step).0;
        assert_eq!(begun, 0, "{} has not begun", step.name);
    }

    /// How often a step was begun on its host, and how often it was done.
    #[track_caller]
    fn counts(&self, step: &Step) -> (usize, usize) {
        database::counts_on(&self.scenario.bed, step.what, step.host)
    }

    /// Waits until the coordinator answers and says this of something that happens once.
    #[track_caller]
    fn once(&self, name: &str, what: &str, said: impl Fn(&OnceReport) -> bool) -> OnceReport {
        until(SOON, &format!("{name} {what}"), || {
            let report = self.scenario.try_report()?;
            let found = report.once.iter().find(|once| once.name == name);
            let found = found.ok_or_else(|| format!("no {name} in {report:?}"))?;
            if said(found) { Ok(found.clone()) } else { Err(format!("{found:?}")) }
        })
    }

    /// Waits until the rollout has ended.
    #[track_caller]
    fn ended(&self, verdict: Verdict) -> Report {
        until(SOON, "the rollout to end", || {
            let report = self.scenario.try_report()?;
            match report.state {
                State::Ended(seen) if seen == verdict => Ok(report),
                _ => Err(format!("{:?}, waits for {:?}", report.state, report.waiting)),
            }
        })
    }

    /// The coordinator dies, and another begins.
    #[track_caller]
    fn kill_coordinator(&self) {
        self.coordinator().replace(COORDINATOR);
    }

    /// The coordinator dies when a step is told and not begun; then at every moment of it.
    #[track_caller]
    fn coordinator_dies_around(&self, step: &Step) {
        self.is_told(step);
        self.kill_coordinator();
        self.host(step.host).thaw(AGENT);
        self.coordinator_dies_during(step);
    }

    /// The coordinator dies at every moment of a step; it was done once, and nobody was asked.
    #[track_caller]
    fn coordinator_dies_during(&self, step: &Step) {
        let host = self.host(step.host);
        reached(host, &step.before());
        // In the middle of its work.
        let lock = Lock::take(&self.scenario.bed);
        let_go(host, &step.before());
        lock.is_waited_for();
        self.kill_coordinator();
        lock.release();
        // Its work done, and its end told to nobody.
        reached(host, &step.after());
        let told = self.once(step.name, "to be under way", |once| once.state == OnceState::Working);
        self.coordinator().freeze(COORDINATOR);
        let_go(host, &step.after());
        ended_on(host, told.command.expect("it was told"));
        self.kill_coordinator();
        self.once(step.name, "to be done", |once| {
            once.state == OnceState::Done && once.resolved_by.is_none()
        });
        assert_eq!(self.counts(step), (1, 1), "{}", step.name);
    }

    /// The host starts the new version and waits in it: the smoke test comes next.
    #[track_caller]
    fn is_before_the_smoke_test(&self, host: &Machine) {
        in_the_middle_of_its_restart(host);
        turn(host, LOGIN, "");
    }

    /// The coordinator dies right before a smoke test, in the middle of it, and when it has ended and its end was told
    /// to nobody. It logged in once.
    #[track_caller]
    fn coordinator_dies_around_the_smoke_test(&self, (name, host): (&str, &str)) {
        let host = self.host(host);
        self.is_before_the_smoke_test(host);
        self.kill_coordinator();
        release(host);
        reached(host, LOGIN);
        self.kill_coordinator();
        let told = self.once(name, "to be under way", |once| once.state == OnceState::Working);
        self.coordinator().freeze(COORDINATOR);
        let_go(host, LOGIN);
        ended_on(host, told.command.expect("it was told"));
        self.kill_coordinator();
        self.once(name, "to be done", |once| {
            once.state == OnceState::Done && once.resolved_by.is_none()
        });
        assert_eq!(pages(host), 3, "{name}: the form, the log-in and the dashboard, once");
    }

    /// The agent dies right before a smoke test, and nobody is asked; then while it logs in, and when it has logged in:
    /// a session writes, so it is not begun again by itself.
    #[track_caller]
    fn agent_dies_around_the_smoke_test(&self, (name, host): (&str, &str)) {
        let host = self.host(host);
        self.is_before_the_smoke_test(host);
        host.replace(AGENT);
        release(host);
        reached(host, LOGIN);
        host.replace(AGENT);
        self.asks_about(name);
        let_go(host, LOGIN);
        served(host, 2);
        turn(host, LOGIN, "");
        self.resolve(name, "not-done");
        reached(host, LOGIN);
        host.freeze(AGENT);
        let_go(host, LOGIN);
        served(host, 4);
        host.replace(AGENT);
        self.asks_about(name);
        self.resolve(name, "done");
        self.once(name, "to be done", |once| {
            once.state == OnceState::Done && once.resolved_by.is_some()
        });
        assert_eq!(pages(host), 4, "{name} is not begun again");
    }

    /// The agent dies when a step is told and not begun, and nobody is asked; then at every moment of it.
    #[track_caller]
    fn agent_dies_around(&self, step: &Step) {
        self.is_told(step);
        self.host(step.host).replace(AGENT);
        self.agent_dies_during(step);
    }

    /// The agent dies at every moment of a step. Each time a person is asked, and it is done again only when the person
    /// says so.
    #[track_caller]
    fn agent_dies_during(&self, step: &Step) {
        let bed = &self.scenario.bed;
        let host = self.host(step.host);
        reached(host, &step.before());
        // Begun, its work still to come.
        host.replace(AGENT);
        self.asks_about(step.name);
        assert_eq!(self.counts(step), (1, 0), "{} is not begun again", step.name);
        forget(host, &step.before());
        self.resolve(step.name, "not-done");
        // In the middle of its work.
        reached(host, &step.before());
        let lock = Lock::take(bed);
        let_go(host, &step.before());
        lock.is_waited_for();
        host.replace(AGENT);
        self.asks_about(step.name);
        lock.release();
        assert_eq!(self.counts(step), (2, 0), "{} is not begun again", step.name);
        self.resolve(step.name, "not-done");
        // Its work done, and the end told to nobody.
        reached(host, &step.after());
        host.freeze(AGENT);
        let_go(host, &step.after());
        until(SOON, &format!("{} to be done", step.name), || match self.counts(step) {
            (3, 1) => Ok(()),
            seen => Err(format!("{seen:?}")),
        });
        host.replace(AGENT);
        self.asks_about(step.name);
        self.resolve(step.name, "done");
        self.once(step.name, "to be done", |once| {
            once.state == OnceState::Done && once.resolved_by.is_some()
        });
        assert_eq!(self.counts(step), (3, 1), "{} is not begun again", step.name);
    }

    /// Waits until the rollout has stopped and asks whether a step was done.
    #[track_caller]
    fn asks_about(&self, step: &str) {
        until(SOON, &format!("somebody to be asked about {step}"), || {
            let report = self.scenario.try_report()?;
            match &report.state {
                State::Paused(PauseWhy::OnceUnknown { once, .. }) if once == step => Ok(()),
                state => Err(format!("{state:?}")),
            }
        });
        let id = self.scenario.report().rollout.to_string();
        // Going on is no answer.
        let refused = self.scenario.dvctl.run(&["rollout", "resume", &id, "--reason", "no answer"]);
        assert_eq!(refused.code, Some(3), "{refused}");
        assert!(refused.stderr.contains("dvctl rollout resolve"), "it says what to do\n{refused}");
    }

    #[track_caller]
    fn resolve(&self, step: &str, answer: &str) {
        let id = self.scenario.report().rollout.to_string();
        let resolve = ["rollout", "resolve", &id, step, "--as", answer, "--reason", "looked"];
        self.scenario.dvctl.run(&resolve).exits(0);
    }

    /// Lets the step in front of the next go.
    #[track_caller]
    fn pass_threshold(&self) {
        let_go(self.host(THRESHOLD.0), THRESHOLD.1);
    }

    /// What happened to the data ever since, all ways there and back behind it.
    #[track_caller]
    fn is_back_at_v2(&self) {
        self.scenario.all_run(Shape::Unit, "v2");
        assert_eq!(database::migrations(&self.scenario.bed), ["0001-users", "0002-user-email"]);
        let addresses = database::addresses(&self.scenario.bed, "email");
        assert_eq!(addresses, ["ada@example.com", "grace@example.com"]);
    }
}

/// How many pages the service has shown on a host since its start.
fn pages(host: &Machine) -> usize {
    let metrics = host.exec(&["curl", "--silent", "http://127.0.0.1:8080/metrics"]).ok();
    let counters = metrics.lines().filter(|line| line.starts_with("debvisor_requests_total{"));
    let count = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse::<usize>().ok());
    counters.map(|line| count(line).expect("a counter counts")).sum()
}

/// Waits until the service has shown so many pages.
#[track_caller]
fn served(host: &Machine, count: usize) {
    until(SOON, &format!("{} to have shown {count} pages", host.name), || match pages(host) {
        seen if seen == count => Ok(()),
        seen => Err(seen.to_string()),
    });
}

/// Waits until the host's own record of a command says how it ended.
#[track_caller]
fn ended_on(host: &Machine, command: CommandId) {
    let entry = format!("/var/lib/dv-agent/ledger/{command}.json");
    until(SOON, &format!("{command} to have ended on {}", host.name), || {
        host.exec(&["grep", "--quiet", "\"outcome\"", &entry]).result()
    });
}

#[test]
fn a_coordinator_that_dies_around_each_step_that_happens_once_has_it_done_once() {
    let held = Held::begin("once-coordinator");
    hold(held.host(SMOKE_CANARY.1));
    hold(held.host(SMOKE.1));
    held.hold(&BACKUP);
    held.start(&[]);
    // It comes first, so nothing can wait in front of it: begun, its work still to come.
    reached(held.host(BACKUP.host), &BACKUP.before());
    held.kill_coordinator();
    held.coordinator_dies_during(&BACKUP);
    held.coordinator_dies_around(&MIGRATE);
    held.coordinator_dies_around(&RUN);
    held.coordinator_dies_around_the_smoke_test(SMOKE_CANARY);
    held.coordinator_dies_around_the_smoke_test(SMOKE);
    held.ended(Verdict::Succeeded);
    held.scenario.all_run(Shape::Unit, "v3-reversible");

    held.hold(&UNDO_RUN);
    held.roll_back(&[]);
    held.coordinator_dies_during(&UNDO_RUN);
    held.coordinator_dies_around(&DOWNGRADE);
    held.ended(Verdict::Succeeded);
    held.is_back_at_v2();

    held.start(&["--force", "--reason", "once more"]);
    held.pass_threshold();
    let id = held.ended(Verdict::Succeeded).rollout.to_string();
    held.roll_back(&["--restore-backup", "--confirm", &id]);
    held.coordinator_dies_around(&RESTORE);
    held.ended(Verdict::Succeeded);
    held.is_back_at_v2();
}

#[test]
fn an_agent_that_dies_around_each_step_that_happens_once_leaves_a_question() {
    let held = Held::begin("once-agent");
    hold(held.host(SMOKE_CANARY.1));
    hold(held.host(SMOKE.1));
    held.hold(&BACKUP);
    held.start(&[]);
    held.agent_dies_during(&BACKUP);
    held.agent_dies_around(&MIGRATE);
    held.agent_dies_around(&RUN);
    held.agent_dies_around_the_smoke_test(SMOKE_CANARY);
    held.agent_dies_around_the_smoke_test(SMOKE);
    let id = held.ended(Verdict::Succeeded).rollout.to_string();
    held.scenario.all_run(Shape::Unit, "v3-reversible");

    // What the migrations did only a person has said, and not in full: nothing is guessed from it.
    let refused = held.scenario.dvctl.run(&["rollback", &held.scenario.service]).exits(3);
    assert!(refused.stderr.contains("nobody knows what the migrations"), "{refused}");
    held.hold(&UNDO_RUN);
    held.roll_back(&["--restore-backup", "--confirm", &id]);
    held.agent_dies_during(&UNDO_RUN);
    held.agent_dies_around(&RESTORE);
    held.ended(Verdict::Succeeded);
    held.is_back_at_v2();

    held.start(&["--force", "--reason", "once more"]);
    held.pass_threshold();
    held.ended(Verdict::Succeeded);
    held.roll_back(&[]);
    held.agent_dies_around(&DOWNGRADE);
    held.ended(Verdict::Succeeded);
    held.is_back_at_v2();
}

#[test]
fn a_host_that_is_made_anew_in_the_middle_of_a_step_is_not_told_it_again() {
    let held = Held::begin("once-anew");
    held.hold(&BACKUP);
    held.start(&[]);
    let host = held.host(BACKUP.host);
    reached(host, &BACKUP.before());
    // All that the agent knew is gone, and another of the same name comes.
    host.kill9(AGENT);
    host.script("systemctl stop dv-agent; rm -r /var/lib/dv-agent").ok();
    let_go(host, &BACKUP.before());
    let_go(host, &BACKUP.after());
    let (_, zone) = HOSTS.iter().find(|(name, _)| *name == BACKUP.host).expect("it is a host");
    let token = held.scenario.dvctl.token(BACKUP.host, &[("role", "web"), ("zone", zone)]);
    let enrol = ["dv-agent", "enrol", "--token-file", "-", "--host", BACKUP.host];
    host.exec_with(&enrol, token.expect("a token is made").as_bytes()).ok();
    host.exec(&["systemctl", "start", AGENT]).ok();

    held.asks_about(BACKUP.name);
    let state = held.scenario.report().state;
    assert!(
        matches!(&state, State::Paused(PauseWhy::OnceUnknown { known, .. }) if known.contains("has enrolled anew")),
        "it says why: {state:?}"
    );
    assert_eq!(held.counts(&BACKUP), (1, 0), "it is not begun again");
    held.resolve(BACKUP.name, "not-done");
    held.pass_threshold();
    held.ended(Verdict::Succeeded);
    assert_eq!(held.counts(&BACKUP), (2, 1), "once more, because somebody said so");
}
