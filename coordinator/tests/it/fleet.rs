//! Who is in contact, and who is cut.

use std::{sync::Arc, time::Duration};

use dv_coordinator::{
    clock::SystemClock,
    fleet::{Cut, Facts, Fleet, Greeting, NotAdmitted, Order, Question},
    store::{Held, HostRecord},
};
use dv_types::{CommandId, Finding, HostName, RolloutId, Subject, Timestamp};

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn fleet(names: &[&str]) -> Fleet {
    let record = |name: &&str| HostRecord {
        name: host(name),
        labels: Default::default(),
        enrolled: Timestamp::UNIX_EPOCH,
        certificates: vec![Held::of_serial(&format!("{name}-serial"))],
        revoked: None,
    };
    Fleet::new(Arc::new(SystemClock), names.iter().map(record).collect())
}

fn greeting(instance: &str) -> Greeting {
    Greeting { instance: instance.to_owned(), ..Greeting::default() }
}

fn order(number: u32) -> Order {
    Order::Cancel(CommandId { rollout: RolloutId(1), number })
}

#[tokio::test]
async fn an_agent_that_takes_no_orders_is_cut_and_nobody_else() {
    let fleet = fleet(&["slow", "quick"]);
    let slow = fleet.attach(&host("slow"), greeting("1")).unwrap();
    let mut quick = fleet.attach(&host("quick"), greeting("1")).unwrap();
    for number in 0..1000 {
        fleet.send(&host("slow"), order(number));
        fleet.send(&host("quick"), order(number));
        assert_eq!(quick.orders.recv().await.as_deref(), Some(&order(number)));
    }
    assert_eq!(*slow.cut.borrow(), Some(Cut::Slow));
    assert_eq!(*quick.cut.borrow(), None);
    assert!(slow.orders.len() < 100, "{} orders wait", slow.orders.len());
}

#[test]
fn the_newest_stream_of_a_host_replaces_the_older_one() {
    let fleet = fleet(&["web1"]);
    let web1 = host("web1");
    let old = fleet.attach(&web1, greeting("1")).unwrap();
    let new = fleet.attach(&web1, greeting("2")).unwrap();
    assert_eq!(*old.cut.borrow(), Some(Cut::Replaced));
    assert_eq!(fleet.session(&web1), Some(new.session));
    // The old one's end comes late, and means nothing.
    fleet.detach(&web1, old.session);
    assert_eq!(fleet.session(&web1), Some(new.session));
    fleet.detach(&web1, new.session);
    assert_eq!(fleet.session(&web1), None);
}

#[test]
fn only_known_certificates_come_in_and_none_when_it_stops() {
    let fleet = fleet(&["web1"]);
    let web1 = host("web1");
    assert_eq!(fleet.admit(&web1, "web1-serial"), Ok(()));
    assert_eq!(fleet.admit(&web1, "older"), Err(NotAdmitted::Replaced(web1.clone())));
    assert_eq!(fleet.admit(&host("web2"), "x"), Err(NotAdmitted::Unknown(host("web2"))));
    let link = fleet.attach(&web1, greeting("1")).unwrap();
    fleet.stop();
    assert_eq!(*link.cut.borrow(), Some(Cut::Stopping));
    assert_eq!(fleet.admit(&web1, "web1-serial"), Err(NotAdmitted::Stopping));
    assert_eq!(fleet.attach(&web1, greeting("1")).unwrap_err(), NotAdmitted::Stopping);
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_answer_is_left_out() {
    let names = ["answers", "silent", "goes", "wrong", "away"];
    let fleet = Arc::new(fleet(&names));
    let hosts: Vec<_> = names.iter().map(|name| host(name)).collect();
    let attach = |name: &str| fleet.attach(&host(name), greeting("1")).unwrap();
    let (mut answers, silent, goes, mut wrong) =
        (attach("answers"), attach("silent"), attach("goes"), attach("wrong"));
    let subjects = vec![Subject::Unit { unit: "web.service".to_owned() }];
    let question = Question { subjects, probing: None };
    let asked = {
        let (fleet, hosts) = (Arc::clone(&fleet), hosts.clone());
        tokio::spawn(async move { fleet.inspect(&hosts, question, Duration::from_secs(15)).await })
    };
    let facts = |n| Facts { findings: vec![Finding::Allowed; n], healthy: Some(true) };
    for (link, findings) in [(&mut answers, 1), (&mut wrong, 2)] {
        let Some(Order::Inspect { request, .. }) = link.orders.recv().await.map(|order| *order)
        else {
            panic!()
        };
        // Nobody answers for another host.
        fleet.answer(&host("silent"), request, facts(1));
        fleet.answer(&link.host, request, facts(findings));
    }
    fleet.detach(&goes.host, goes.session);
    let found = asked.await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&host("answers")]);
    assert_eq!(found[&host("answers")], facts(1));
    assert_eq!(*silent.cut.borrow(), None, "slow to answer is no reason to cut it");
}
