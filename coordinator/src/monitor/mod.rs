//! Looks at a service while it is watched: one sample for each interval, of the hosts that run the new version and of
//! those that still run the old one.
//!
//! ```text
//!           ┌── scraped      agents read the service's metrics; differences of counters
//! watch ────┼── probed       agents ask the probes; there are no metrics
//!           └── prometheus   a Prometheus is asked
//! ```
//!
//! What can't be seen is left out of the sample, which says why. What that means is judged elsewhere.

mod histogram;
mod probed;
mod prometheus;
mod scraped;
mod ticks;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dv_types::{HostName, Sample, Timestamp, manifest::Monitor, probe::Probing};

use crate::{fleet::Fleet, ports::Clock};

pub use prometheus::PrometheusConfig;

/// A Prometheus for each name that manifests use.
pub(crate) type Sources = BTreeMap<String, PrometheusConfig>;

/// An answer is waited for no longer than this, and never as long as the interval.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is watched.
pub(crate) struct Watched<'a> {
    pub(crate) monitor: &'a Monitor,
    /// The service's probes.
    pub(crate) probing: Option<&'a Probing>,
    /// Hosts that run the new version.
    pub(crate) new: &'a [HostName],
    /// Hosts that still run the old one.
    pub(crate) old: &'a [HostName],
}

/// What looks at it.
enum Eyes<'a> {
    Scraped(scraped::Scraped<'a>),
    Probed(probed::Probed<'a>),
    Prometheus(prometheus::Asked<'a>),
}

/// Takes samples for ever, and tells each.
pub(crate) async fn watch(
    clock: &Arc<dyn Clock>,
    fleet: &Fleet,
    sources: &Sources,
    watched: Watched<'_>,
    mut tell: impl FnMut(Sample),
) {
    let interval = watched.monitor.interval;
    let (mut eyes, pace) = match (&watched.monitor.prometheus, &watched.monitor.metrics) {
        (Some(asked), _) => {
            (Eyes::Prometheus(prometheus::Asked::open(sources, asked, &watched).await), interval)
        }
        (None, Some(metrics)) => {
            (Eyes::Scraped(scraped::Scraped::new(fleet, metrics, &watched)), interval)
        }
        (None, None) => {
            let probed = probed::Probed::new(fleet, &watched);
            let pace = probed.pace();
            (Eyes::Probed(probed), pace)
        }
    };
    let began = clock.now();
    let mut at = began;
    loop {
        // At the start there is nothing to tell yet.
        let ends = at > began && ticks::ends_interval(at, pace, interval);
        if let Some(sample) = eyes.look(at, began, ends).await {
            tell(sample);
        }
        // A look that took long is followed by the next tick that is still to come, not by those that were missed.
        at = ticks::next(at.max(clock.now()), pace);
        clock.sleep_until(at).await;
    }
}

impl Eyes<'_> {
    /// One look; `ends` says that an interval ends with it.
    async fn look(&mut self, at: Timestamp, began: Timestamp, ends: bool) -> Option<Sample> {
        match self {
            Self::Scraped(scraped) => scraped.look().await,
            Self::Probed(probed) => {
                let sample = ends.then(|| probed.sample());
                probed.look().await;
                sample
            }
            Self::Prometheus(asked) => asked.look(at, began).await,
        }
    }
}

/// How long an answer may take.
fn deadline(interval: Duration) -> Duration {
    (interval * 4 / 5).min(PATIENCE)
}

/// Hosts of which something was not seen, in words.
#[derive(Default)]
struct Troubles {
    first: Option<String>,
    more: usize,
}

impl Troubles {
    fn add(&mut self, what: impl FnOnce() -> String) {
        match self.first {
            None => self.first = Some(what()),
            Some(_) => self.more += 1,
        }
    }

    fn told(self) -> Option<String> {
        let first = self.first?;
        Some(match self.more {
            0 => first,
            more => format!("{first}, and {more} more"),
        })
    }
}
