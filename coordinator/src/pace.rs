//! The pace of the fleet, by its size: how often hosts say that they are there, and over what time they come back when
//! the coordinator was lost. Neither grows beyond what a machine bears.

use std::time::Duration;

use dv_types::HostName;

/// Heartbeats in a second, of all hosts together.
const HEARTBEATS: u32 = 500;
/// Hosts that come back in a second, for each core: a TLS handshake with certificates on both sides is most of it.
const ARRIVALS: u32 = 500;
/// A host counts as out of contact after so many heartbeats without a word.
const SILENT_AFTER: u32 = 3;

/// What a host is told when it is welcomed, and what is expected of it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Time between two heartbeats.
    pub(crate) heartbeat: Duration,
    /// Without a word for so long, it is out of contact.
    pub(crate) silence: Duration,
    /// The time over which all hosts come back.
    pub(crate) spread: Duration,
}

impl Pace {
    /// For a fleet of so many hosts, each of which beats every `heartbeat` where there are few, and a machine of so many
    /// cores.
    pub(crate) fn of(heartbeat: Duration, hosts: usize, cores: usize) -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let rate = ARRIVALS.saturating_mul(count(cores.max(1)));
        let heartbeat = heartbeat.max(Duration::from_secs(1) * count(hosts) / HEARTBEATS);
        let spread = Duration::from_secs(1) * count(hosts) / rate;
        Self { heartbeat, silence: heartbeat * SILENT_AFTER, spread }
    }
}

/// The turn of a host within `time`: each has its own, and always the same.
pub(crate) fn turn(host: &HostName, time: Duration) -> Duration {
    let fnv = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = host.as_str().bytes().fold(0x811c_9dc5, fnv);
    time.mul_f64(f64::from(hash) / f64::from(u32::MAX))
}

/// The cores that this program may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_take_turns_evenly() {
        let minute = Duration::from_secs(60);
        let host = |n: u32| HostName::new(format!("host{n:05}")).unwrap();
        let mut tenths = [0; 10];
        for n in 0..10_000 {
            let turn = turn(&host(n), minute);
            tenths[(turn.as_millis() / 6000).min(9) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (500..1500).contains(count)), "{tenths:?}");
    }

    #[test]
    fn a_large_fleet_beats_slower_and_comes_back_over_a_longer_time() {
        let usual = Duration::from_secs(10);
        for (hosts, cores, heartbeat, spread) in [
            (0, 2, 10_000, 0),
            (5, 2, 10_000, 5),
            (5_000, 2, 10_000, 5_000),
            (10_000, 2, 20_000, 10_000),
            (10_000, 8, 20_000, 2_500),
            (100_000, 2, 200_000, 100_000),
        ] {
            let pace = Pace::of(usual, hosts, cores);
            assert_eq!(pace.heartbeat.as_millis(), heartbeat, "{hosts} hosts");
            assert_eq!(pace.silence, pace.heartbeat * 3);
            assert_eq!(pace.spread.as_millis(), spread, "{hosts} hosts on {cores} cores");
        }
    }
}
