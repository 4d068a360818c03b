//! What a service's own metrics say of its requests.

mod exposition;

use std::time::Duration;

use dv_types::{Finding, Span, manifest::Metrics, monitor::Reading};

use crate::probe::http;
use exposition::{Line, Sample};

const ACCEPT: &str = "text/plain;version=0.0.4,*/*;q=0.1";
const LIMIT: Duration = Duration::from_secs(5);
const LONGEST: usize = 1 << 20;

/// A reading of `metrics`; without any, an empty one.
pub(super) async fn read(metrics: Option<&Metrics>) -> Result<Finding, String> {
    let mut reading =
        Reading { requests: None, errors: None, buckets: Vec::new(), probe: None, good: None };
    if let Some(metrics) = metrics {
        let url = &metrics.url;
        let answer = tokio::time::timeout(LIMIT, http::text(url, ACCEPT, LONGEST)).await;
        let answer =
            answer.unwrap_or_else(|_| Err(format!("no answer within {}", Span::from(LIMIT))));
        let summed = answer.and_then(|text| sum(&text, metrics, &mut reading));
        summed.map_err(|why| format!("{url}: {why}"))?;
    }
    Ok(Finding::Metrics(reading))
}

/// Adds up what concerns us over all sets of labels.
fn sum(text: &str, metrics: &Metrics, reading: &mut Reading) -> Result<(), String> {
    let buckets_of = metrics.latency.as_ref().map(|name| format!("{name}_bucket"));
    let (mut requests, mut errors, mut has_status) = (Counter::default(), 0.0, false);
    let (mut latency, mut buckets) = (Counter::default(), Vec::<(f64, f64)>::new());
    for line in exposition::lines(text) {
        match line? {
            Line::Announced(name) => {
                requests.known |= name == metrics.requests;
                latency.known |= metrics.latency.as_deref() == Some(name);
            }
            Line::Sample(sample) if sample.name == metrics.requests => {
                let count = requests.add(&sample)?;
                if let Some(status) = sample.label(&metrics.status_label) {
                    has_status = true;
                    errors += if status.starts_with('5') { count } else { 0.0 };
                }
            }
            Line::Sample(sample) if buckets_of.as_deref() == Some(sample.name) => {
                let count = latency.add(&sample)?;
                let bound = bound(&sample)?;
                match buckets.iter_mut().find(|(other, _)| *other == bound) {
                    Some((_, counted)) => *counted += count,
                    None => buckets.push((bound, count)),
                }
            }
            Line::Sample(_) => {}
        }
    }
    requests.expect(&metrics.requests)?;
    if requests.samples > 0 && !has_status {
        return Err(format!(
            "`{}` has no label `{}`, so no request could be seen to fail; see `status_label` in the manifest",
            metrics.requests, metrics.status_label
        ));
    }
    if let Some(name) = &metrics.latency {
        latency.expect(name)?;
    }
    buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    (reading.requests, reading.errors) = (Some(requests.total), Some(errors));
    reading.buckets = buckets;
    Ok(())
}

/// What was seen of one metric.
#[derive(Default)]
struct Counter {
    /// The service has spoken of it, with a number or without.
    known: bool,
    samples: usize,
    total: f64,
}

impl Counter {
    fn add(&mut self, sample: &Sample<'_>) -> Result<f64, String> {
        let value = sample.value;
        if !value.is_finite() || value < 0.0 {
            return Err(format!("a sample of `{}` is {value}, which is no count", sample.name));
        }
        self.known = true;
        self.samples += 1;
        self.total += value;
        Ok(value)
    }

    fn expect(&self, name: &str) -> Result<(), String> {
        match self.known {
            true => Ok(()),
            false => Err(format!(
                "there is no `{name}`; see whether that is its name, or whether nothing was asked of the \
                 service yet"
            )),
        }
    }
}

/// A bucket's upper bound.
fn bound(sample: &Sample<'_>) -> Result<f64, String> {
    let le = sample.label("le").unwrap_or_default();
    le.parse().ok().filter(|bound: &f64| !bound.is_nan()).ok_or_else(|| {
        format!("a sample of `{}` has le={le:?}, which is no bound of a bucket", sample.name)
    })
}

#[cfg(test)]
mod tests;
