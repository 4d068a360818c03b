use jiff::{SignedDuration, Timestamp, tz::TimeZoneDatabase};
use proptest::prelude::*;

use super::{Window, in_force};
use crate::manifest::Freeze;

fn freeze(from: &str, to: &str, zone: &str) -> Freeze {
    Freeze { name: "f".to_owned(), from: from.to_owned(), to: to.to_owned(), zone: zone.to_owned() }
}

/// The end of the freeze that is in force at `now`, in UTC.
fn end(freeze: &Freeze, now: &str) -> Option<String> {
    let now: Timestamp = now.parse().unwrap();
    let end = in_force(freeze, now, &TimeZoneDatabase::bundled()).unwrap();
    end.map(|end| end.timestamp().to_string())
}

/// In force from the second `first` to the last one before `end`, and not around it.
fn holds(freeze: &Freeze, first: &str, until: &str) {
    let second = SignedDuration::from_secs(1);
    let (begin, over): (Timestamp, Timestamp) = (first.parse().unwrap(), until.parse().unwrap());
    let at = |moment: Timestamp| end(freeze, &moment.to_string());
    assert_eq!(at(begin - second), None, "{freeze:?} before {first}");
    assert_eq!(at(begin).as_deref(), Some(until), "{freeze:?} at {first}");
    assert_eq!(at(over - second).as_deref(), Some(until), "{freeze:?} before {until}");
    assert_eq!(at(over), None, "{freeze:?} at {until}");
}

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";

#[test]
fn a_weekend_is_frozen_by_the_clock_of_its_zone() {
    let weekend = |zone| freeze("Fri 16:00", "Mon 08:00", zone);
    holds(&weekend("UTC"), "2026-11-20T16:00:00Z", "2026-11-23T08:00:00Z");
    // Winter, and summer.
    holds(&weekend(BERLIN), "2026-11-20T15:00:00Z", "2026-11-23T07:00:00Z");
    holds(&weekend(BERLIN), "2026-07-17T14:00:00Z", "2026-07-20T06:00:00Z");
    holds(&weekend(NEW_YORK), "2026-11-20T21:00:00Z", "2026-11-23T13:00:00Z");
    // The clocks change in between: begun by the one offset, ended by the other.
    holds(&weekend(BERLIN), "2026-03-27T15:00:00Z", "2026-03-30T06:00:00Z");
    holds(&weekend(BERLIN), "2026-10-23T14:00:00Z", "2026-10-26T07:00:00Z");
    holds(&weekend(NEW_YORK), "2026-03-06T21:00:00Z", "2026-03-09T12:00:00Z");
    holds(&weekend(NEW_YORK), "2026-10-30T20:00:00Z", "2026-11-02T13:00:00Z");
}

#[test]
fn a_time_that_the_clock_leaves_out_is_the_change() {
    // 02:00 becomes 03:00 in Berlin at 01:00 UTC, in New York at 07:00 UTC.
    let night = |zone| freeze("Sun 02:30", "Sun 06:00", zone);
    holds(&night(BERLIN), "2026-03-29T01:00:00Z", "2026-03-29T04:00:00Z");
    holds(&night(NEW_YORK), "2026-03-08T07:00:00Z", "2026-03-08T10:00:00Z");
    let evening = |zone| freeze("Sat 20:00", "Sun 02:30", zone);
    holds(&evening(BERLIN), "2026-03-28T19:00:00Z", "2026-03-29T01:00:00Z");
    holds(&evening(NEW_YORK), "2026-03-08T01:00:00Z", "2026-03-08T07:00:00Z");
    // All of it is left out: it is never in force.
    let nothing = freeze("2026-03-29 02:10", "2026-03-29 02:50", BERLIN);
    assert_eq!(end(&nothing, "2026-03-29T01:00:00Z"), None);
    // A whole day that a zone left out.
    let samoa = freeze("2011-12-29 12:00", "2011-12-30", "Pacific/Apia");
    holds(&samoa, "2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z");
}

#[test]
fn a_time_that_the_clock_shows_twice_is_the_first_to_begin_and_the_second_to_end() {
    // 03:00 becomes 02:00 in Berlin at 01:00 UTC; 02:00 becomes 01:00 in New York at 06:00 UTC.
    holds(
        &freeze("Sun 02:30", "Sun 06:00", BERLIN),
        "2026-10-25T00:30:00Z",
        "2026-10-25T05:00:00Z",
    );
    holds(
        &freeze("Sat 20:00", "Sun 02:30", BERLIN),
        "2026-10-24T18:00:00Z",
        "2026-10-25T01:30:00Z",
    );
    holds(
        &freeze("2026-11-01 01:15", "2026-11-01 01:45", NEW_YORK),
        "2026-11-01T05:15:00Z",
        "2026-11-01T06:45:00Z",
    );
}

#[test]
fn a_date_alone_is_its_first_moment() {
    holds(
        &freeze("2026-12-20", "2027-01-04", BERLIN),
        "2026-12-19T23:00:00Z",
        "2027-01-03T23:00:00Z",
    );
    holds(
        &freeze("2026-12-20 18:00", "2026-12-21 06:30", NEW_YORK),
        "2026-12-20T23:00:00Z",
        "2026-12-21T11:30:00Z",
    );
}

#[test]
fn weeks_wrap_around() {
    // Nearly all of the week, over Sunday, and on one day.
    holds(&freeze("Wed 12:00", "Wed 11:59", "UTC"), "2026-11-18T12:00:00Z", "2026-11-25T11:59:00Z");
    holds(&freeze("Sun 23:00", "Mon 01:00", "UTC"), "2026-11-22T23:00:00Z", "2026-11-23T01:00:00Z");
    holds(&freeze("Tue 09:00", "Tue 10:00", "UTC"), "2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z");
}

#[test]
fn what_is_not_understood_says_where() {
    for (from, to, zone, key) in [
        ("Friday 16:00", "Mon 08:00", "UTC", "from"),
        ("Fri", "Mon 08:00", "UTC", "from"),
        ("Fri 16:00", "Mon 8:00", "UTC", "to"),
        ("Fri 16:00", "Mon 24:00", "UTC", "to"),
        ("Fri 16:00:30", "Mon 08:00", "UTC", "from"),
        ("2026-02-30", "2026-03-01", "UTC", "from"),
        ("2026-2-3", "2026-03-01", "UTC", "from"),
        ("", "2026-03-01", "UTC", "from"),
        ("2026-12-20", "2026-12-20 25:00", "UTC", "to"),
        ("Fri 16:00", "2026-12-20", "UTC", "to"),
        ("2026-12-20", "Mon 08:00", "UTC", "to"),
        ("Fri 16:00", "Fri 16:00", "UTC", "to"),
        ("2026-12-20", "2026-12-20", "UTC", "to"),
        ("2026-12-21", "2026-12-20 18:00", "UTC", "to"),
        ("Fri 16:00", "Mon 08:00", "Europe/Bern", "zone"),
        ("Fri 16:00", "Mon 08:00", "", "zone"),
    ] {
        let found = Window::of(&freeze(from, to, zone), &TimeZoneDatabase::bundled());
        assert_eq!(found.unwrap_err().key, key, "{from} to {to} in {zone}");
    }
}

/// Minutes from the beginning of Monday, and the text of it.
fn moment() -> impl Strategy<Value = (i64, String)> {
    (0..7usize, 0..24i64, 0..60i64).prop_map(|(day, hour, minute)| {
        let name = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][day];
        ((day as i64 * 24 + hour) * 60 + minute, format!("{name} {hour:02}:{minute:02}"))
    })
}

proptest! {
    /// By arithmetic on the minutes of a week, where no clock is put forward or back.
    #[test]
    fn a_week_is_a_ring(from in moment(), to in moment(), at in 0..7 * 24 * 60i64) {
        prop_assume!(from.0 != to.0);
        let week = 7 * 24 * 60;
        // A Monday.
        let monday: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let now = monday + SignedDuration::from_mins(at);
        let length = (to.0 - from.0).rem_euclid(week);
        let since = (at - from.0).rem_euclid(week);
        let expected = (since < length).then(|| now + SignedDuration::from_mins(length - since));
        let found =
            in_force(&freeze(&from.1, &to.1, "UTC"), now, &TimeZoneDatabase::bundled()).unwrap();
        prop_assert_eq!(found.map(|end| end.timestamp()), expected);
    }

    /// Whatever the clocks do: what is in force has a later end, and the clock shows the end's time then, or has just
    /// been put over it.
    #[test]
    fn an_end_is_ahead_and_at_its_time(
        from in moment(),
        to in moment(),
        zone in prop::sample::select(&[BERLIN, NEW_YORK, "Australia/Lord_Howe", "Pacific/Apia"][..]),
        hour in 0..24 * 366i64,
    ) {
        prop_assume!(from.0 != to.0);
        let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = begin + SignedDuration::from_hours(hour);
        let frozen = freeze(&from.1, &to.1, zone);
        let found = in_force(&frozen, now, &TimeZoneDatabase::bundled()).unwrap();
        let opposite =
            in_force(&freeze(&to.1, &from.1, zone), now, &TimeZoneDatabase::bundled()).unwrap();
        // One of both always holds: together they are the week.
        prop_assert!(found.is_some() || opposite.is_some());
        if let Some(end) = found {
            prop_assert!(end.timestamp() > now);
            let jumped = end.time_zone().preceding(end.timestamp() + SignedDuration::from_secs(1));
            let jumped = jumped.into_iter().next().is_some_and(|t| t.timestamp() == end.timestamp());
            let shown = end.strftime("%a %H:%M").to_string();
            prop_assert!(shown == to.1 || jumped, "{shown} for {}", to.1);
        }
    }
}
