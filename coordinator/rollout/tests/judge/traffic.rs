//! A service under traffic, simulated: arrivals are Poisson, latencies log-normal, load comes and goes slowly, and
//! hiccups last for a while. The numbers are those of a seed, the same at every run.

use dv_types::{Sample, monitor::Seen};

/// Upper bounds of the histogram in seconds.
const BOUNDS: [f64; 13] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];
/// The median latency of a quiet service in seconds, and the spread of its logarithm: 99 % take less than 80 ms.
const MEDIAN: f64 = 0.025;
const SPREAD: f64 = 0.5;
/// The share of requests that fails by itself.
const FAILS: f64 = 0.002;

/// Chance from a seed (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn poisson(&mut self, mean: f64) -> u32 {
        // A large mean is the sum of small ones: the product below must not vanish.
        if mean > 30.0 {
            return self.poisson(mean / 2.0) + self.poisson(mean / 2.0);
        }
        let (mut count, mut product) = (0, self.unit());
        let least = (-mean).exp();
        while product > least {
            count += 1;
            product *= self.unit();
        }
        count
    }
}

/// Hiccups begin with this chance in each interval, and end with another.
struct Hiccups {
    begin: f64,
    now: bool,
}

impl Hiccups {
    fn step(&mut self, chance: &mut Chance) -> bool {
        self.now = chance.unit() < if self.now { 0.6 } else { self.begin };
        self.now
    }
}

/// How the new version differs from the old one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    /// The share of requests that fails in addition.
    pub(crate) fails: f64,
    /// How many times slower its slowest 2 % are.
    pub(crate) tail: f64,
}

pub(crate) const SAME: Version = Version { fails: 0.0, tail: 1.0 };

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service {
    pub(crate) version: Version,
    /// Requests to the new hosts and to the old ones in one interval.
    pub(crate) requests: (f64, f64),
    pub(crate) intervals: usize,
}

/// One window of it.
pub(crate) fn window(service: Service, seed: u64) -> Vec<Sample> {
    let mut chance = Chance::new(seed);
    let mut load = 0.0;
    // A slow database hits all; a noisy neighbour one group.
    let mut common = Hiccups { begin: 0.02, now: false };
    let mut own = [Hiccups { begin: 0.01, now: false }, Hiccups { begin: 0.01, now: false }];
    let mut drift = [0.0, 0.0];
    let mut samples = Vec::new();
    for _ in 0..service.intervals {
        // Half of it stays from one interval to the next.
        load = 0.5 * load + 0.15 * chance.normal();
        let all = common.step(&mut chance);
        let mut seen = [0, 1].map(|group| {
            drift[group] = 0.5 * drift[group] + 0.05 * chance.normal();
            let hiccup = own[group].step(&mut chance) || all;
            let (version, mean) = match group {
                0 => (service.version, service.requests.0),
                _ => (SAME, service.requests.1),
            };
            interval(&mut chance, version, mean, load + drift[group], hiccup)
        });
        let old = (service.requests.1 > 0.0).then(|| std::mem::take(&mut seen[1]));
        samples.push(Sample { new: std::mem::take(&mut seen[0]), old, trouble: None });
    }
    samples
}

fn interval(chance: &mut Chance, version: Version, mean: f64, load: f64, hiccup: bool) -> Seen {
    let requests = chance.poisson(mean * load.exp());
    let fails = FAILS + version.fails + if hiccup { 0.03 } else { 0.0 };
    let slower = if hiccup { 2.0 } else { 1.0 } * load.exp();
    let mut counts = [0u32; BOUNDS.len() + 1];
    let mut errors = 0;
    for _ in 0..requests {
        errors += u32::from(chance.unit() < fails);
        let tail = if chance.unit() < 0.02 { version.tail } else { 1.0 };
        // The slow ones are slow already before they become slower.
        let z = if tail > 1.0 { chance.normal().abs() + 1.5 } else { chance.normal() };
        let latency = MEDIAN * slower * tail * (SPREAD * z).exp();
        counts[BOUNDS.partition_point(|bound| *bound < latency)] += 1;
    }
    Seen {
        hosts: 1,
        requests: requests.into(),
        errors: errors.into(),
        latency_p99: p99(&counts, requests),
    }
}

/// Interpolated within the bucket, as Prometheus does it.
fn p99(counts: &[u32], requests: u32) -> Option<f64> {
    if requests == 0 {
        return None;
    }
    let mut left = 0.99 * f64::from(requests);
    for (i, bound) in BOUNDS.iter().enumerate() {
        let count = f64::from(counts[i]);
        if left <= count {
            let lower = if i == 0 { 0.0 } else { BOUNDS[i - 1] };
            return Some(lower + (bound - lower) * left / count);
        }
        left -= count;
    }
    BOUNDS.last().copied()
}
