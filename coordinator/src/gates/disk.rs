//! Every host has room.

use std::time::Duration;

use dv_types::{Finding, Plan, Size, Span, Subject, gate::Answer, manifest::Disk};

use super::{Reply, poll::Poll};
use crate::{fleet::Question, rollouts::Rollouts};

/// A file system that hangs may take an agent this long to say so.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn ask(rollouts: &Rollouts, plan: &Plan, disk: &Disk) -> Reply {
    let (mut poll, present) = Poll::of(rollouts, plan);
    let subject = Subject::Disk { path: disk.path.clone() };
    let question = Question { subjects: vec![subject], probing: None };
    let facts = rollouts.fleet.inspect(&present, question, PATIENCE).await;
    for host in &present {
        let finding = facts.get(host).and_then(|facts| facts.findings.first());
        let (answer, text) = judge(finding, disk);
        poll.tell(host, answer, text);
    }
    let holds = format!("{} are free at {}", disk.free, disk.path);
    poll.reply(plan.limits.max_unreachable, &holds)
}

fn judge(finding: Option<&Finding>, disk: &Disk) -> (Answer, String) {
    let Disk { path, free: needed } = disk;
    match finding {
        Some(Finding::Disk { free }) if *free >= needed.0 => {
            (Answer::Pass, format!("{} free at {path}", human(*free)))
        }
        Some(Finding::Disk { free }) => {
            (Answer::Fail, format!("{} free at {path}, and {needed} are needed", human(*free)))
        }
        // A path that is not there has no room.
        Some(Finding::NotFound(why)) => (Answer::Fail, why.clone()),
        Some(Finding::Failed(why) | Finding::Refused(why)) => (Answer::CannotTell, why.clone()),
        Some(_) => (Answer::CannotTell, "its agent does not know the question".to_owned()),
        None => (Answer::CannotTell, format!("no answer within {}", Span::from(PATIENCE))),
    }
}

/// Rounded down to whole MiB, so that it is short.
fn human(bytes: u64) -> Size {
    const MIB: u64 = 1024 * 1024;
    Size(if bytes < MIB { bytes } else { bytes / MIB * MIB })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_is_named() {
        let disk = Disk { path: "/srv".to_owned(), free: Size(500 << 20) };
        for (finding, answer, part) in [
            (Some(Finding::Disk { free: 500 << 20 }), Answer::Pass, "500"),
            (Some(Finding::Disk { free: (500 << 20) - 1 }), Answer::Fail, "499"),
            (Some(Finding::NotFound("there is no /srv".to_owned())), Answer::Fail, "/srv"),
            (
                Some(Finding::Failed("this agent can't tell".to_owned())),
                Answer::CannotTell,
                "can't",
            ),
            (Some(Finding::Refused("no".to_owned())), Answer::CannotTell, "no"),
            (Some(Finding::Allowed), Answer::CannotTell, "does not know"),
            (None, Answer::CannotTell, "no answer"),
        ] {
            let found = judge(finding.as_ref(), &disk);
            assert_eq!(found.0, answer, "{finding:?}");
            assert!(found.1.contains(part), "{}", found.1);
        }
    }
}
