//! A reign without a server around it: what it does with what it can't know.

use std::{sync::Arc, time::Duration};

use dv_coordinator::{
    clock::SystemClock,
    config::Config,
    identity::Authority,
    ports::Clock as _,
    reign::Reign,
    store::{Held, HostRecord, Journal, MemoryStore},
};
use dv_proto::{
    to_json,
    v1::{FromAgent, Hello, Outcome as Said, from_agent::Message, to_agent},
};
use dv_types::{OpResult, Outcome, Span, Timestamp, outcome::Output};
use futures_util::{StreamExt as _, stream};

fn word(message: Message) -> Result<FromAgent, tonic::Status> {
    Ok(FromAgent { message: Some(message) })
}

/// As it comes to a coordinator that was stopped while the next one gave this command.
#[tokio::test(start_paused = true)]
async fn an_outcome_of_a_rollout_that_is_still_to_come_is_not_acknowledged() {
    let store = Arc::new(MemoryStore::default());
    let now = SystemClock.now();
    let journal = Journal::open(store.clone(), now).await.unwrap();
    let (certificates, revoked) = (vec![Held::of_serial("1")], None);
    let host = "web1".parse().unwrap();
    let record = HostRecord {
        name: "web1".parse().unwrap(),
        labels: [].into(),
        enrolled: now,
        certificates,
        revoked,
    };
    journal.save_host(&record).await.unwrap();
    let authority = Arc::new(Authority::passing(now).unwrap());
    let clock = Arc::new(SystemClock);
    let reign = Reign::begin(&Config::default(), store, clock, authority).await.unwrap();

    let outcome = Outcome {
        command: "r3-8".parse().unwrap(),
        given: None,
        result: OpResult::Done,
        began: Timestamp::UNIX_EPOCH,
        took: Span::ZERO,
        output: Output::default(),
        evidence: None,
    };
    let words = [
        word(Message::Hello(Hello::default())),
        word(Message::Outcome(Said { outcome_json: to_json(&outcome) })),
    ];
    let words = stream::iter(words).chain(stream::pending());
    let orders = reign.agent_link().open(&host, "1", words).await.unwrap();
    let told = orders.take_until(tokio::time::sleep(Duration::from_secs(5)));
    let told: Vec<_> = told.map(|order| order.unwrap().message.unwrap()).collect().await;
    assert!(matches!(told[..], [to_agent::Message::Welcome(_)]), "{told:?}");
}
