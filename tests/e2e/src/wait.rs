//! Waiting for a condition, with a deadline that says what was seen last.

use std::{
    fmt::Display,
    thread,
    time::{Duration, Instant},
};

/// Time between two looks.
const PACE: Duration = Duration::from_millis(20);

/// Looks until `look` gives a value, or the deadline has passed: then the error says what was seen last.
pub fn eventually<T, E: Display>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, E>,
) -> Result<T, String> {
    let began = Instant::now();
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(seen) if began.elapsed() >= limit => {
                return Err(format!("waited {limit:?} for {what}; last seen: {seen}"));
            }
            Err(_) => thread::sleep(PACE),
        }
    }
}

/// As [`eventually`]; at the deadline the test ends here.
#[track_caller]
pub fn until<T, E: Display>(limit: Duration, what: &str, look: impl FnMut() -> Result<T, E>) -> T {
    match eventually(limit, what, look) {
        Ok(value) => value,
        Err(why) => panic!("{why}"),
    }
}
