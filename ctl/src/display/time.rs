//! Moments and lengths of time, as a person reads them at a glance.

use std::time::Duration;

use dv_types::{Span, Timestamp};

/// `21:54:10`, UTC.
pub(crate) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// `2026-11-22 21:54:10`, UTC.
pub(crate) fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `0.3s`, `12s`, `1m 05s`, `2h 03m`, `3d 04h`
pub(crate) fn length(span: Span) -> String {
    short(span.get())
}

/// The time from `start` to `end`.
pub(crate) fn between(start: Timestamp, end: Timestamp) -> String {
    length(Span::between(start, end))
}

fn short(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..10 => format!("{}.{}s", secs, time.subsec_millis() / 100),
        10..60 => format!("{secs}s"),
        60..3600 => format!("{}m {:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h {:02}m", secs / 3600, secs / 60 % 60),
        _ => format!("{}d {:02}h", secs / 86_400, secs / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_short_at_every_size() {
        for (millis, text) in [
            (0, "0.0s"),
            (340, "0.3s"),
            (9_990, "9.9s"),
            (12_000, "12s"),
            (65_000, "1m 05s"),
            (7_380_000, "2h 03m"),
            (273_600_000, "3d 04h"),
        ] {
            assert_eq!(length(Span::from_millis(millis)), text);
        }
    }
}
