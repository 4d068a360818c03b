//! What an operator does with a fleet.

use dv_proto::{
    from_json, to_json,
    v1::{
        GetRolloutRequest, StartRolloutRequest, WatchRolloutReply, WatchRolloutRequest,
        control_client::ControlClient, watch_rollout_reply::Message,
    },
};
use dv_types::{
    Manifest, Quota, Record, Report, Span,
    manifest::{Health, Hosts, ProbeSpec, RunStep, Step, Strategy, UnitStep},
};
use tonic::{Streaming, transport::Channel};

use crate::{Result, coordinator::Context};

/// A report of ten thousand hosts is some megabytes.
const LARGEST: usize = 256 << 20;

/// Commands that [`in_batches`] has for each host: run, restart, verify.
pub const OPERATIONS: usize = 3;

/// The operator of a coordinator.
#[derive(Clone)]
pub struct Operator(ControlClient<Channel>);

/// How a rollout went.
pub struct Told {
    /// Its records.
    pub records: Vec<Record>,
    /// Its last report.
    pub report: Report,
}

impl Operator {
    /// The first operator.
    pub fn new(context: &Context) -> Result<Self> {
        Ok(Self(ControlClient::new(context.operator()?).max_decoding_message_size(LARGEST)))
    }

    /// Starts a rollout.
    pub async fn begin(&mut self, manifest: &Manifest, version: &str) -> Result<String> {
        let request = StartRolloutRequest {
            manifest_json: to_json(manifest),
            version: version.to_owned(),
            ..StartRolloutRequest::default()
        };
        Ok(self.0.start_rollout(request).await?.into_inner().rollout)
    }

    /// Where a rollout stands.
    pub async fn look(&mut self, rollout: &str) -> Result<Report> {
        let request = GetRolloutRequest { rollout: rollout.to_owned() };
        let reply = self.0.get_rollout(request).await?.into_inner();
        Ok(from_json("report_json", &reply.report_json)?)
    }

    /// A watcher of a rollout, from its first record on.
    pub async fn watch(&mut self, rollout: &str) -> Result<Streaming<WatchRolloutReply>> {
        let request = WatchRolloutRequest { rollout: rollout.to_owned(), after: 0 };
        Ok(self.0.watch_rollout(request).await?.into_inner())
    }

    /// Follows a rollout to its end.
    pub async fn follow(&mut self, rollout: &str) -> Result<Told> {
        let mut sights = self.watch(rollout).await?;
        let (mut records, mut report) = (Vec::new(), None);
        while let Some(sight) = sights.message().await? {
            match sight.message {
                Some(Message::RecordJson(json)) => records.push(from_json("record_json", &json)?),
                Some(Message::ReportJson(json)) => report = Some(json),
                _ => {}
            }
        }
        let report = from_json("report_json", &report.ok_or("a report comes last")?)?;
        Ok(Told { records, report })
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn run() -> Step {
    Step::Run(RunStep {
        argv: words(&["release", "${version}"]),
        undo: None,
        timeout: Span::from_secs(60),
        repeatable: true,
        once: None,
    })
}

/// One command for each host with this label, all at once.
pub fn one_command(service: &str, label: (&str, &str)) -> Result<Manifest> {
    let strategy = Strategy {
        max_parallel: Some(Quota::Percent(100)),
        min_healthy_time: Span::ZERO,
        ..Strategy::default()
    };
    manifest(service, label, vec![run()], None, strategy)
}

/// A rollout in batches with `parallel` hosts under way: a command, a restart, and healthy probes.
pub fn in_batches(service: &str, label: (&str, &str), parallel: u32) -> Result<Manifest> {
    let restart = UnitStep { unit: "web.service".to_owned(), timeout: Span::from_secs(60) };
    let ready = ProbeSpec {
        http: Some("http://localhost:8080/health/ready".to_owned()),
        ..ProbeSpec::default()
    };
    let health = Health {
        live: None,
        ready: Some(ready),
        interval: Span::from_secs(1),
        timeout: Span::from_secs(1),
        successes: 1,
    };
    let strategy = Strategy {
        batches: Some([10, 50, 100].map(Quota::Percent).to_vec()),
        max_parallel: Some(Quota::Hosts(parallel)),
        min_available: Quota::Percent(50),
        min_healthy_time: Span::ZERO,
        ..Strategy::default()
    };
    manifest(service, label, vec![run(), Step::Restart(restart)], Some(health), strategy)
}

fn manifest(
    service: &str,
    (key, value): (&str, &str),
    steps: Vec<Step>,
    health: Option<Health>,
    strategy: Strategy,
) -> Result<Manifest> {
    Ok(Manifest {
        service: service.parse()?,
        gates: None,
        smoke: None,
        signed: false,
        monitor: None,
        hosts: Hosts { labels: [(key.to_owned(), value.to_owned())].into(), ..Hosts::default() },
        steps,
        health,
        strategy,
    })
}
