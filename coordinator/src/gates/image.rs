//! Every host finds the version's image in its registry, and it is the one that the plan has.

use std::time::Duration;

use dv_types::{Digest, Finding, Plan, Subject, gate::Answer};

use super::{
    Reply,
    poll::Poll,
    pulls::{Pull, pulls},
};
use crate::{fleet::Question, rollouts::Rollouts};

/// A registry that hangs may take an agent this long to say so.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn ask(rollouts: &Rollouts, plan: &Plan) -> Reply {
    let asked_for = |pull: &Pull<'_>| Subject::Image {
        repository: pull.repository.to_owned(),
        resolve: Some(pull.tag.to_owned()),
    };
    let images: Vec<_> = pulls(plan).iter().map(|pull| (asked_for(pull), pull.digest)).collect();
    let (mut poll, present) = Poll::of(rollouts, plan);
    let subjects = images.iter().map(|(subject, _)| subject.clone()).collect();
    let question = Question { subjects, probing: None };
    let facts = rollouts.fleet.inspect(&present, question, PATIENCE).await;
    for host in &present {
        let findings = facts.get(host).map_or(&[][..], |facts| &facts.findings);
        let answers = images.iter().enumerate();
        let answers = answers.map(|(i, (subject, digest))| judge(subject, digest, findings.get(i)));
        // What is seen to be wrong says more than what is not seen.
        let worst = answers.min_by_key(|(answer, _)| match answer {
            Answer::Fail => 0,
            Answer::CannotTell => 1,
            Answer::Pass => 2,
        });
        let (answer, text) = worst.unwrap_or((Answer::CannotTell, "no step has an image".into()));
        poll.tell(host, answer, text);
    }
    let named: Vec<_> =
        images.iter().map(|(subject, digest)| format!("{subject} is {digest}")).collect();
    poll.reply(plan.limits.max_unreachable, &named.join(", "))
}

fn judge(subject: &Subject, planned: &Digest, finding: Option<&Finding>) -> (Answer, String) {
    match finding {
        Some(Finding::Image { resolved: Some(digest), .. }) if digest == planned => {
            (Answer::Pass, format!("{subject} is {digest}"))
        }
        Some(Finding::Image { resolved: Some(digest), .. }) => {
            (Answer::Fail, format!("{subject} is {digest} there, and the plan has {planned}"))
        }
        Some(Finding::NotFound(why)) => (Answer::Fail, format!("has no {subject}: {why}")),
        Some(Finding::Failed(why) | Finding::Refused(why)) => {
            (Answer::CannotTell, format!("can't tell about {subject}: {why}"))
        }
        Some(_) => (Answer::CannotTell, format!("does not say what {subject} is")),
        None => (Answer::CannotTell, "did not answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use dv_types::outcome::Tags;

    use super::*;

    #[test]
    fn only_the_planned_image_is_good() {
        let subject =
            Subject::Image { repository: "r/app".to_owned(), resolve: Some("v2".to_owned()) };
        let digest = |c: &str| Digest::new(format!("sha256:{}", c.repeat(64))).unwrap();
        let image = |resolved| Some(Finding::Image { tags: Tags::default(), resolved });
        for (finding, answer, part) in [
            (image(Some(digest("a"))), Answer::Pass, "is sha256:aaa"),
            (image(Some(digest("b"))), Answer::Fail, "the plan has sha256:aaa"),
            (image(None), Answer::CannotTell, "does not say"),
            (Some(Finding::NotFound("no such tag".to_owned())), Answer::Fail, "no such tag"),
            (Some(Finding::Failed("refused".to_owned())), Answer::CannotTell, "refused"),
            (None, Answer::CannotTell, "in time"),
        ] {
            let found = judge(&subject, &digest("a"), finding.as_ref());
            assert_eq!(found.0, answer, "{finding:?}");
            assert!(found.1.contains(part), "{}", found.1);
        }
    }
}
