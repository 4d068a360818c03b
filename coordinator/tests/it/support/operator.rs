//! What an operator has and does.

use dv_proto::{
    from_json, to_json,
    v1::{
        GetRolloutRequest, StartRolloutRequest, WatchRolloutRequest, control_client::ControlClient,
        watch_rollout_reply::Message,
    },
};
use dv_types::{
    Manifest, Record, Report,
    manifest::{Health, Hosts, OnFailure, ProbeSpec, RunStep, Step, Strategy, UnitStep},
};
use serde::Deserialize;
use tonic::{Status, transport::Channel};

use super::{PATIENCE, eventually};

#[derive(Deserialize)]
pub(crate) struct Context {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Service `web` on hosts of `role: web`: a command that brings the version, and a restart.
pub(crate) fn manifest(change: impl FnOnce(&mut Strategy)) -> Manifest {
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let mut strategy = Strategy {
        min_healthy_time: dv_types::Span::ZERO,
        on_failure: OnFailure::Rollback,
        ..Strategy::default()
    };
    change(&mut strategy);
    Manifest {
        service: "web".parse().unwrap(),
        gates: None,
        smoke: None,
        signed: false,
        monitor: None,
        hosts: Hosts { labels: [("role".to_owned(), "web".to_owned())].into(), ..Hosts::default() },
        steps: vec![
            Step::Run(RunStep {
                argv: words(&["release", "${version}"]),
                undo: Some(words(&["release", "${version}"])),
                timeout: dv_types::Span::from_secs(20),
                repeatable: true,
                once: None,
            }),
            Step::Restart(UnitStep {
                unit: "web.service".to_owned(),
                timeout: dv_types::Span::from_secs(20),
            }),
        ],
        health: Some(Health {
            live: None,
            ready: Some(ProbeSpec {
                http: Some("http://localhost:8080/health/ready".to_owned()),
                ..ProbeSpec::default()
            }),
            interval: dv_types::Span::from_secs(1),
            timeout: dv_types::Span::from_secs(1),
            successes: 1,
        }),
        strategy,
    }
}

/// What an operator does in these tests.
pub(crate) trait Operator {
    /// Starts a rollout, or says why not.
    async fn begin(&mut self, manifest: &Manifest, version: &str) -> Result<String, Status>;
    /// The report of a rollout.
    async fn look(&mut self, rollout: &str) -> Report;
    /// Follows a rollout to its end: all its records, and the last report.
    async fn follow(&mut self, rollout: &str) -> (Vec<Record>, Report);
}

impl Operator for ControlClient<Channel> {
    async fn begin(&mut self, manifest: &Manifest, version: &str) -> Result<String, Status> {
        let request = StartRolloutRequest {
            manifest_json: to_json(manifest),
            version: version.to_owned(),
            ..StartRolloutRequest::default()
        };
        Ok(self.start_rollout(request).await?.into_inner().rollout)
    }

    async fn look(&mut self, rollout: &str) -> Report {
        let request = GetRolloutRequest { rollout: rollout.to_owned() };
        let reply = self.get_rollout(request).await.unwrap().into_inner();
        from_json("report_json", &reply.report_json).unwrap()
    }

    async fn follow(&mut self, rollout: &str) -> (Vec<Record>, Report) {
        let request = WatchRolloutRequest { rollout: rollout.to_owned(), after: 0 };
        let mut stream = self.watch_rollout(request).await.unwrap().into_inner();
        let (mut records, mut last) = (Vec::<Record>::new(), None);
        loop {
            let next = tokio::time::timeout(PATIENCE, stream.message()).await;
            let Ok(next) = next else {
                panic!("{rollout} does not end: {:#?}\n{:#?}", last, records.last())
            };
            match next.unwrap().map(|reply| reply.message.unwrap()) {
                Some(Message::RecordJson(json)) => {
                    let record: Record = from_json("record_json", &json).unwrap();
                    assert_eq!(record.number, records.len() as u64 + 1);
                    records.push(record);
                }
                Some(Message::ReportJson(json)) => {
                    last = Some(from_json::<Report>("report_json", &json).unwrap());
                }
                Some(Message::Progress(_)) => {}
                None => return (records, last.expect("a report comes last")),
            }
        }
    }
}

/// A rollout that dv has started by itself: waits until there is one with this number.
pub(crate) async fn started(operator: &mut ControlClient<Channel>, rollout: &str) -> Report {
    let request = || GetRolloutRequest { rollout: rollout.to_owned() };
    let reply = eventually("a rollout starts by itself", async || {
        operator.get_rollout(request()).await.ok()
    })
    .await;
    from_json("report_json", &reply.into_inner().report_json).unwrap()
}
