//! A release that is ready and still bad is caught by what its visitors get, with a Prometheus and without; one that is as
//! good as the one before it is left alone, time after time.

use dv_e2e::{
    load::Load,
    manifest::{Manifest, Shape},
    scenario::Scenario,
};
use dv_types::{Report, monitor::MonitorVerdict, record::Verdict, report::State};

/// Questions a second to each host.
const RATE: u32 = 20;

/// What the agents scrape of the service's own metrics.
const METRICS: &str = "metrics: {url: \"http://127.0.0.1:8080/metrics\", requests: debvisor_requests_total, \
    latency: debvisor_request_seconds}";
/// What a Prometheus knows that scrapes every second.
const PROMETHEUS: &str = r#"prometheus: {source: main,
    requests: 'sum(increase(debvisor_requests_total{host=~"${hosts}"}[${interval}]))',
    errors: 'sum(increase(debvisor_requests_total{host=~"${hosts}",status=~"5.."}[${interval}])) or vector(0)',
    latency_p99: 'histogram_quantile(0.99, sum by (le) (rate(debvisor_request_seconds_bucket{host=~"${hosts}"}[${interval}])))'}"#;

const BY_AGENTS: (&str, [&str; 3]) = (METRICS, ["30s", "5s", "1s"]);
/// A rate needs some scrapes in each interval.
const BY_PROMETHEUS: (&str, [&str; 3]) = (PROMETHEUS, ["60s", "8s", "4s"]);

/// The canary is watched for `canary` beside the old hosts, then the fleet for `duration`.
fn watched(scenario: &Scenario, source: &str, [canary, duration, interval]: [&str; 3]) -> Manifest {
    let monitor = format!(
        "{{canary: {canary}, duration: {duration}, interval: {interval}, min_requests: 20, \
         thresholds: {{error_percent: 1}}, {source}}}"
    );
    scenario
        .manifest(Shape::Unit)
        .without("max_parallel")
        .with("canary", "1")
        .with("auto_promote", "true")
        .with("batches", "[1, 100%]")
        .section("monitor", &monitor)
}

/// A release that shows its fault to visitors only is stopped at the canary, and goes back.
#[track_caller]
fn catches(name: &str, version: &str, (source, windows): (&str, [&str; 3]), word: &str) {
    let scenario = Scenario::begin(name);
    let manifest = watched(&scenario, source, windows);
    scenario.baseline(&manifest, "v2");
    let _load = Load::start(&scenario.bed, RATE);
    let mark = scenario.mark();
    let ran = scenario.rollout(&manifest, version).exits(6);
    scenario.all_run(Shape::Unit, "v2");
    let starts: Vec<_> =
        scenario.bed.hosts.iter().map(|host| mark.starts(host, Shape::Unit)).collect();
    assert_eq!(starts.iter().sum::<usize>(), 2, "only the canary had it: {starts:?}");

    let bad = report_of(&scenario, version);
    let judgement = bad.monitor[0].judgement.as_ref().expect("it was judged");
    assert_eq!(judgement.verdict, MonitorVerdict::Fail, "{judgement:?}");
    assert!(judgement.why.contains(word), "it says what is wrong: {}\n{ran}", judgement.why);
}

/// The last rollout that brought a version out.
#[track_caller]
fn report_of(scenario: &Scenario, version: &str) -> Report {
    let history = scenario.dvctl.json(&["rollout", "history", &scenario.service]);
    let history: Vec<Report> = serde_json::from_value(history).expect("a list of reports");
    let forward =
        |r: &&Report| r.version.as_str() == version && r.kind == dv_types::plan::Kind::Forward;
    let id = history.iter().find(forward).expect("it was brought out").rollout.to_string();
    serde_json::from_value(scenario.dvctl.json(&["rollout", "status", &id])).expect("a report")
}

#[test]
fn errors_are_seen_in_what_the_agents_scrape() {
    catches("errors-metrics", "v3-errors", BY_AGENTS, "requests failed");
}

#[test]
fn errors_are_seen_by_a_prometheus() {
    catches("errors-prometheus", "v3-errors", BY_PROMETHEUS, "requests failed");
}

#[test]
fn slowness_is_seen_in_what_the_agents_scrape() {
    catches("slow-metrics", "v4-slow", BY_AGENTS, "latency");
}

#[test]
fn slowness_is_seen_by_a_prometheus() {
    catches("slow-prometheus", "v4-slow", BY_PROMETHEUS, "latency");
}

#[test]
fn a_good_release_over_itself_is_left_alone_ten_times() {
    left_alone_ten_times("over-itself", METRICS, ["4s", "3s", "500ms"]);
}

#[test]
fn a_good_release_over_itself_is_left_alone_by_a_prometheus_ten_times() {
    left_alone_ten_times("over-itself-prometheus", PROMETHEUS, ["6s", "6s", "3s"]);
}

#[track_caller]
fn left_alone_ten_times(name: &str, source: &str, windows: [&str; 3]) {
    let scenario = Scenario::begin(name);
    let manifest = watched(&scenario, source, windows).with("min_healthy_time", "0s");
    scenario.baseline(&manifest, "v2");
    let _load = Load::start(&scenario.bed, RATE);
    for time in 1..=10 {
        let ran = scenario.rollout(&manifest, "v2");
        assert_eq!(ran.code, Some(0), "time {time}\n{ran}");
        assert_eq!(scenario.report().state, State::Ended(Verdict::Succeeded));
    }
}
