//! Times in which nothing is deployed: what their texts mean, and whether one is in force.
//!
//! A freeze is meant by the clock on the wall of its zone. Where that clock is put forward, a time that it leaves out
//! is the moment at which it is put; where it is put back, a time that it shows twice is the first at a beginning and
//! the second at an end.

use jiff::{
    Timestamp, Zoned,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};

use crate::manifest::Freeze;

/// Why a freeze can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Problem {
    /// Its key that is wrong: `from`, `to` or `zone`.
    pub key: &'static str,
    /// What is wrong, and what to write instead.
    pub text: String,
}

/// A freeze that is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    span: Span,
    zone: TimeZone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    Weekly { from: (Weekday, Time), to: (Weekday, Time) },
    Once { from: DateTime, to: DateTime },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Weekly(Weekday, Time),
    Once(DateTime),
}

/// Which of two moments is meant where the clock shows a time twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Begins,
    Ends,
}

/// When `freeze` ends that is in force at `now`; nothing where none is.
pub fn in_force(
    freeze: &Freeze,
    now: Timestamp,
    zones: &TimeZoneDatabase,
) -> Result<Option<Zoned>, Problem> {
    Ok(Window::of(freeze, zones)?.end(now))
}

impl Window {
    /// What `freeze` means, with the zones as `zones` knows them.
    pub fn of(freeze: &Freeze, zones: &TimeZoneDatabase) -> Result<Self, Problem> {
        let span = span(freeze)?;
        let zone = zones.get(&freeze.zone).map_err(|_| Problem {
            key: "zone",
            text: format!(
                "there is no time zone {:?}: write one like Europe/Berlin, or UTC",
                freeze.zone
            ),
        })?;
        Ok(Self { span, zone })
    }

    /// When it ends, if it is in force at `now`.
    #[must_use]
    pub fn end(&self, now: Timestamp) -> Option<Zoned> {
        let (from, to) = match self.span {
            Span::Once { from, to } => (from, to),
            Span::Weekly { from, to } => {
                let today = now.to_zoned(self.zone.clone()).date();
                let since = days(from.0, today.weekday());
                // Its last beginning was on the last such day; or a week before, where today is that day and its
                // time is to come.
                let begins = [since, since + 7].into_iter().filter_map(|since| {
                    let begins = today.checked_sub(jiff::Span::new().days(since)).ok()?;
                    let begins = begins.to_datetime(from.1);
                    (self.at(begins, Edge::Begins)? <= now).then_some(begins)
                });
                let from = begins.max()?;
                (from, next(from, to)?)
            }
        };
        let (from, to) = (self.at(from, Edge::Begins)?, self.at(to, Edge::Ends)?);
        (from <= now && now < to).then(|| to.to_zoned(self.zone.clone()))
    }

    /// The moment at which the zone's clock shows `time`.
    fn at(&self, time: DateTime, edge: Edge) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(time);
        match (ambiguous.offset(), edge) {
            (AmbiguousOffset::Unambiguous { .. }, _) => ambiguous.unambiguous().ok(),
            (AmbiguousOffset::Fold { .. }, Edge::Begins) => ambiguous.earlier().ok(),
            (AmbiguousOffset::Fold { .. }, Edge::Ends) => ambiguous.later().ok(),
            (AmbiguousOffset::Gap { .. }, _) => {
                let before = ambiguous.earlier().ok()?;
                Some(self.zone.following(before).next()?.timestamp())
            }
        }
    }
}

/// The first time after `from` that is at this day of the week and this time.
fn next(from: DateTime, (day, time): (Weekday, Time)) -> Option<DateTime> {
    let ahead = match days(from.date().weekday(), day) {
        0 if time <= from.time() => 7,
        ahead => ahead,
    };
    let date = from.date().checked_add(jiff::Span::new().days(ahead)).ok()?;
    Some(date.to_datetime(time))
}

/// How many days after the day `from` the next day `to` is; 0 where they are the same.
fn days(from: Weekday, to: Weekday) -> i8 {
    from.until(to)
}

fn span(freeze: &Freeze) -> Result<Span, Problem> {
    let (from, to) = (moment("from", &freeze.from)?, moment("to", &freeze.to)?);
    match (from, to) {
        (Moment::Weekly(day, time), Moment::Weekly(to, at)) if (day, time) == (to, at) => {
            Err(empty("it ends at the time at which it begins: give another end"))
        }
        (Moment::Weekly(day, time), Moment::Weekly(to, at)) => {
            Ok(Span::Weekly { from: (day, time), to: (to, at) })
        }
        (Moment::Once(from), Moment::Once(to)) if to <= from => {
            Err(empty("it ends before it begins: the end is outside, so give a later one"))
        }
        (Moment::Once(from), Moment::Once(to)) => Ok(Span::Once { from, to }),
        _ => Err(empty(
            "one end is weekly and the other is a date: write both like Fri 16:00, or both like 2026-12-20",
        )),
    }
}

fn empty(text: &str) -> Problem {
    Problem { key: "to", text: text.to_owned() }
}

fn moment(key: &'static str, text: &str) -> Result<Moment, Problem> {
    let parse = || match text.split_once(' ') {
        None => Some(Moment::Once(date(text)?.to_datetime(Time::midnight()))),
        Some((day, at)) => match weekday(day) {
            Some(day) => Some(Moment::Weekly(day, time(at)?)),
            None => Some(Moment::Once(date(day)?.to_datetime(time(at)?))),
        },
    };
    parse().ok_or_else(|| Problem {
        key,
        text: format!(
            "{text:?} is no time: write Fri 16:00 for each week, 2026-12-20 or 2026-12-20 18:00 for once"
        ),
    })
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "Mon" => Weekday::Monday,
        "Tue" => Weekday::Tuesday,
        "Wed" => Weekday::Wednesday,
        "Thu" => Weekday::Thursday,
        "Fri" => Weekday::Friday,
        "Sat" => Weekday::Saturday,
        "Sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// `2026-12-20`
fn date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    Date::new(year, month as i8, day as i8).ok()
}

/// `18:00`
fn time(text: &str) -> Option<Time> {
    let [hour, minute] = numbers(text, ':', [2, 2])?;
    Time::new(hour as i8, minute as i8, 0, 0).ok()
}

/// Numbers of so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i16; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests;
