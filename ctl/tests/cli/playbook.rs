//! A rollout in which everything of the playbook happens. Display's own tests use it as well.

use dv_types::{
    CommandId, Digest, Evidence, Fact, GateAnswer, Judgement, Migration, MigrationKind, OpResult,
    Operation, Outcome, Plan, Record, Report, RolloutId, Sample, Schema, Span, Timestamp,
    gate::Answer,
    manifest::OnFailure,
    monitor::{MonitorVerdict, Seen, Watching},
    outcome::{ImageId, Output, Tags},
    plan::{Barrier, Database, Kind, PlannedOnce, Turn, Way},
    record::{Condemner, PauseWhy, Verb, Verdict},
    report::{GateReport, MonitorReport, OnceReport, OnceState, Phase, State},
};

use super::sample::{ID, Journal, at, host, plan, report, reversal};

/// What the coordinator knows of a rollout.
pub(crate) struct Told {
    pub(crate) plan: Plan,
    pub(crate) records: Vec<Record>,
    pub(crate) report: Report,
}

const SUM: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn digest(digit: &str) -> Digest {
    Digest::new(format!("sha256:{}", digit.repeat(64))).unwrap()
}

fn image(digit: &str) -> ImageId {
    ImageId { id: digest("c"), digest: Some(digest(digit)) }
}

pub(crate) fn expand() -> Migration {
    Migration { name: "0007_add_tags".to_owned(), kind: MigrationKind::Expand }
}

/// [`plan`] with gates, a backup, migrations, a smoke test and a monitor.
pub(crate) fn playbook_plan() -> Plan {
    let mut plan = plan();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    plan.manifest = serde_json::from_value(serde_json::json!({
        "service": "app",
        "hosts": { "labels": { "role": "web" } },
        "gates": {
            "reviewed": { "forge": "forge", "repository": "shop/app" },
            "tests": { "forge": "forge", "repository": "shop/app", "checks": ["unit", "e2e"] },
            "disk": { "path": "/", "free": "2GiB" },
        },
        "steps": [{ "restart": { "unit": "app.service" } }],
        "health": { "ready": { "http": "http://localhost:8080/health/ready" } },
        "monitor": { "duration": "5m", "canary": "1m" },
        "strategy": { "canary": 1 },
    }))
    .unwrap();
    plan.gates = ["reviewed", "tests", "disk"].map(str::to_owned).into();
    plan.monitor = plan.manifest.monitor.clone();
    plan.schema = Some(Schema { head: Some("0006".to_owned()), pending: vec![expand()] });
    let tag =
        Operation::TagImage { repository: "r.example.com/app".to_owned(), digest: digest("b") };
    plan.programs[0].operations.insert(0, tag);
    plan.programs[0].barriers =
        vec![Barrier { before: 0, once: 0 }, Barrier { before: 1, once: 1 }];
    let timeout = Span::from_secs(600);
    let smoke = || Operation::Smoke {
        smoke: serde_json::from_value(serde_json::json!({ "session": [{ "get": "/" }] })).unwrap(),
        base: Some("http://localhost:8080".to_owned()),
    };
    let once = |name: &str, turn, operation| PlannedOnce {
        name: name.to_owned(),
        turn,
        hosts: vec![host("web1")],
        operation,
    };
    plan.once = vec![
        once(
            "backup",
            Turn::Steps,
            Operation::Backup {
                create: words("backup-app v2"),
                proof: serde_json::from_value(
                    serde_json::json!({ "file": "/var/backups/v2.dump" }),
                )
                .unwrap(),
                timeout,
            },
        ),
        once(
            "migrate",
            Turn::Steps,
            Operation::Migrate {
                check: words("app db heads"),
                upgrade: words("app db upgrade"),
                kinds: Default::default(),
                timeout,
            },
        ),
        once("smoke-canary", Turn::Canary, smoke()),
        once("smoke", Turn::End, smoke()),
    ];
    plan
}

fn answer(gate: &str, answer: Answer, why: &str, evidence: &[&str]) -> Fact {
    let evidence = evidence.iter().map(|text| (*text).to_owned()).collect();
    Fact::GateAnswered {
        answer: GateAnswer { gate: gate.to_owned(), answer, why: why.to_owned(), evidence },
    }
}

pub(crate) fn backup() -> Evidence {
    Evidence::Backup {
        size: 1_258_291,
        created: Some(at(4)),
        sha256: Some(SUM.to_owned()),
        file: Some("/var/backups/v2.dump".to_owned()),
    }
}

fn schema() -> Evidence {
    let (before, after) = (Some("0006".to_owned()), Some("0007".to_owned()));
    Evidence::Schema { before, after, changed: vec![expand()], omitted: 0 }
}

fn requests() -> Evidence {
    Evidence::Smoke {
        requests: vec!["GET /: 200 in 12ms".to_owned(), "POST /login: 302 in 40ms".to_owned()],
    }
}

pub(crate) fn operator(verb: Verb, reason: &str) -> Fact {
    Fact::Operator { by: "ann".to_owned(), verb, reason: Some(reason.to_owned()) }
}

impl Journal {
    /// A host is told to do what happens once, and says what became of it.
    pub(crate) fn once(
        self,
        secs: i64,
        once: u32,
        result: OpResult,
        evidence: Option<Evidence>,
    ) -> Self {
        let tail = if result.is_done() { "" } else { "GET /login: 500 <h1>Oops</h1>\n" };
        let (journal, command) = self.once_begun(secs, once);
        let outcome = outcome(command, secs, result, tail, evidence);
        journal.then(secs + 2, Fact::OnceReported { once, host: host("web1"), outcome })
    }

    pub(crate) fn once_begun(mut self, secs: i64, once: u32) -> (Self, CommandId) {
        self.commands += 1;
        let command = CommandId { rollout: self.id, number: self.commands };
        (self.then(secs, Fact::OnceCommanded { once, host: host("web1"), command }), command)
    }

    /// A host changes its tags, restarts, and is well.
    fn updated(mut self, secs: i64, name: &str) -> Self {
        self.commands += 1;
        let command = CommandId { rollout: self.id, number: self.commands };
        let evidence = Evidence::Tags {
            before: Tags { latest: Some(image("a")), previous: None },
            after: Tags { latest: Some(image("b")), previous: Some(image("a")) },
        };
        let outcome = outcome(command, secs, OpResult::Done, "", Some(evidence));
        self.then(secs, Fact::Commanded { host: host(name), command, attempt: 1, step: 0 })
            .then(secs + 2, Fact::Reported { host: host(name), outcome })
            .done(secs + 2, name, 1)
            .done(secs + 6, name, 2)
            .then(secs + 10, Fact::HostHealthy { host: host(name) })
    }

    /// The service is watched for `n` intervals of ten seconds; a share of the new hosts' requests fails.
    fn watched(self, secs: i64, watching: Watching, n: i64, bad: f64) -> Self {
        let start = self.then(secs, Fact::MonitorStarted { watching });
        (1..=n).fold(start, |journal, i| {
            journal.then(secs + i * 10, Fact::Sampled { sample: seen(i, watching, bad) })
        })
    }

    fn judged(self, secs: i64, watching: Watching, verdict: MonitorVerdict, why: &str) -> Self {
        let judgement = Judgement { verdict, why: why.to_owned() };
        self.then(secs, Fact::Judged { watching, judgement })
    }

    /// The gates answer, the backup is made, the migrations are applied.
    fn prepared(self, gate: bool) -> Self {
        let evidence = ["https://forge.example.com/shop/app/pulls/17", "approved by bob"];
        let journal = self
            .then(1, answer("reviewed", Answer::Pass, "pull request 17 is merged", &evidence))
            .then(1, answer("disk", Answer::Pass, "every host has 2GiB free on /", &[]));
        let journal = if gate {
            let why = "the check e2e has not ended";
            journal
                .then(
                    1,
                    answer("tests", Answer::CannotTell, why, &["unit: success", "e2e: pending"]),
                )
                .then(
                    2,
                    Fact::Paused {
                        why: PauseWhy::Gate { gate: "tests".to_owned(), why: why.to_owned() },
                    },
                )
                .then(
                    32,
                    operator(
                        Verb::Override { gate: "tests".to_owned() },
                        "e2e hangs since the runner was moved; green by hand",
                    ),
                )
        } else {
            journal.then(2, answer("tests", Answer::Pass, "unit, e2e succeeded", &[]))
        };
        journal.once(33, 0, OpResult::Done, Some(backup())).then(36, Fact::WaveStarted { wave: 0 })
    }
}

pub(crate) fn outcome(
    command: CommandId,
    secs: i64,
    result: OpResult,
    tail: &str,
    evidence: Option<Evidence>,
) -> Outcome {
    Outcome {
        command,
        given: None,
        result,
        began: at(secs),
        took: Span::from_millis(2_000),
        output: Output { tail: tail.to_owned(), dropped: 0 },
        evidence,
    }
}

/// The sample of interval `i`: nobody asks anything in every seventh.
fn seen(i: i64, watching: Watching, bad: f64) -> Sample {
    let wave = ((i * 7 % 5) as f64) / 10.0;
    let quiet = i % 7 == 0;
    let group = |share: f64, latency: f64| {
        let requests = if quiet { 0.0 } else { 2000.0 + 200.0 * wave };
        Seen {
            hosts: 1,
            requests,
            errors: (requests * share).round(),
            latency_p99: (!quiet).then_some(latency * (1.0 + wave)),
        }
    };
    let old = (watching == Watching::Canary).then(|| group(0.004 * wave, 0.11));
    Sample { new: group(bad + 0.005 * wave, 0.12 + bad), old, trouble: None }
}

fn onces(records: &[Record], plan: &Plan) -> Vec<OnceReport> {
    let mut all: Vec<OnceReport> = plan
        .once
        .iter()
        .map(|once| OnceReport {
            name: once.name.clone(),
            operation: once.operation.to_string(),
            state: OnceState::Pending,
            host: None,
            command: None,
            since: None,
            took: None,
            result: None,
            evidence: None,
            resolved_by: None,
        })
        .collect();
    for record in records {
        match &record.fact {
            Fact::OnceCommanded { once, host, command } => {
                let once = &mut all[*once as usize];
                (once.state, once.host) = (OnceState::Working, Some(host.clone()));
                (once.command, once.since) = (Some(*command), Some(record.at));
            }
            Fact::OnceReported { once, outcome, .. } => {
                let once = &mut all[*once as usize];
                let done = outcome.result.is_done();
                once.state = if done { OnceState::Done } else { OnceState::Failed };
                (once.took, once.evidence) = (Some(outcome.took), outcome.evidence.clone());
                once.result = Some(outcome.result.clone());
            }
            Fact::OnceLost { once, .. } => all[*once as usize].state = OnceState::Unknown,
            Fact::Operator { by, verb: Verb::Resolve { once, done }, .. } => {
                let once = all.iter_mut().find(|known| known.name == *once).unwrap();
                once.state = if *done { OnceState::Done } else { OnceState::Pending };
                once.resolved_by = Some(by.clone());
            }
            _ => {}
        }
    }
    all
}

fn monitors(records: &[Record]) -> Vec<MonitorReport> {
    let mut all: Vec<MonitorReport> = Vec::new();
    for record in records {
        match (&record.fact, all.last_mut()) {
            (Fact::MonitorStarted { watching }, _) => all.push(MonitorReport {
                watching: *watching,
                since: record.at,
                until: Span::from_secs(300).after(record.at),
                samples: 0,
                last: None,
                judgement: None,
            }),
            (Fact::Sampled { sample }, Some(watch)) => {
                watch.samples += 1;
                watch.last = Some(sample.clone());
            }
            (Fact::Judged { judgement, .. }, Some(watch)) => {
                watch.judgement = Some(judgement.clone());
            }
            _ => {}
        }
    }
    all
}

fn gates(records: &[Record], plan: &Plan) -> Vec<GateReport> {
    let of = |gate: &String| {
        let mut report = GateReport { gate: gate.clone(), answer: None, overridden: None };
        for record in records {
            match &record.fact {
                Fact::GateAnswered { answer } if answer.gate == *gate => {
                    report.answer = Some(answer.clone());
                }
                Fact::Operator { by, verb: Verb::Override { gate: g }, .. } if g == gate => {
                    report.overridden = Some(by.clone());
                }
                _ => {}
            }
        }
        report
    };
    plan.gates.iter().map(of).collect()
}

/// What the coordinator reports after these records.
pub(crate) fn told(
    id: RolloutId,
    plan: Plan,
    records: Vec<Record>,
    state: State,
    phases: &[Phase],
) -> Told {
    let mut report = report(id, &plan, state, phases);
    let last = records.last().unwrap();
    report.record = last.number;
    report.ended = matches!(report.state, State::Ended(_)).then_some(last.at);
    report.gates = gates(&records, &plan);
    report.once = onces(&records, &plan);
    report.monitor = monitors(&records);
    report.database = plan.database.clone();
    let applied = report.once.iter().filter_map(|once| once.evidence.as_ref());
    report.migrations = applied
        .flat_map(|evidence| match evidence {
            Evidence::Schema { changed, .. } => changed.clone(),
            _ => Vec::new(),
        })
        .collect();
    for host in &mut report.hosts {
        let times = records.iter().filter(|record| match &record.fact {
            Fact::Commanded { host: h, .. } | Fact::HostHealthy { host: h } => *h == host.name,
            _ => false,
        });
        let times: Vec<Timestamp> = times.map(|record| record.at).collect();
        host.began = times.first().copied();
        host.ended = if host.phase == Phase::Healthy { times.last().copied() } else { host.ended };
    }
    Told { plan, records, report }
}

/// It succeeds: a gate is overridden, and a person says that the migrations were applied.
pub(crate) fn whole() -> Told {
    let plan = playbook_plan();
    let (journal, _) = Journal::new(ID).prepared(true).once_begun(38, 1);
    let known = "the agent of web1 was told at 03:04:43 and is not heard since".to_owned();
    let unknown = PauseWhy::OnceUnknown { once: "migrate".to_owned(), known: known.clone() };
    let journal = journal
        .then(98, Fact::OnceLost { once: 1, known })
        .then(98, Fact::Paused { why: unknown })
        .then(
            160,
            operator(
                Verb::Resolve { once: "migrate".to_owned(), done: true },
                "alembic_version says 0007",
            ),
        )
        .updated(161, "web1")
        .once(172, 2, OpResult::Done, Some(requests()))
        .watched(175, Watching::Canary, 6, 0.0)
        .judged(
            235,
            Watching::Canary,
            MonitorVerdict::Pass,
            "0.10 % of 10200 requests failed (old: 0.08 %)",
        )
        .then(235, Fact::CanaryHealthy { wave: 0 })
        .then(240, operator(Verb::Promote, "looks good"))
        .then(240, Fact::WaveStarted { wave: 1 })
        .updated(241, "web2")
        .updated(252, "web3")
        .once(263, 3, OpResult::Done, Some(requests()))
        .watched(265, Watching::Fleet, 30, 0.0)
        .judged(565, Watching::Fleet, MonitorVerdict::Pass, "0.10 % of 53000 requests failed")
        .ended(Verdict::Succeeded, false);
    told(ID, plan, journal.records, State::Ended(Verdict::Succeeded), &[Phase::Healthy; 3])
}

/// The canary's errors condemn it, and it is taken back by r43.
pub(crate) fn condemned() -> Told {
    let why = "6.2 % of 6100 requests failed, and error_percent is 1";
    let journal = Journal::new(ID)
        .prepared(false)
        .once(38, 1, OpResult::Done, Some(schema()))
        .updated(41, "web1")
        .once(52, 2, OpResult::Done, Some(requests()))
        .watched(55, Watching::Canary, 3, 0.06)
        .judged(85, Watching::Canary, MonitorVerdict::Fail, why)
        .then(85, Fact::Condemned { by: Condemner::Monitor, why: why.to_owned() })
        .ended(Verdict::Failed, true);
    let phases = [Phase::Healthy, Phase::Pending, Phase::Pending];
    let state = State::Ended(Verdict::Failed);
    let mut told = told(ID, playbook_plan(), journal.records, state, &phases);
    (told.report.rollback, told.report.reversed_by) = (true, Some(RolloutId(43)));
    told
}

/// The way back of [`condemned`].
pub(crate) fn way_back() -> Told {
    let id = RolloutId(43);
    let mut plan = reversal();
    let why = "all migrations that ran are expand: v1 runs on the schema".to_owned();
    plan.database = Some(Database { way: Way::Code, why });
    assert_eq!(plan.kind, Kind::Reversal { of: ID });
    let journal = Journal::begun(id, 90)
        .then(90, Fact::WaveStarted { wave: 0 })
        .healthy(91, "web1")
        .ended(Verdict::Succeeded, false);
    told(id, plan, journal.records, State::Ended(Verdict::Succeeded), &[Phase::Healthy])
}

/// The migrations are under way.
pub(crate) fn migrating() -> Told {
    let (journal, _) = Journal::new(ID).prepared(true).once_begun(38, 1);
    let phases = [Phase::Pending, Phase::Pending, Phase::Pending];
    told(ID, playbook_plan(), journal.records, State::Running, &phases)
}

/// The canary is watched.
pub(crate) fn watching() -> Told {
    let journal = Journal::new(ID)
        .prepared(false)
        .once(38, 1, OpResult::Done, Some(schema()))
        .updated(41, "web1")
        .once(52, 2, OpResult::Done, Some(requests()))
        .watched(55, Watching::Canary, 3, 0.0);
    let phases = [Phase::Healthy, Phase::Pending, Phase::Pending];
    told(ID, playbook_plan(), journal.records, State::Running, &phases)
}

/// The smoke test of the canary fails, and the manifest says that a person decides.
pub(crate) fn failed_smoke() -> Told {
    let mut plan = playbook_plan();
    plan.limits.on_failure = OnFailure::Pause;
    let why = "GET /login: 500, and 200 is expected".to_owned();
    let by = Condemner::Once { once: "smoke-canary".to_owned() };
    let journal = Journal::new(ID)
        .prepared(false)
        .once(38, 1, OpResult::Done, Some(schema()))
        .updated(41, "web1")
        .once(52, 2, OpResult::Failed(why.clone()), None)
        .then(54, Fact::Condemned { by: by.clone(), why: why.clone() });
    let phases = [Phase::Healthy, Phase::Pending, Phase::Pending];
    let state = State::Paused(PauseWhy::Condemned { by, why });
    told(ID, plan, journal.records, state, &phases)
}
