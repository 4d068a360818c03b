//! The agent and a coordinator over real mutual TLS.

mod support;

use std::fs;

use dv_proto::v1::{self, from_agent, to_agent};
use dv_types::{
    Digest, Finding, OpResult, Operation, Probe, Span, Subject, Timestamp, operation::UnitVerb,
    probe::Probing,
};
use support::{Coordinator, Host, Life, SCRIPTS, eventually, mode, verify};

#[tokio::test]
async fn a_command_is_done_once_and_its_outcome_repeated_word_for_word() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let agent = host.start();
    let done = host.path("done");
    let argv = host.script("do", &format!("echo once >> {}; echo said", done.display()));

    let mut session = coordinator.welcomed(1).await;
    assert!(session.hello.commands.is_empty());
    session.run("r1-1", &argv, false).await;
    let first = session.outcome_json().await;
    assert!(first.contains("said"), "{first}");
    session.run("r1-1", &argv, false).await;
    assert_eq!(session.outcome_json().await, first);
    drop(session);

    // Not acknowledged: it is told at once at the next connection, and when asked.
    let mut session = coordinator.welcomed(1).await;
    assert_eq!(session.hello.commands, ["r1-1"]);
    assert_eq!(session.outcome_json().await, first);
    session.run("r1-1", &argv, false).await;
    assert_eq!(session.outcome_json().await, first);
    assert_eq!(session.heartbeat().await, 1);
    session.acknowledge("r1-1").await;
    while session.heartbeat().await > 0 {}
    drop(session);

    // Acknowledged, and the agent started anew: still known.
    agent.crash();
    let _agent = host.start();
    let mut session = coordinator.welcomed(1).await;
    assert!(session.hello.commands.is_empty());
    session.run("r1-1", &argv, false).await;
    assert_eq!(session.outcome_json().await, first);
    assert_eq!(fs::read_to_string(done).unwrap(), "once\n");
}

#[tokio::test]
async fn a_number_that_is_given_again_by_a_store_that_has_gone_back_is_told_apart() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let agent = host.start();
    let done = host.path("done");
    let argv = host.script("do", &format!("echo once >> {}", done.display()));
    let at = |second| Timestamp::from_second(second).ok();

    let mut session = coordinator.welcomed(1).await;
    assert_eq!(session.hello.newest, 0);
    session.given = at(1);
    session.run("r7-1", &argv, true).await;
    let first = session.outcome().await;
    assert_eq!((&first.result, first.given), (&OpResult::Done, at(1)));
    session.acknowledge("r7-1").await;
    while session.heartbeat().await > 0 {}
    drop(session);

    agent.crash();
    let _agent = host.start();
    let mut session = coordinator.welcomed(2).await;
    assert!(session.hello.commands.is_empty());
    assert_eq!(session.hello.newest, 7);
    session.given = at(2);
    session.run("r7-1", &argv, true).await;
    let again = session.outcome().await;
    assert!(
        matches!(&again.result, OpResult::Unknown(why) if why.contains("forgotten")),
        "{again:?}"
    );
    assert_eq!(again.given, at(2));
    // Asked by the first, it answers as ever.
    session.given = at(1);
    session.run("r7-1", &argv, true).await;
    assert_eq!(session.outcome().await, first);
    assert_eq!(fs::read_to_string(done).unwrap(), "once\n");
}

#[tokio::test]
async fn a_lower_epoch_is_not_obeyed() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let agent = host.start();
    let argv = host.script("do", &format!("touch {}", host.path("done").display()));

    let mut session = coordinator.welcomed(5).await;
    session.epoch = 4;
    session.run("r1-1", &argv, false).await;
    session.ended().await;
    agent.crash();

    let _agent = host.start();
    let session = coordinator.welcomed(4).await;
    session.run("r1-1", &argv, false).await;
    session.ended().await;
    assert!(!host.path("done").exists());

    let mut session = coordinator.welcomed(6).await;
    session.run("r1-1", &argv, false).await;
    assert_eq!(session.outcome().await.result, OpResult::Done);
}

#[tokio::test]
async fn an_operation_of_a_later_version_is_refused_and_the_link_stays() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let _agent = host.start();
    let mut session = coordinator.welcomed(1).await;
    let command_json =
        r#"{"id":"r1-1","attempt":1,"operation":{"teleport":{"to":"mars"}}}"#.to_owned();
    session
        .say(to_agent::Message::Command(v1::Command { command_json, ..Default::default() }))
        .await;
    let OpResult::Refused(why) = session.outcome().await.result else { panic!("it was begun") };
    assert!(why.contains("teleport") && why.contains("update dv-agent"), "{why}");
    // The same session goes on.
    let argv = host.script("do", "echo said");
    session.run("r1-2", &argv, false).await;
    assert_eq!(session.outcome().await.result, OpResult::Done);
}

#[tokio::test]
async fn a_stuck_command_holds_nothing_up() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let _agent = host.start();
    let stuck = host.script("stuck", "trap '' TERM; (setsid sleep 5711 &); sleep 5712; sleep 5713");
    let quick = host.script("quick", "echo quick");

    let mut session = coordinator.welcomed(1).await;
    session.run("r1-1", &stuck, false).await;
    for _ in 0..3 {
        session.heartbeat().await;
    }
    // It touches nothing, so it waits for nobody.
    session.command("r1-2", verify(Probe::Command { argv: quick })).await;
    let outcome = session.outcome().await;
    assert_eq!((outcome.command.number, outcome.result), (2, OpResult::Done));
    session.cancel("r1-1").await;
    let outcome = session.outcome().await;
    assert_eq!((outcome.command.number, outcome.result), (1, OpResult::Cancelled));
}

#[tokio::test]
async fn what_touches_the_same_thing_waits_and_is_called_off_while_it_waits() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let _agent = host.start();
    let (begun, go, log) = (host.path("begun"), host.path("go"), host.path("log"));
    let old = host.script(
        "old",
        &format!(
            "touch {}; while [ ! -e {} ]; do sleep 0.05; done; echo old >> {}",
            begun.display(),
            go.display(),
            log.display()
        ),
    );
    let new = host.script("new", &format!("echo new >> {}", log.display()));

    let mut session = coordinator.welcomed(1).await;
    session.run("r4-7", &old, false).await;
    eventually("the old one has begun", || begun.exists()).await;
    session.run("r5-1", &new, false).await;
    // Its own time would be up long before the old one ends; it has not begun.
    let (argv, timeout) = (new.clone(), Span::from_millis(1));
    session.command("r5-2", Operation::Run { argv, timeout, repeatable: true }).await;
    let waits = |id: &'static str| {
        move |message| match message {
            from_agent::Message::Progress(progress) if progress.command == id => {
                Some(progress.text)
            }
            _ => None,
        }
    };
    assert_eq!(session.hear(waits("r5-1")).await, "waits for r4-7 to end");
    assert_eq!(session.hear(waits("r5-2")).await, "waits for r4-7 to end");
    for id in ["r5-1", "r5-2"] {
        assert!(!host.ledger().join(format!("{id}.json")).exists(), "{id} is written down");
    }
    assert_eq!(session.heartbeat().await, 3);
    session.cancel("r5-2").await;
    let outcome = session.outcome().await;
    assert_eq!((outcome.command.number, outcome.result), (2, OpResult::Cancelled));

    fs::write(&go, "").unwrap();
    for expected in [7, 1] {
        let outcome = session.outcome().await;
        assert_eq!((outcome.command.number, outcome.result), (expected, OpResult::Done));
    }
    assert_eq!(fs::read_to_string(&log).unwrap(), "old\nnew\n");
    // What was called off is never done.
    session.run("r5-2", &new, true).await;
    let refused = session.outcome().await;
    assert!(!refused.result.is_done(), "{refused:?}");
}

#[tokio::test]
async fn after_a_crash_the_agent_says_what_it_knows() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let agent = host.start();
    let (begun, go) = (host.path("begun"), host.path("go"));
    let argv = host.script(
        "do",
        &format!(
            "echo x >> {}; while [ ! -e {} ]; do sleep 0.05; done",
            begun.display(),
            go.display()
        ),
    );
    let times = || fs::read_to_string(&begun).map_or(0, |text| text.lines().count());
    let session = coordinator.welcomed(1).await;
    session.run("r1-1", &argv, false).await;
    eventually("it has begun", || times() == 1).await;
    agent.crash();
    let agent = host.start();
    let session = coordinator.welcomed(1).await;
    session.run("r1-2", &argv, true).await;
    eventually("the other has begun", || times() == 2).await;
    agent.crash();

    let _agent = host.start();
    let mut session = coordinator.welcomed(1).await;
    assert_eq!(session.hello.commands, ["r1-1", "r1-2"]);
    // It does nothing by itself; asked again, it repeats what may be repeated, and no more.
    session.run("r1-1", &argv, false).await;
    assert!(matches!(session.outcome().await.result, OpResult::Unknown(_)));
    assert_eq!(times(), 2);
    fs::write(&go, "").unwrap();
    session.run("r1-2", &argv, true).await;
    assert_eq!(session.outcome().await.result, OpResult::Done);
    assert_eq!(times(), 3);
}

#[tokio::test]
async fn a_once_step_that_the_agent_died_in_is_unknown_and_never_done_again() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let check = || host.script("check", "echo head: 1; echo pending: 2");
    let stuck = |name: &str| {
        let begun = host.path(name).with_extension("begun");
        host.script(name, &format!("echo x >> {}; sleep 600", begun.display()))
    };
    let (timeout, proof, kinds) = (Span::from_secs(60), Default::default(), Default::default());
    let head = Some("1".to_owned());
    let steps = [
        ("r1-1", Operation::Backup { create: stuck("backup"), proof, timeout }),
        ("r1-2", Operation::Migrate { check: check(), upgrade: stuck("upgrade"), kinds, timeout }),
        (
            "r1-3",
            Operation::Downgrade {
                check: check(),
                downgrade: stuck("downgrade"),
                head,
                to: None,
                timeout,
            },
        ),
    ];
    let begun = || {
        ["backup", "upgrade", "downgrade"].map(|name| {
            let begun = host.path(name).with_extension("begun");
            fs::read_to_string(begun).map_or(0, |text| text.lines().count())
        })
    };
    let mut agent = host.start();
    let mut session = coordinator.welcomed(1).await;
    for (n, (id, step)) in steps.iter().enumerate() {
        session.command(id, step.clone()).await;
        eventually("it has begun", || begun()[n] == 1).await;
        agent.crash();
        agent = host.start();
        session = coordinator.welcomed(1).await;
        assert!(session.hello.commands.iter().any(|known| known == id), "{step}");
        session.command(id, step.clone()).await;
        let first = session.outcome_json().await;
        assert!(first.contains(id) && first.contains("\"unknown\""), "{step}: {first}");
        session.command(id, step.clone()).await;
        assert_eq!(session.outcome_json().await, first, "{step}");
        session.acknowledge(id).await;
    }
    assert_eq!(begun(), [1; 3]);
}

#[tokio::test]
async fn what_was_called_off_before_it_came_is_never_done() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let _agent = host.start();
    let argv = host.script("do", &format!("touch {}", host.path("done").display()));
    let mut session = coordinator.welcomed(1).await;
    session.cancel("r1-1").await;
    assert_eq!(session.outcome().await.result, OpResult::Cancelled);
    session.run("r1-1", &argv, true).await;
    assert_eq!(session.outcome().await.result, OpResult::Cancelled);
    assert!(!host.path("done").exists());
}

#[tokio::test]
async fn the_policy_outranks_the_coordinator_and_counts_at_once() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, "units: [other.service]\n");
    let _agent = host.start();
    let argv = host.script("do", &format!("touch {}", host.path("done").display()));
    let mut session = coordinator.welcomed(1).await;
    session.run("r1-1", &argv, true).await;
    let refused = session.outcome().await.result;
    assert!(matches!(&refused, OpResult::Refused(why) if why.contains("commands")), "{refused}");
    let (unit, timeout) = ("ssh.service".to_owned(), Span::from_secs(5));
    session.command("r1-2", Operation::Unit { unit, verb: UnitVerb::Stop, timeout }).await;
    assert!(matches!(session.outcome().await.result, OpResult::Refused(_)));

    fs::write(&host.config.policy, SCRIPTS).unwrap();
    session.run("r1-3", &argv, true).await;
    assert_eq!(session.outcome().await.result, OpResult::Done);
    // What was refused stays refused.
    session.run("r1-1", &argv, true).await;
    assert_eq!(session.outcome().await.result, refused);
}

#[tokio::test]
async fn without_a_place_to_write_the_intent_nothing_is_begun() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let _agent = host.start();
    let argv = host.script("do", &format!("echo x >> {}", host.path("done").display()));
    let mut session = coordinator.welcomed(1).await;
    fs::remove_dir(host.ledger()).unwrap();
    session.run("r1-1", &argv, false).await;
    let refused = session.outcome_json().await;
    assert!(refused.contains("can't write down"), "{refused}");
    assert!(!host.path("done").exists());

    fs::create_dir(host.ledger()).unwrap();
    session.run("r1-1", &argv, false).await;
    assert_eq!(session.outcome_json().await, refused);
    session.run("r1-2", &argv, false).await;
    assert_eq!(session.outcome().await.result, OpResult::Done);
}

#[tokio::test]
async fn a_damaged_record_is_answered_clearly_and_for_ever_the_same() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    fs::create_dir_all(host.ledger()).unwrap();
    fs::write(host.ledger().join("r1-1.json"), "{\"id\":").unwrap();
    let _agent = host.start();
    let argv = host.script("do", &format!("touch {}", host.path("done").display()));
    let mut session = coordinator.welcomed(1).await;
    assert_eq!(session.hello.commands, ["r1-1"]);
    session.run("r1-1", &argv, true).await;
    let first = session.outcome_json().await;
    assert!(first.contains("damaged"), "{first}");
    session.run("r1-1", &argv, true).await;
    assert_eq!(session.outcome_json().await, first);
    assert!(!host.path("done").exists());
}

#[tokio::test]
async fn a_plan_is_answered_and_a_watch_is_kept() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let _agent = host.start();
    let up = host.path("up");
    let argv =
        host.script("probe", &format!("test -e {} || {{ echo down; exit 1; }}", up.display()));
    let probing = Probing {
        probes: vec![("live".to_owned(), Probe::Command { argv: argv.clone() })],
        interval: Span::from_millis(100),
        timeout: Span::from_secs(5),
        successes: 1,
    };
    let mut session = coordinator.welcomed(1).await;
    let subjects = [
        Subject::Command { argv },
        Subject::Command { argv: vec!["/bin/rm".to_owned()] },
        Subject::Unit { unit: "ssh.service".to_owned() },
    ];
    let (findings, healthy) = session.inspect(&subjects, Some(&probing)).await;
    assert!(matches!(&findings[..], [Finding::Allowed, Finding::Refused(_), Finding::Refused(_)]));
    assert_eq!(healthy, Some(false));

    use dv_proto::v1::{Unwatch, Watch};
    let (service, probing_json) = ("web".to_owned(), dv_proto::to_json(&probing));
    session.say(to_agent::Message::Watch(Watch { service, probing_json })).await;
    let health = |message| match message {
        from_agent::Message::Health(health) => Some((health.good, health.why)),
        _ => None,
    };
    assert_eq!(session.hear(health).await, (false, "live: exit code 1: down".to_owned()));
    fs::write(&up, "").unwrap();
    assert_eq!(session.hear(health).await, (true, String::new()));
    fs::remove_file(&up).unwrap();
    assert!(!session.hear(health).await.0);
    session.say(to_agent::Message::Unwatch(Unwatch { service: "web".to_owned() })).await;
}

#[tokio::test]
async fn a_gate_s_questions_are_answered() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let password = host.path("password");
    let secrets = format!(
        "{SCRIPTS}secrets: {{login: {{file: {}, origins: ['http://localhost:8080']}}}}\n",
        password.display()
    );
    fs::write(&host.config.policy, secrets).unwrap();
    fs::write(&password, "correct horse").unwrap();
    fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let _agent = host.start();
    let mut session = coordinator.welcomed(1).await;
    // A slow one: the clock is that of the answer, not that of the question.
    let looked = host.path("looked");
    let check = format!(
        "echo head: 1; echo pending: 2 expand; echo pending: 3; sleep 0.2; touch {}",
        looked.display()
    );
    let check = host.script("check", &check);
    let path = host.dir.path().to_str().unwrap().to_owned();
    let subjects = [
        Subject::Schema { check },
        Subject::Secret { name: "login".to_owned() },
        Subject::Secret { name: "other".to_owned() },
        Subject::Disk { path },
        Subject::Metrics { metrics: None },
        Subject::Clock,
    ];
    let probing = Probing {
        probes: vec![(
            "live".to_owned(),
            Probe::Command { argv: host.script("live", "sleep 0.1") },
        )],
        interval: Span::from_secs(1),
        timeout: Span::from_secs(60),
        successes: 1,
    };
    let (findings, _) = session.inspect(&subjects, Some(&probing)).await;
    let [
        Finding::Schema(schema),
        Finding::Allowed,
        Finding::Refused(_),
        Finding::Disk { free: 1.. },
        Finding::Metrics(reading),
        Finding::Clock { now },
    ] = &findings[..]
    else {
        panic!("{findings:?}")
    };
    // Without metrics, the probes are what is measured.
    assert_eq!(reading.good, Some(true));
    assert!(reading.probe.is_some_and(|took| took >= Span::from_millis(100)), "{reading:?}");
    let looked = fs::metadata(looked).unwrap().modified().unwrap();
    assert!(*now >= Timestamp::try_from(looked).unwrap(), "{now} {looked:?}");
    let pending: Vec<_> = schema.pending.iter().map(ToString::to_string).collect();
    assert_eq!(schema.head.as_deref(), Some("1"));
    assert_eq!(pending, ["2 (expand)", "3 (irreversible)"]);
    fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (findings, _) = session.inspect(&subjects[1..2], None).await;
    assert!(
        matches!(&findings[..], [Finding::Failed(why)] if !why.contains("horse")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time_and_shown_at_once() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::new(&coordinator.address, SCRIPTS);
    host.give_identity(&coordinator.authority, Life::RenewalDue);
    let key = fs::read_to_string(host.config.state_dir.join("identity/key.pem")).unwrap();
    let _agent = host.start();
    let old = coordinator.welcomed(1).await;
    let certificate = old.certificate.clone();
    let new = coordinator.welcomed(1).await;
    assert_ne!(new.certificate, certificate);
    old.ended().await;
    assert_eq!(*coordinator.seen.renewals.lock().unwrap(), 1);
    assert_eq!(fs::read_to_string(host.config.state_dir.join("identity/key.pem")).unwrap(), key);
}

#[tokio::test]
async fn a_certificate_is_renewed_when_the_coordinator_asks_for_it() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let _agent = host.start();
    let mut old = coordinator.welcomed(1).await;
    old.heartbeat().await;
    assert_eq!(*coordinator.seen.renewals.lock().unwrap(), 0);
    for _ in 0..2 {
        old.say(to_agent::Message::Renew(v1::Renew { within_ms: 1 })).await;
    }
    let new = coordinator.welcomed(1).await;
    assert_ne!(new.certificate, old.certificate);
    assert_eq!(*coordinator.seen.renewals.lock().unwrap(), 1);
}

#[tokio::test]
async fn no_word_is_said_to_a_stranger() {
    let mut coordinator = Coordinator::start().await;
    let mut impostor = Coordinator::start().await;
    let mut host = Host::enrolled(&coordinator, SCRIPTS);
    host.config.coordinator = (&*impostor.address).into();
    let agent = host.start();
    impostor.turned_away().await;
    agent.crash();

    // And a coordinator hears nobody without a certificate of its own CA.
    let mut host = Host::enrolled(&impostor, SCRIPTS);
    host.config.coordinator = (&*coordinator.address).into();
    fs::write(host.config.state_dir.join("identity/ca.pem"), coordinator.authority.ca()).unwrap();
    let _agent = host.start();
    coordinator.turned_away().await;
}

#[tokio::test]
async fn enrols_with_a_token_once() {
    use dv_agent::identity::enrol::{EnrolError, enrol};
    let mut coordinator = Coordinator::start().await;
    let host = Host::new(&coordinator.address, SCRIPTS);
    let token = coordinator.token();
    assert_eq!(enrol(&host.config, &format!("{token}\n"), None).await.unwrap(), "h1");
    let identity = host.config.state_dir.join("identity");
    assert_eq!(mode(&identity), 0o700);
    assert_eq!(mode(&identity.join("key.pem")), 0o600);
    let _agent = host.start();
    coordinator.welcomed(1).await;

    let other = Host::new(&coordinator.address, SCRIPTS);
    let refused = enrol(&other.config, &token, None).await.unwrap_err();
    assert!(matches!(&refused, EnrolError::Refused(why) if why.contains("used")), "{refused}");
    assert!(!other.config.state_dir.join("identity").exists());
}

#[tokio::test]
async fn a_token_is_not_given_to_a_server_that_is_not_the_pinned_one() {
    use dv_agent::identity::enrol::{EnrolError, enrol};
    let coordinator = Coordinator::start().await;
    let impostor = Coordinator::start().await;
    let host = Host::new(&impostor.address, SCRIPTS);
    let error = enrol(&host.config, &coordinator.token(), None).await.unwrap_err();
    assert!(matches!(error, EnrolError::Unreachable { .. }), "{error}");
    assert!(impostor.seen.tokens.lock().unwrap().is_empty());

    let nobody = Host::new("127.0.0.1:1", SCRIPTS);
    let error = enrol(&nobody.config, &coordinator.token(), None).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn another_coordinator_is_another_life() {
    use dv_agent::identity::enrol::enrol;
    let mut first = Coordinator::start().await;
    let mut host = Host::enrolled(&first, SCRIPTS);
    let argv = host.script("do", &format!("echo x >> {}", host.path("done").display()));
    let agent = host.start();
    let mut session = first.welcomed(9).await;
    session.run("r1-1", &argv, false).await;
    session.outcome().await;
    agent.crash();

    let mut second = Coordinator::start().await;
    host.config.coordinator = (&*second.address).into();
    enrol(&host.config, &second.token(), None).await.unwrap();
    let _agent = host.start();
    let mut session = second.welcomed(1).await;
    assert!(session.hello.commands.is_empty());
    session.run("r1-1", &argv, false).await;
    assert_eq!(session.outcome().await.result, OpResult::Done);
    assert_eq!(fs::read_to_string(host.path("done")).unwrap(), "x\nx\n");
}

#[tokio::test]
async fn a_fleet_whose_authority_was_followed_by_another_is_the_same_fleet() {
    use dv_agent::identity::enrol::enrol;
    let mut first = Coordinator::start().await;
    let mut host = Host::enrolled(&first, SCRIPTS);
    let argv = host.script("do", &format!("echo x >> {}", host.path("done").display()));
    let agent = host.start();
    let mut session = first.welcomed(9).await;
    session.run("r1-1", &argv, false).await;
    let outcome = session.outcome_json().await;
    agent.crash();

    let mut second = Coordinator::start().await;
    let lineage = vec![second.authority.pin().to_owned(), first.authority.pin().to_owned()];
    *second.seen.lineage.lock().unwrap() = lineage;
    host.config.coordinator = (&*second.address).into();
    enrol(&host.config, &second.token(), None).await.unwrap();
    let _agent = host.start();
    let mut session = second.welcomed(9).await;
    assert_eq!(session.hello.commands, ["r1-1"]);
    session.run("r1-1", &argv, false).await;
    assert_eq!(session.outcome_json().await, outcome);
    assert_eq!(fs::read_to_string(host.path("done")).unwrap(), "x\n");
}

/// What users of other tools reported: a Docker that accepts and never answers freezes the whole agent.
#[tokio::test]
async fn a_docker_that_accepts_and_never_answers_holds_nothing_up() {
    let mut coordinator = Coordinator::start().await;
    let mut host = Host::enrolled(&coordinator, &format!("{SCRIPTS}images: [r.example.com/app]\n"));
    let socket = host.path("docker.sock");
    let engine = tokio::net::UnixListener::bind(&socket).unwrap();
    host.config.docker_socket = Some(socket);
    let _agent = host.start();
    let mut session = coordinator.welcomed(1).await;
    let digest = Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap();
    let repository = "r.example.com/app".to_owned();
    let (tag, timeout) = ("v1".to_owned(), Span::from_millis(1500));
    let pull = Operation::PullImage { repository, tag, digest, timeout };
    session.command("r1-1", pull).await;
    let _pulling = engine.accept().await.unwrap();

    // Meanwhile: heartbeats, and what has nothing to do with Docker.
    session.heartbeat().await;
    let quick = host.script("quick", "echo quick");
    session.run("r1-2", &quick, true).await;
    let outcome = session.outcome().await;
    assert_eq!((outcome.command.number, outcome.result), (2, OpResult::Done));
    let (found, _) = session.inspect(&[Subject::Command { argv: quick }], None).await;
    assert_eq!(found, [Finding::Allowed]);
    let outcome = session.outcome().await;
    assert_eq!(outcome.command.number, 1);
    assert!(matches!(outcome.result, OpResult::TimedOut(_)), "{:?}", outcome.result);
}

/// What users of other tools reported: the disk is full, and the deployment is neither failed nor done for hours.
#[tokio::test]
async fn an_outcome_that_the_disk_does_not_take_is_told_at_once_and_written_later() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let agent = host.start();
    let full = format!(
        "mv {0} {0}.away; echo x >> {1}",
        host.ledger().display(),
        host.path("done").display()
    );
    let argv = host.script("do", &full);
    let mut session = coordinator.welcomed(1).await;
    session.run("r1-1", &argv, false).await;
    let told = session.outcome_json().await;
    assert!(told.contains("\"done\""), "{told}");
    session.run("r1-1", &argv, false).await;
    assert_eq!(session.outcome_json().await, told, "it is repeated from memory");
    session.acknowledge("r1-1").await;
    // Nothing that is not written down is begun meanwhile; what needs no record is answered.
    session.run("r1-2", &argv, false).await;
    assert!(session.outcome_json().await.contains("can't write down"));
    session.command("r1-3", verify(Probe::Command { argv: host.script("well", "") })).await;
    assert!(matches!(session.outcome().await.result, OpResult::Refused(_)));
    session.heartbeat().await;

    fs::rename(host.path("state/ledger.away"), host.ledger()).unwrap();
    let file = host.ledger().join("r1-1.json");
    let written = || fs::read_to_string(&file).is_ok_and(|text| text.contains("acknowledged"));
    eventually("the outcome is written", written).await;
    agent.crash();
    let _agent = host.start();
    let mut session = coordinator.welcomed(1).await;
    session.run("r1-1", &argv, false).await;
    // What was refused meanwhile is told again as well.
    let of_first = |message| match message {
        from_agent::Message::Outcome(v1::Outcome { outcome_json }) => {
            outcome_json.contains("r1-1").then_some(outcome_json)
        }
        _ => None,
    };
    assert_eq!(session.hear(of_first).await, told);
    assert_eq!(fs::read_to_string(host.path("done")).unwrap(), "x\n");
}

/// A coordinator that comes back while the disk is full finds the host in contact.
#[tokio::test]
async fn an_epoch_that_the_disk_does_not_take_holds_up_commands_and_not_the_link() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    // Where the new epoch would be written beside the old one there is something in the way.
    fs::create_dir_all(host.config.state_dir.join("epoch.tmp/full")).unwrap();
    let agent = host.start();
    let argv = host.script("do", &format!("touch {}", host.path("done").display()));
    let mut session = coordinator.welcomed(3).await;
    session.heartbeat().await;
    let (found, _) = session.inspect(&[Subject::Command { argv: argv.clone() }], None).await;
    assert_eq!(found, [Finding::Allowed]);
    session.run("r1-1", &argv, false).await;
    let refused = session.outcome().await.result;
    assert!(matches!(&refused, OpResult::Refused(why) if why.contains("epoch 3")), "{refused}");
    assert!(!host.path("done").exists());

    fs::remove_dir_all(host.config.state_dir.join("epoch.tmp")).unwrap();
    session.run("r1-2", &argv, false).await;
    assert_eq!(session.outcome().await.result, OpResult::Done);
    agent.crash();
    let _agent = host.start();
    let session = coordinator.welcomed(2).await;
    session.ended().await;
}
