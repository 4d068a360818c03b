//! No time is now in which nothing is deployed.

use dv_types::{Timestamp, freeze, manifest::Freeze};
use jiff::tz::TimeZoneDatabase;

use super::Reply;

/// By `zones`, which the system keeps up to date: a government may change its clocks sooner than dv is installed anew.
pub(super) fn ask(freezes: &[Freeze], now: Timestamp, zones: &TimeZoneDatabase) -> Reply {
    let (mut frozen, mut unclear, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for freeze in freezes {
        let Freeze { name, from, to, zone } = freeze;
        match freeze::in_force(freeze, now, zones) {
            Ok(Some(end)) => {
                frozen.push(format!("{name} is in force until {}", end.strftime("%a %F %H:%M %Z")));
            }
            Ok(None) => evidence.push(format!("{name}, {from} to {to} in {zone}: not now")),
            Err(why) => unclear.push(format!("{name}: {why}")),
        }
    }
    let reply = match (&frozen[..], &unclear[..]) {
        ([], []) => Reply::pass("no freeze is in force"),
        ([], unclear) => Reply::cannot_tell(unclear.join("; ")),
        (frozen, _) => Reply::fail(frozen.join("; ")),
    };
    reply.with(evidence).with([format!("asked at {now}")])
}

#[cfg(test)]
mod tests {
    use dv_types::gate::Answer;

    use super::*;

    fn weekend(zone: &str) -> Freeze {
        Freeze {
            name: "weekend".to_owned(),
            from: "Fri 16:00".to_owned(),
            to: "Mon 08:00".to_owned(),
            zone: zone.to_owned(),
        }
    }

    fn at(freezes: &[Freeze], now: &str) -> Reply {
        ask(freezes, now.parse().unwrap(), &TimeZoneDatabase::bundled())
    }

    #[test]
    fn one_that_is_in_force_says_until_when() {
        let reply = at(&[weekend("UTC"), weekend("Europe/Berlin")], "2026-11-20T15:30:00Z");
        assert_eq!(reply.answer, Answer::Fail);
        assert_eq!(reply.why, "weekend is in force until Mon 2026-11-23 08:00 CET");
        assert_eq!(reply.evidence[0], "weekend, Fri 16:00 to Mon 08:00 in UTC: not now");
        assert_eq!(at(&[weekend("UTC")], "2026-11-20T15:59:59Z").answer, Answer::Pass);
    }

    #[test]
    fn one_that_is_not_understood_is_not_passed() {
        let zoned = [weekend("Europe/Atlantis"), weekend("UTC")];
        assert_eq!(at(&zoned, "2026-11-19T00:00:00Z").answer, Answer::CannotTell);
        // Another one forbids it all the same.
        assert_eq!(at(&zoned, "2026-11-21T00:00:00Z").answer, Answer::Fail);
    }

    /// The coordinator's host may have no zones of its own.
    #[test]
    fn the_zones_that_are_compiled_in_are_there() {
        assert!(TimeZoneDatabase::bundled().get("Europe/Berlin").is_ok());
        assert!(jiff::tz::db().get("Europe/Berlin").is_ok());
    }
}
