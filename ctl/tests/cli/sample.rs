//! A small fleet, its plan, and what happens in it at fixed times. Display's own tests use it as well.

use dv_types::{
    CommandId, Fact, HostName, Manifest, OpResult, Operation, Outcome, Plan, Probe, Record, Report,
    RolloutId, Span, Timestamp, Version, WaitingOn,
    manifest::OnFailure,
    operation::UnitVerb,
    outcome::Output,
    plan::{Kind, Limits, PlannedHost, Program, Wave, WaveKind},
    probe::Probing,
    record::Verdict,
    report::{HostReport, Phase, State, StepReport, Totals},
};

/// The rollout of the samples.
pub(crate) const ID: RolloutId = RolloutId(42);

/// So many seconds into the rollout.
pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_767_323_045 + secs).unwrap()
}

pub(crate) fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

fn probing() -> Probing {
    let ready = Probe::Http { url: "http://localhost:8080/health/ready".to_owned(), status: None };
    Probing {
        probes: vec![("ready".to_owned(), ready)],
        interval: Span::from_secs(1),
        timeout: Span::from_secs(2),
        successes: 1,
    }
}

/// v1 to v2 on three hosts, a canary and a batch of two.
pub(crate) fn plan() -> Plan {
    let manifest: Manifest = serde_json::from_value(serde_json::json!({
        "service": "app",
        "hosts": { "labels": { "role": "web" } },
        "steps": [{ "restart": { "unit": "app.service" } }],
        "health": { "ready": { "http": "http://localhost:8080/health/ready" } },
        "strategy": { "canary": 1 },
    }))
    .unwrap();
    let operations = vec![
        Operation::Unit {
            unit: "app.service".to_owned(),
            verb: UnitVerb::Restart,
            timeout: Span::from_secs(120),
        },
        Operation::Verify {
            probing: probing(),
            min_healthy_time: Span::from_secs(10),
            healthy_deadline: Span::from_secs(300),
        },
    ];
    let planned = |name| PlannedHost {
        name: host(name),
        program: 0,
        from: Some(version("v1")),
        before: Vec::new(),
        to: Some(version("v2")),
        healthy: Some(true),
    };
    Plan {
        format: Plan::FORMAT,
        service: "app".parse().unwrap(),
        version: version("v2"),
        kind: Kind::Forward,
        manifest,
        programs: vec![Program { operations, barriers: Vec::new() }],
        hosts: ["web1", "web2", "web3"].map(planned).into(),
        waves: vec![
            Wave { kind: WaveKind::Canary, hosts: vec![host("web1")], max_parallel: 1 },
            Wave {
                kind: WaveKind::Batch,
                hosts: vec![host("web2"), host("web3")],
                max_parallel: 1,
            },
        ],
        limits: Limits {
            max_failures: 0,
            max_unreachable: 0,
            min_available: 2,
            progress_deadline: Span::from_secs(600),
            lost_after: Span::from_secs(60),
            on_failure: OnFailure::Rollback,
            auto_promote: true,
        },
        watch: Some(probing()),
        gates: Vec::new(),
        once: Vec::new(),
        monitor: None,
        schema: None,
        database: None,
        notes: Vec::new(),
    }
}

/// The plan that takes r42 back from the host that was touched.
pub(crate) fn reversal() -> Plan {
    let mut plan = plan();
    plan.kind = Kind::Reversal { of: ID };
    plan.hosts.truncate(1);
    plan.hosts[0].from = Some(version("v2"));
    plan.hosts[0].to = Some(version("v1"));
    plan.waves.truncate(1);
    plan.waves[0].kind = WaveKind::Batch;
    plan
}

/// A report of `plan` in which its hosts are in these phases.
pub(crate) fn report(id: RolloutId, plan: &Plan, state: State, phases: &[Phase]) -> Report {
    let hosts: Vec<HostReport> = plan
        .hosts
        .iter()
        .zip(phases)
        .enumerate()
        .map(|(n, (h, phase))| one(n, h, *phase))
        .collect();
    let count = |phase| hosts.iter().filter(|h| h.phase == phase).count() as u32;
    let totals = Totals {
        hosts: hosts.len() as u32,
        pending: count(Phase::Pending),
        working: count(Phase::Working),
        healthy: count(Phase::Healthy),
        failed: count(Phase::Failed),
        unreachable: count(Phase::Unreachable),
        skipped: count(Phase::Skipped),
        stopped: count(Phase::Stopped),
        touched: hosts.iter().filter(|h| h.touched).count() as u32,
        available: hosts
            .iter()
            .filter(|h| h.good == Some(true) && h.phase != Phase::Working)
            .count() as u32,
    };
    let ended = matches!(state, State::Ended(_));
    Report {
        rollout: id,
        service: plan.service.clone(),
        version: plan.version.clone(),
        kind: plan.kind.clone(),
        plan: plan.hash(),
        by: "admin".to_owned(),
        record: 0,
        began: at(0),
        ended: ended.then(|| at(60)),
        state,
        wave: (1, plan.waves.len() as u32),
        totals,
        hosts,
        waiting: if ended { Vec::new() } else { vec![WaitingOn::Coordinator] },
        rollback: false,
        made_way: false,
        reversed_by: None,
        gates: Vec::new(),
        once: Vec::new(),
        migrations: Vec::new(),
        database: None,
        monitor: Vec::new(),
    }
}

fn one(index: usize, planned: &PlannedHost, phase: Phase) -> HostReport {
    let began = at(index as i64 * 10);
    let touched = matches!(phase, Phase::Working | Phase::Healthy | Phase::Failed);
    let ended = matches!(phase, Phase::Healthy | Phase::Failed);
    let operation = "restart app.service".to_owned();
    HostReport {
        name: planned.name.clone(),
        wave: if index == 0 { 1 } else { 2 },
        phase,
        connected: phase != Phase::Unreachable,
        good: Some(!matches!(phase, Phase::Failed | Phase::Unreachable)),
        touched,
        reverted: false,
        attempt: 1,
        from: planned.from.clone(),
        to: planned.to.clone(),
        began: touched.then_some(began),
        ended: ended.then(|| at(index as i64 * 10 + 8)),
        step: touched.then(|| StepReport {
            command: CommandId { rollout: ID, number: index as u32 * 2 + 1 },
            number: 1,
            of: 2,
            operation: operation.clone(),
            since: began,
            outstanding: phase == Phase::Working,
        }),
        waiting: match phase {
            Phase::Pending => Some(WaitingOn::Wave { wave: 1 }),
            Phase::Working => Some(WaitingOn::Operation {
                host: planned.name.clone(),
                operation,
                since: began,
                until: at(150),
            }),
            _ => None,
        },
        why: match phase {
            Phase::Failed => {
                Some("restart app.service: failed: the job ended with `failed`".to_owned())
            }
            Phase::Unreachable => Some("out of contact for 60s before its turn".to_owned()),
            _ => None,
        },
    }
}

/// The journal of a rollout, written one fact after the other.
pub(crate) struct Journal {
    pub(crate) id: RolloutId,
    pub(crate) records: Vec<Record>,
    pub(crate) commands: u32,
}

impl Journal {
    pub(crate) fn new(id: RolloutId) -> Self {
        Self::begun(id, 0)
    }

    pub(crate) fn begun(id: RolloutId, secs: i64) -> Self {
        let started = Fact::Started { by: "admin".to_owned(), reason: None, overrides: Vec::new() };
        Self { id, records: Vec::new(), commands: 0 }.then(secs, started)
    }

    pub(crate) fn then(mut self, secs: i64, fact: Fact) -> Self {
        let number = self.records.len() as u64 + 1;
        self.records.push(Record { number, at: at(secs), epoch: Default::default(), fact });
        self
    }

    /// A host is told to do a step, and does it.
    pub(crate) fn done(self, secs: i64, name: &str, step: u32) -> Self {
        self.ran(secs, name, step, OpResult::Done, "")
    }

    /// A host is told to do a step, and says what became of it.
    pub(crate) fn ran(
        mut self,
        secs: i64,
        name: &str,
        step: u32,
        result: OpResult,
        tail: &str,
    ) -> Self {
        self.commands += 1;
        let command = CommandId { rollout: self.id, number: self.commands };
        let outcome = Outcome {
            command,
            given: None,
            result,
            began: at(secs),
            took: Span::from_millis(3_400),
            output: Output { tail: tail.to_owned(), dropped: 0 },
            evidence: None,
        };
        self.then(secs, Fact::Commanded { host: host(name), command, attempt: 1, step })
            .then(secs + 4, Fact::Reported { host: host(name), outcome })
    }

    /// A host does its whole program.
    pub(crate) fn healthy(self, secs: i64, name: &str) -> Self {
        self.done(secs, name, 0)
            .done(secs + 4, name, 1)
            .then(secs + 8, Fact::HostHealthy { host: host(name) })
    }

    /// A host's restart fails.
    pub(crate) fn failed(self, secs: i64, name: &str) -> Self {
        let why = "the job ended with `failed`".to_owned();
        let tail = "app[17]: cannot bind port 8080\napp[17]: giving up\n";
        self.ran(secs, name, 0, OpResult::Failed(why.clone()), tail).then(
            secs + 4,
            Fact::HostFailed {
                host: host(name),
                why: format!("restart app.service: failed: {why}"),
            },
        )
    }

    pub(crate) fn ended(self, verdict: Verdict, rollback: bool) -> Self {
        let last = self.records.last().map_or(at(0), |r| r.at).as_second() - at(0).as_second();
        self.then(last, Fact::Ended { verdict, rollback })
    }
}
