//! Every agent is at least of a version.

use dv_types::{Plan, gate::Answer};
use semver::Version;

use super::{Reply, poll::Poll};
use crate::rollouts::Rollouts;

pub(super) fn ask(rollouts: &Rollouts, plan: &Plan, least: &str) -> Reply {
    let Ok(least) = Version::parse(least) else {
        return Reply::cannot_tell(format!("agent_version {least:?} is not a version"));
    };
    let (mut poll, present) = Poll::of(rollouts, plan);
    for host in present {
        let version = rollouts.fleet.look(&host).map(|known| known.agent_version);
        let (answer, text) = judge(&version.unwrap_or_default(), &least);
        poll.tell(&host, answer, text);
    }
    poll.reply(plan.limits.max_unreachable, &format!("the agent is {least} or newer"))
}

fn judge(version: &str, least: &Version) -> (Answer, String) {
    match Version::parse(version) {
        // What stands behind a plus makes none newer.
        Ok(found) if found.cmp_precedence(least).is_ge() => {
            (Answer::Pass, format!("agent {found}"))
        }
        Ok(found) => {
            (Answer::Fail, format!("its agent is {found}, and {least} is needed: upgrade dv-agent"))
        }
        Err(_) => (Answer::CannotTell, format!("its agent calls its version {version:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_parts() {
        for (version, least, answer) in [
            ("0.10.0", "0.9.9", Answer::Pass),
            ("0.9.9", "0.10.0", Answer::Fail),
            ("1.0.0", "1.0.0", Answer::Pass),
            ("1.0.0-rc.1", "1.0.0", Answer::Fail),
            ("1.0.0+debian1", "1.0.0+debian2", Answer::Pass),
            ("", "1.0.0", Answer::CannotTell),
            ("next", "1.0.0", Answer::CannotTell),
        ] {
            let found = judge(version, &Version::parse(least).unwrap());
            assert_eq!(found.0, answer, "{version} for {least}: {}", found.1);
        }
    }
}
