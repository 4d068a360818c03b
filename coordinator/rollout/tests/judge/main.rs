//! How good the monitor's judgement is: what is found, how soon, and how often it is wrong. The figures are printed:
//! `cargo test -p dv-rollout --test judge -- --nocapture --test-threads 1`.

mod plain;
mod traffic;

use dv_rollout::judge::judge;
use dv_types::{
    Judgement, Sample, Span,
    manifest::Monitor,
    monitor::MonitorVerdict::{self, Fail, Inconclusive, Pass},
};

use traffic::{SAME, Service, Version};

const WINDOWS: u64 = 1000;
/// Of these, which are bad, nearly all must be found.
const BAD: u64 = 400;

/// A manifest's monitor.
pub(crate) fn monitor(rest: &str) -> Monitor {
    serde_json::from_str(&format!(r#"{{ "interval": "10s"{rest} }}"#)).unwrap()
}

/// The judgement after each interval of the window, until it is plain; and the number of intervals that it took.
pub(crate) fn watched(monitor: &Monitor, samples: &[Sample]) -> (Judgement, usize) {
    let window = Span::from_secs(10 * samples.len() as u64);
    for seen in 1..=samples.len() {
        if let Some(found) = judge(monitor, &samples[..seen], window, false) {
            return (found, seen);
        }
    }
    let end = judge(monitor, samples, window, true);
    (end.expect("at the end it is judged"), samples.len())
}

/// What became of many windows.
#[derive(Debug, Default)]
struct Tally {
    pass: u64,
    fail: u64,
    inconclusive: u64,
    /// The mean share of the window after which the bad ones were found.
    found_after: f64,
    longest: usize,
}

fn tally(monitor: &Monitor, service: Service, windows: u64, what: &str) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..windows {
        let samples = traffic::window(service, seed.wrapping_mul(7919) + 17);
        let (judgement, after) = watched(monitor, &samples);
        match judgement.verdict {
            Pass => tally.pass += 1,
            Inconclusive => tally.inconclusive += 1,
            Fail => {
                tally.fail += 1;
                tally.found_after += after as f64 / service.intervals as f64;
                tally.longest = tally.longest.max(after);
            }
        }
    }
    tally.found_after /= tally.fail.max(1) as f64;
    println!("{what}: {tally:?}");
    tally
}

/// So many of `windows` are not more than `share`, but for the error of the sample (three standard deviations).
fn at_most(share: f64, windows: u64) -> u64 {
    let windows = windows as f64;
    (windows * share + 3.0 * (windows * share * (1.0 - share)).sqrt()) as u64
}

const BOTH: &str = r#", "thresholds": { "error_percent": 2, "latency_p99": "500ms" }"#;

#[test]
fn a_version_over_itself_is_not_condemned() {
    for (requests, what) in [((40.0, 120.0), "40 requests"), ((8.0, 80.0), "8 requests")] {
        let service = Service { version: SAME, requests, intervals: 90 };
        let tally = tally(&monitor(BOTH), service, WINDOWS, &format!("the same, {what}"));
        assert!(tally.fail <= at_most(0.01, WINDOWS), "{tally:?}");
        assert!(tally.pass + at_most(0.01, WINDOWS) >= WINDOWS, "{tally:?}");
    }
}

/// Even without the practical minimum that covers up for it.
#[test]
fn looking_often_makes_no_false_alarms() {
    let bare = monitor(r#", "compare": { "error_points": 0, "latency_ratio": 1 }"#);
    let service = Service { version: SAME, requests: (60.0, 60.0), intervals: 60 };
    let tally = tally(&bare, service, WINDOWS, "the same, significance alone");
    assert!(tally.fail <= at_most(0.01, WINDOWS), "{tally:?}");
}

#[test]
fn significance_alone_condemns_nobody() {
    // A little worse, and in time surely so: 0.3 percentage points.
    let version = Version { fails: 0.003, tail: 1.0 };
    let service = Service { version, requests: (200.0, 200.0), intervals: 60 };
    let tally = tally(&monitor(""), service, 200, "0.3 points more errors");
    assert!(tally.fail <= at_most(0.01, 200), "{tally:?}");
}

#[test]
fn five_percent_errors_are_found() {
    let version = Version { fails: 0.05, tail: 1.0 };
    for (rest, old, what) in
        [("", 120.0, "comparison"), (r#", "thresholds": { "error_percent": 1 }"#, 0.0, "threshold")]
    {
        let service = Service { version, requests: (40.0, old), intervals: 90 };
        let tally = tally(&monitor(rest), service, BAD, &format!("5 % errors, {what}"));
        assert!(tally.fail * 100 >= BAD * 99, "{tally:?}");
        assert!(tally.found_after < 0.4, "{tally:?}");
    }
}

#[test]
fn a_three_times_slower_tail_is_found() {
    let version = Version { fails: 0.0, tail: 3.0 };
    for (rest, old, what) in [
        ("", 120.0, "comparison"),
        (r#", "thresholds": { "latency_p99": "150ms" }"#, 0.0, "threshold"),
    ] {
        let service = Service { version, requests: (100.0, old), intervals: 90 };
        let tally = tally(&monitor(rest), service, BAD, &format!("slow tail, {what}"));
        assert!(tally.fail * 100 >= BAD * 99, "{tally:?}");
        assert!(tally.found_after < 0.4, "{tally:?}");
    }
}

#[test]
fn with_little_traffic_nothing_is_told() {
    let service = Service { version: SAME, requests: (0.5, 2.0), intervals: 90 };
    let tally = tally(&monitor(BOTH), service, WINDOWS, "one request in 20 s");
    assert_eq!(tally.inconclusive, WINDOWS, "{tally:?}");
}

/// A short window, as a test of the whole would take it.
#[test]
fn thirty_intervals_are_enough() {
    for (version, what) in [
        (Version { fails: 0.05, tail: 1.0 }, "5 % errors"),
        (Version { fails: 0.0, tail: 3.0 }, "slow tail"),
    ] {
        let service = Service { version, requests: (200.0, 200.0), intervals: 30 };
        let tally = tally(&monitor(""), service, 300, &format!("{what}, 30 intervals"));
        assert!(tally.fail * 100 >= 300 * 99, "{tally:?}");
    }
}

/// The judgement of samples that are given.
pub(crate) fn verdict(monitor: &Monitor, samples: &[Sample]) -> (MonitorVerdict, String, usize) {
    let (judgement, after) = watched(monitor, samples);
    (judgement.verdict, judgement.why, after)
}
