//! The service is watched through the real server: by the agents, and by a Prometheus.

use dv_types::{
    Fact, Manifest, Record, Sample, Span,
    manifest::{Compare, Metrics, Monitor, Thresholds},
    monitor::{MonitorVerdict, Watching},
    record::{PauseWhy, Verdict},
    report::State,
};

use super::{
    rollout::fleet,
    support::{
        Agent, Site, Traffic, World, eventually, manifest,
        operator::Operator as _,
        prometheus::{Mood, Prometheus, TOKEN, queries},
        started,
    },
};

/// Service `web`, watched over ten intervals after the canary and after the last host.
fn watched(change: impl FnOnce(&mut Monitor)) -> Manifest {
    let mut monitor = Monitor {
        duration: Span::from_secs(3),
        canary: Span::from_secs(3),
        interval: Span::from_millis(300),
        metrics: None,
        prometheus: None,
        thresholds: Thresholds { error_percent: Some(1.0), latency_p99: None },
        compare: Compare::default(),
        min_requests: 3,
    };
    change(&mut monitor);
    let manifest = manifest(|strategy| {
        strategy.canary = dv_types::Quota::Hosts(1);
        strategy.auto_promote = true;
        strategy.max_parallel = Some(dv_types::Quota::Hosts(3));
    });
    Manifest { monitor: Some(monitor), ..manifest }
}

fn metrics() -> Metrics {
    Metrics {
        url: "http://localhost:8080/metrics".to_owned(),
        requests: "requests_total".to_owned(),
        status_label: "status".to_owned(),
        latency: Some("seconds".to_owned()),
    }
}

/// Three hosts on 1.0 that do well.
async fn site_on_1_0(site: &Site, world: &World) -> Vec<Agent> {
    let agents = fleet(site, world, 3).await;
    let mut operator = site.operator();
    let first = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    operator.follow(&first).await;
    agents
}

fn samples(records: &[Record]) -> Vec<&Sample> {
    let samples = records.iter().filter_map(|record| match &record.fact {
        Fact::Sampled { sample } => Some(sample),
        _ => None,
    });
    samples.collect()
}

fn judged(records: &[Record]) -> Vec<(Watching, MonitorVerdict, &str)> {
    let judged = records.iter().filter_map(|record| match &record.fact {
        Fact::Judged { watching, judgement } => {
            Some((*watching, judgement.verdict, &*judgement.why))
        }
        _ => None,
    });
    judged.collect()
}

/// Version 2.0 goes out, is condemned for this reason, and is taken back.
async fn is_taken_back(site: &Site, world: &World, manifest: &Manifest, because: &str) {
    let mut operator = site.operator();
    let id = operator.begin(manifest, "2.0").await.unwrap();
    let (records, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Failed), "{:#?}", report.monitor);
    let [(Watching::Canary, MonitorVerdict::Fail, why)] = judged(&records)[..] else {
        panic!("{:#?}", judged(&records))
    };
    assert!(why.contains(because), "{why}");
    assert_eq!(report.totals.touched, 1, "the canary alone");
    started(&mut operator, "r3").await;
    let (_, back) = operator.follow("r3").await;
    assert_eq!(back.state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.versions(), ["1.0"; 3]);
}

#[tokio::test]
async fn a_good_version_is_watched_twice_and_passes() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = site_on_1_0(&site, &world).await;
    let mut operator = site.operator();
    let manifest = watched(|monitor| monitor.metrics = Some(metrics()));
    let id = operator.begin(&manifest, "2.0").await.unwrap();
    let (records, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded), "{:#?}", report.monitor);
    assert_eq!(world.versions(), ["2.0"; 3]);
    let judged = judged(&records);
    let [
        (Watching::Canary, MonitorVerdict::Pass, first),
        (Watching::Fleet, MonitorVerdict::Pass, last),
    ] = judged[..]
    else {
        panic!("{judged:#?}")
    };
    let both = "judged by thresholds and against the old hosts";
    assert!(first.contains("old hosts 0.0 %; p99 latency 95 ms"), "{first}");
    assert!(first.ends_with(both), "{first}");
    assert!(last.ends_with("judged by thresholds"), "{last}");
    let canary = samples(&records)[1];
    assert_eq!((canary.new.hosts, canary.old.as_ref().unwrap().hosts), (1, 2));
    assert_eq!(canary.trouble, None);
}

#[tokio::test]
async fn errors_in_the_agents_metrics_take_the_version_back() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = site_on_1_0(&site, &world).await;
    world.serve("2.0", Traffic { errors: 5.0, slowest: 0.1 });
    let manifest = watched(|monitor| monitor.metrics = Some(metrics()));
    let why = "requests failed (threshold 1 %), old hosts 0.0 %";
    is_taken_back(&site, &world, &manifest, why).await;
}

#[tokio::test]
async fn a_slow_version_is_found_by_its_probes_alone() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = site_on_1_0(&site, &world).await;
    world.serve("2.0", Traffic { errors: 0.0, slowest: 0.3 });
    let why = "p99 latency 300 ms, old hosts 100 ms: 3.0 times slower";
    is_taken_back(&site, &world, &watched(|_| ()), why).await;
}

#[tokio::test]
async fn a_prometheus_finds_it_as_well() {
    let mut site = Site::new();
    let world = World::default();
    let prometheus = Prometheus::start(&world, Mood::Well).await;
    let directory = tempfile::tempdir().unwrap();
    site.knows_prometheus("main", prometheus.config(directory.path()));
    let _running = site.start().await;
    let _agents = site_on_1_0(&site, &world).await;
    world.serve("2.0", Traffic { errors: 5.0, slowest: 0.1 });
    let manifest = watched(|monitor| monitor.prometheus = Some(queries("main")));
    is_taken_back(&site, &world, &manifest, "old hosts 0.0 %").await;
    let asked = prometheus.asked();
    for query in [
        r#"errors{host=~"web1"}[300ms]"#,
        r#"errors{host=~"web2|web3"}[300ms]"#,
        r#"p99{host=~"web1"}[300ms]"#,
    ] {
        assert!(asked.iter().any(|asked| asked == query), "{query}: {:#?}", &asked[..6]);
    }
}

/// The rollout pauses, and says that it saw nothing, and why.
async fn sees_nothing(site: &Site, manifest: &Manifest, because: &str) {
    let mut operator = site.operator();
    let id = operator.begin(manifest, "2.0").await.unwrap();
    let why = eventually("the monitor says that it can't tell", async || {
        match operator.look(&id).await.state {
            State::Paused(PauseWhy::Inconclusive { why }) => Some(why),
            _ => None,
        }
    })
    .await;
    assert!(why.starts_with("something was seen in 0 of 10 intervals of 300ms only"), "{why}");
    assert!(why.contains(because), "{why}");
    assert!(!why.contains(TOKEN), "{why}");
}

#[tokio::test]
async fn a_prometheus_that_says_nothing_is_no_good_news() {
    for (mood, because) in [
        (Mood::Empty, "prometheus main: the query `requests` finds nothing"),
        (Mood::NotANumber, "prometheus main: the query `requests` finds nothing"),
        (Mood::Error, "prometheus main: the query `requests`: timeout: query timed out"),
    ] {
        let mut site = Site::new();
        let world = World::default();
        let prometheus = Prometheus::start(&world, mood).await;
        let directory = tempfile::tempdir().unwrap();
        site.knows_prometheus("main", prometheus.config(directory.path()));
        let _running = site.start().await;
        let _agents = fleet(&site, &world, 2).await;
        let manifest = watched(|monitor| monitor.prometheus = Some(queries("main")));
        sees_nothing(&site, &manifest, because).await;
    }
}

#[tokio::test]
async fn a_prometheus_that_is_not_there_is_no_good_news() {
    let mut site = Site::new();
    let world = World::default();
    let directory = tempfile::tempdir().unwrap();
    let gone = Prometheus::start(&world, Mood::Well).await.config(directory.path());
    site.knows_prometheus("gone", gone);
    let _running = site.start().await;
    let _agents = fleet(&site, &world, 2).await;
    let manifest = watched(|monitor| monitor.prometheus = Some(queries("gone")));
    sees_nothing(&site, &manifest, "prometheus gone: the query `requests`: ").await;
}

#[tokio::test]
async fn a_prometheus_that_nobody_knows_is_named() {
    let mut site = Site::new();
    let world = World::default();
    let _running = site.start().await;
    let _agents = fleet(&site, &world, 2).await;
    let manifest = watched(|monitor| monitor.prometheus = Some(queries("mian")));
    let because = "prometheus mian: the coordinator's configuration has no such source under `prometheus`: it has none";
    sees_nothing(&site, &manifest, because).await;
}
