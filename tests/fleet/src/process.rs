//! What the kernel knows of a process.

use std::{fs, time::Duration};

use crate::Result;

/// Resident memory, in bytes.
pub fn resident(pid: Option<u32>) -> Result<u64> {
    let pid = pid.ok_or("it does not run")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}

/// Time on processors so far, to 10 ms.
pub fn processor_time(pid: Option<u32>) -> Result<Duration> {
    let pid = pid.ok_or("it does not run")?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before may hold anything, but ends with the last parenthesis.
    let rest = stat.rsplit_once(") ").ok_or("no name")?.1;
    let ticks = rest.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<std::result::Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}
