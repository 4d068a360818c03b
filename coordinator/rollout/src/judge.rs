//! Judges what was seen of a service. Pure: samples in, a judgement out.

use dv_types::{Judgement, Sample, manifest::Monitor, monitor::MonitorVerdict};

/// The judgement, as soon as it is plain; nothing where more must be seen. `over` says that the window has ended.
#[must_use]
pub fn judge(monitor: &Monitor, samples: &[Sample], over: bool) -> Option<Judgement> {
    let requests: f64 = samples.iter().map(|sample| sample.new.requests).sum();
    if !over {
        return None;
    }
    if requests < monitor.min_requests as f64 {
        let why = format!(
            "{requests:.0} requests were seen, and min_requests is {}",
            monitor.min_requests
        );
        return Some(Judgement { verdict: MonitorVerdict::Inconclusive, why });
    }
    let why = format!("{requests:.0} requests were seen");
    Some(Judgement { verdict: MonitorVerdict::Pass, why })
}
