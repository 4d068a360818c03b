use std::pin::pin;

use dv_rollout::Event;
use dv_types::{HostName, OpResult, Outcome, Plan, Span, outcome::Output};

use super::*;
use crate::{
    clock::SystemClock,
    config::Config,
    fleet::Fleet,
    follow::ITSELF,
    ports::Clock,
    services::Book,
    store::{Journal, MemoryStore},
};

fn plan() -> Plan {
    let web1: HostName = "web1".parse().unwrap();
    serde_json::from_value(serde_json::json!({
        "format": Plan::FORMAT,
        "service": "web",
        "version": "2.0",
        "kind": "forward",
        "manifest": {
            "service": "web",
            "hosts": { "labels": { "role": "web" } },
            "steps": [{ "restart": { "unit": "web.service" } }],
        },
        "programs": [{ "operations": [
            { "unit": { "unit": "web.service", "verb": "restart", "timeout": "20s" } },
        ] }],
        "hosts": [{ "name": web1, "program": 0, "from": "1.0", "to": "2.0" }],
        "waves": [{ "kind": "batch", "hosts": [web1], "max_parallel": 1 }],
        "limits": {
            "max_failures": 0, "max_unreachable": 0, "min_available": 0, "progress_deadline": "600s",
            "lost_after": "60s", "on_failure": "rollback", "auto_promote": true,
        },
    }))
    .unwrap()
}

/// A rollout whose only host failed, and that is due to be taken back.
async fn due() -> (Arc<Rollouts>, RolloutId) {
    let clock = Arc::new(SystemClock);
    let now = clock.now();
    let journal = Journal::open(Arc::new(MemoryStore::default()), now).await.unwrap();
    let (id, plan) = (RolloutId(1), Arc::new(plan()));
    let mut machine = Rollout::new(id, Arc::clone(&plan));
    let host = plan.hosts[0].name.clone();
    let begin = [
        Event::Start { by: "somebody".to_owned(), reason: None, overrides: Vec::new() },
        Event::Connected { host: host.clone(), enrolled: now },
    ];
    let mut records = Vec::new();
    let begun = machine.turn(journal.epoch(), now, begin).step;
    records.extend(begun.records().iter().cloned());
    let outcome = Outcome {
        command: "r1-1".parse().unwrap(),
        given: None,
        result: OpResult::Failed("it does not come up".to_owned()),
        began: now,
        took: Span::ZERO,
        output: Output::default(),
        evidence: None,
    };
    let failed = machine.turn(journal.epoch(), now, [Event::Outcome { host, outcome }]).step;
    records.extend(failed.records().iter().cloned());
    let header = Header {
        rollout: id,
        service: plan.service.clone(),
        version: plan.version.clone(),
        kind: plan.kind.clone(),
        plan: journal.save_plan(&plan).await.unwrap(),
        by: "somebody".to_owned(),
        reason: None,
        overrides: Vec::new(),
        release: None,
        signing: None,
        created: now,
        end: None,
    };
    journal.create(&header, None).await.unwrap();
    journal.close(&header, &records, &machine.report(), None).await.unwrap();
    assert_eq!(journal.reversals_due().await.unwrap(), [id]);
    let fleet = Arc::new(Fleet::new(clock.clone(), Vec::new()));
    let book = Book::read(&journal).await.unwrap();
    (Rollouts::new(journal, clock, fleet, book, Config::default()), id)
}

fn demand() -> Demand {
    Demand {
        signed: None,
        what: What::LastOf("web".parse().unwrap()),
        wish: Wish { by_person: true, all_at_once: true, ..Wish::default() },
        by: "somebody".to_owned(),
        reason: None,
    }
}

#[tokio::test]
async fn a_rollback_that_was_due_stays_due_when_another_demand_for_it_fails() {
    let (rollouts, of) = due().await;
    rollouts.stop.cancel();
    let refused = roll_back(&rollouts, demand()).await.err();
    assert!(matches!(refused, Some(Refusal::Stopping)), "{refused:?}");
    assert_eq!(rollouts.journal.reversals_due().await.unwrap(), [of]);
    assert_eq!(rollouts.journal.wished(of).await.unwrap(), Wish::default());

    rollouts.journal.forget_reversal(of).await.unwrap();
    let refused = roll_back(&rollouts, demand()).await.err();
    assert!(matches!(refused, Some(Refusal::Stopping)), "{refused:?}");
    assert_eq!(rollouts.journal.reversals_due().await.unwrap(), []);
}

#[tokio::test]
async fn whoever_asks_while_it_begins_by_itself_is_told_which_it_is() {
    let (rollouts, of) = due().await;
    let maker = rollouts.maker().await;
    let mut asked = pin!(roll_back(&rollouts, demand()));
    assert!(futures_util::poll!(&mut asked).is_pending());
    let by_itself = begin(&rollouts, &maker, of, ITSELF, None).await.unwrap();
    drop(maker);
    let reversal = asked.await.ok();
    assert!(by_itself.is_some());
    assert_eq!(reversal.map(|reversal| reversal.rollout), by_itself);
}
