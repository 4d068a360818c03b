//! What is judged how, by samples written down.

use dv_rollout::judge::judge;
use dv_types::{
    Sample, Span,
    monitor::{
        MonitorVerdict::{Fail, Inconclusive, Pass},
        Seen,
    },
};

use crate::{monitor, verdict};

fn seen(requests: f64, errors: f64, latency_p99: Option<f64>) -> Seen {
    Seen { hosts: 2, requests, errors, latency_p99 }
}

fn alone(requests: f64, errors: f64, latency_p99: Option<f64>) -> Sample {
    Sample { new: seen(requests, errors, latency_p99), old: None, trouble: None }
}

const ERRORS: &str = r#", "thresholds": { "error_percent": 1 }"#;
const LATENCY: &str = r#", "thresholds": { "latency_p99": "100ms" }"#;

#[test]
fn one_bad_request_of_a_few_is_no_verdict() {
    let mut samples = vec![alone(1.0, 1.0, None)];
    samples.resize(20, alone(100.0, 0.0, None));
    let (verdict, why, after) = verdict(&monitor(ERRORS), &samples);
    assert_eq!((verdict, after), (Pass, 20), "{why}");
}

#[test]
fn a_service_that_fails_is_condemned_long_before_the_end() {
    let samples = vec![alone(100.0, 5.0, None); 90];
    let (verdict, why, after) = verdict(&monitor(ERRORS), &samples);
    assert_eq!((verdict, after), (Fail, 3), "{why}");
    assert_eq!(why, "5.0 % of 300 requests failed (threshold 1 %)");
}

#[test]
fn one_burst_does_not_speak_for_the_version() {
    let mut samples = vec![alone(500.0, 60.0, None)];
    samples.resize(90, alone(500.0, 0.0, None));
    let (verdict, why, _) = verdict(&monitor(ERRORS), &samples);
    assert_eq!(verdict, Pass, "{why}");
}

#[test]
fn above_the_threshold_by_chance_perhaps_is_for_a_person() {
    let mut samples = vec![alone(10.0, 0.0, None); 18];
    samples.extend([alone(10.0, 1.0, None), alone(10.0, 2.0, None)]);
    let (verdict, why, _) = verdict(&monitor(ERRORS), &samples);
    assert_eq!(verdict, Inconclusive);
    assert_eq!(
        why,
        "1.5 % of 200 requests failed (threshold 1 %): more than the threshold, but so few that it may be chance"
    );
}

#[test]
fn the_latency_must_stay_above_its_threshold() {
    let (low, high) = (alone(50.0, 0.0, Some(0.05)), alone(50.0, 0.0, Some(0.3)));
    let now_and_then: Vec<_> =
        (0..40).map(|n| if n % 5 == 4 { low.clone() } else { high.clone() }).collect();
    let window = Span::from_secs(400);
    let monitor = monitor(LATENCY);
    for seen in 0..40 {
        assert_eq!(judge(&monitor, &now_and_then[..seen], window, false), None);
    }
    let (verdict, why, after) = verdict(&monitor, &now_and_then);
    assert_eq!((verdict, after), (Fail, 40), "most of the time it was above");
    assert_eq!(
        why,
        "p99 latency 300 ms (threshold 100ms): above the threshold in 32 of 40 intervals"
    );
    let mut for_good = vec![low; 10];
    for_good.resize(40, high);
    assert_eq!(crate::verdict(&monitor, &for_good).2, 15);
}

#[test]
fn a_few_slow_requests_are_for_a_person() {
    // As after a restart, when nothing is warm yet and hardly anybody asks.
    let samples = vec![alone(1.0, 0.0, Some(3.0)); 40];
    let (verdict, why, after) = verdict(&monitor(LATENCY), &samples);
    assert_eq!((verdict, after), (Inconclusive, 40), "{why}");
}

#[test]
fn the_old_hosts_are_the_measure() {
    let both = |new: Seen, old: Seen| Sample { new, old: Some(old), trouble: None };
    // The database is slow, and so is everything.
    let busy = both(seen(100.0, 20.0, Some(3.0)), seen(300.0, 60.0, Some(3.0)));
    let (verdict, why, _) = verdict(&monitor(""), &vec![busy; 30]);
    assert_eq!(verdict, Pass);
    assert_eq!(
        why,
        "20.0 % of 3000 requests failed, old hosts 20.0 %; p99 latency 3.00 s, old hosts 3.00 s; \
         judged against the old hosts"
    );
    let bad = both(seen(100.0, 5.0, Some(0.1)), seen(300.0, 0.0, Some(0.1)));
    let (verdict, why, after) = crate::verdict(&monitor(""), &vec![bad; 30]);
    assert_eq!((verdict, after), (Fail, 8), "{why}");
    assert_eq!(
        why,
        "5.0 % of 800 requests failed, old hosts 0.0 %: 5.0 percentage points more than the old hosts at the same \
         time (1 are allowed)"
    );
    let slow = both(seen(100.0, 0.0, Some(0.3)), seen(300.0, 0.0, Some(0.1)));
    let (verdict, why, after) = crate::verdict(&monitor(""), &vec![slow; 30]);
    assert_eq!((verdict, after), (Fail, 8), "{why}");
    assert_eq!(
        why,
        "p99 latency 300 ms, old hosts 100 ms: 3.0 times slower than they at the same time (1.5 times is allowed); \
         0.0 % of 800 requests failed, old hosts 0.0 %"
    );
}

#[test]
fn it_is_not_compared_where_the_manifest_says_so() {
    let bad =
        Sample { new: seen(100.0, 5.0, None), old: Some(seen(300.0, 0.0, None)), trouble: None };
    let off =
        monitor(r#", "compare": { "enabled": false }, "thresholds": { "error_percent": 10 }"#);
    let (verdict, why, _) = verdict(&off, &vec![bad; 30]);
    assert_eq!(verdict, Pass);
    assert!(why.ends_with("; judged by thresholds"), "{why}");
}

#[test]
fn an_interval_without_requests_has_no_rate() {
    let idle = Sample { new: seen(0.0, 0.0, None), old: Some(seen(0.0, 0.0, None)), trouble: None };
    let bad =
        Sample { new: seen(100.0, 5.0, None), old: Some(seen(300.0, 0.0, None)), trouble: None };
    let samples: Vec<_> =
        (0..90).map(|n| if n % 2 == 0 { idle.clone() } else { bad.clone() }).collect();
    // Taken for intervals without errors they would hide the half of it.
    let (verdict, why, after) = verdict(&monitor(""), &samples);
    assert_eq!((verdict, after), (Fail, 18), "{why}");
}

#[test]
fn what_was_not_seen_is_not_well() {
    let blind = Sample {
        trouble: Some("prometheus main did not answer".to_owned()),
        ..alone(0.0, 0.0, None)
    };
    let blind = Sample { new: Seen::default(), ..blind };
    let mut samples = vec![alone(100.0, 0.0, None); 10];
    samples.resize(30, blind);
    let (verdict, why, _) = verdict(&monitor(ERRORS), &samples);
    assert_eq!(verdict, Inconclusive);
    assert_eq!(
        why,
        "something was seen in 10 of 30 intervals of 10s only, and it must be half of them: \
         prometheus main did not answer"
    );
    let (verdict, why, _) = crate::verdict(&monitor(ERRORS), &vec![alone(2.0, 0.0, None); 30]);
    assert_eq!(verdict, Inconclusive);
    assert_eq!(why, "60 requests were seen in 30 intervals of 10s, and min_requests is 100");
    let (verdict, why, _) = crate::verdict(&monitor(LATENCY), &vec![alone(50.0, 0.0, None); 30]);
    assert_eq!(verdict, Inconclusive);
    assert_eq!(why, "the latency was never seen, and the threshold is 100ms");
}

#[test]
fn without_anything_to_judge_by_it_is_not_called_good() {
    let (verdict, why, _) = verdict(&monitor(""), &vec![alone(50.0, 1.0, None); 30]);
    assert_eq!(verdict, Inconclusive);
    assert_eq!(
        why,
        "2.0 % of 1500 requests failed, but nothing judges that: there are no old hosts to compare with, and \
         monitor.thresholds has no limit"
    );
}
