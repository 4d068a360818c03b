//! Somebody has looked at the commit: it is on the branch, and came there by a pull request that others approved.

use std::collections::BTreeMap;

use dv_types::{Plan, manifest::Reviewed};

use super::{Reply, commit, source};
use crate::{
    forge::{Forge, Merged, Opinion, Review, Trouble},
    rollouts::Rollouts,
};

pub(super) async fn ask(rollouts: &Rollouts, plan: &Plan, wanted: &Reviewed) -> Reply {
    let named = match commit::named(rollouts, plan, wanted.reference.as_deref()).await {
        Ok(named) => named,
        Err(reply) => return reply,
    };
    let reply = source::of(rollouts, &wanted.forge, async |forge: Forge| {
        look(&forge, wanted, &named.reference).await
    })
    .await;
    reply.with([format!("{} by {}", named.reference, named.how)])
}

/// What the forge says of `reference`.
pub(super) async fn look(
    forge: &Forge,
    wanted: &Reviewed,
    reference: &str,
) -> Result<Reply, Trouble> {
    let Reviewed { repository, branch, approvals, .. } = wanted;
    let commit = forge.commit(repository, reference).await?;
    let evidence = [format!("commit {commit} of {repository}")];
    if !forge.is_on(repository, branch, &commit).await? {
        return Ok(Reply::fail(format!("{commit} is not on {branch}")).with(evidence));
    }
    let merged = forge.merged(repository, &commit).await?;
    Ok(judge(&merged, branch, &commit, *approvals).with(evidence))
}

fn judge(merged: &[Merged], branch: &str, commit: &str, needed: u32) -> Reply {
    let here: Vec<_> = merged.iter().filter(|pull| pull.into == branch).collect();
    let Some(first) = here.first() else {
        return match merged.first() {
            None => Reply::fail(format!("{commit} came to {branch} without a merged pull request")),
            Some(pull) => Reply::fail(format!(
                "{commit} came by a pull request into {}, not into {branch}",
                pull.into
            ))
            .with([pull.url.clone()]),
        };
    };
    let count = |pull: &Merged| Count::of(pull);
    let enough = here.iter().find(|pull| count(pull).approved.len() >= needed as usize);
    if let Some(pull) = enough {
        let by = count(pull).approved.join(", ");
        return Reply::pass(format!("{} was approved by {by}", pull.url)).with([pull.url.clone()]);
    }
    let Count { approved, others } = count(first);
    let mut why = match &approved[..] {
        [] => format!("{} has no approval that counts, and {needed} are needed", first.url),
        by => format!("{} has {} of {needed} approvals: {}", first.url, by.len(), by.join(", ")),
    };
    if !others.is_empty() {
        why.push_str(&format!("; not counted: {}", others.join(", ")));
    }
    Reply::fail(why).with(here.iter().map(|pull| pull.url.clone()))
}

/// Whose word counts: of each person the last, save the author's.
struct Count {
    approved: Vec<String>,
    others: Vec<String>,
}

impl Count {
    fn of(pull: &Merged) -> Self {
        let mut last = BTreeMap::<&str, &Review>::new();
        for review in &pull.reviews {
            last.insert(&review.by, review);
        }
        let (mut approved, mut others) = (Vec::new(), Vec::new());
        for (by, review) in last {
            let not = match review.says {
                Opinion::ChangesRequested => "asks for changes",
                Opinion::Dismissed => "was dismissed",
                Opinion::Approved if by == pull.author => "is the author",
                Opinion::Approved if review.by_program => "is a program",
                Opinion::Approved if !review.of_last_push => "came before the last push",
                Opinion::Approved => {
                    approved.push(by.to_owned());
                    continue;
                }
            };
            others.push(format!("{by} ({not})"));
        }
        Self { approved, others }
    }
}

#[cfg(test)]
mod tests {
    use dv_types::gate::Answer;

    use super::*;

    fn review(by: &str, says: Opinion) -> Review {
        Review { by: by.to_owned(), says, of_last_push: true, by_program: false }
    }

    fn pull(reviews: Vec<Review>) -> Merged {
        Merged {
            url: "https://forge/7".to_owned(),
            author: "ann".to_owned(),
            into: "main".to_owned(),
            reviews,
        }
    }

    #[test]
    fn of_each_person_the_last_word_counts() {
        use Opinion::{Approved, ChangesRequested, Dismissed};
        let early = Review { of_last_push: false, ..review("bob", Approved) };
        let program = Review { by_program: true, ..review("bot", Approved) };
        for (reviews, needed, answer, part) in [
            (vec![], 1, Answer::Fail, "no approval that counts"),
            (vec![review("bob", Approved)], 1, Answer::Pass, "by bob"),
            (vec![review("bob", Approved)], 2, Answer::Fail, "1 of 2 approvals: bob"),
            // The same person twice is one person.
            (vec![review("bob", Approved), review("bob", Approved)], 2, Answer::Fail, "1 of 2"),
            (vec![review("bob", Approved), review("eve", Approved)], 2, Answer::Pass, "bob, eve"),
            (vec![review("ann", Approved)], 1, Answer::Fail, "ann (is the author)"),
            (vec![program], 1, Answer::Fail, "bot (is a program)"),
            (vec![early.clone()], 1, Answer::Fail, "bob (came before the last push)"),
            (vec![early, review("bob", Approved)], 1, Answer::Pass, "by bob"),
            (
                vec![review("bob", Approved), review("bob", ChangesRequested)],
                1,
                Answer::Fail,
                "bob (asks for changes)",
            ),
            (
                vec![review("bob", ChangesRequested), review("bob", Approved)],
                1,
                Answer::Pass,
                "by bob",
            ),
            (vec![review("bob", Dismissed)], 1, Answer::Fail, "bob (was dismissed)"),
        ] {
            let shown = format!("{reviews:?}");
            let reply = judge(&[pull(reviews)], "main", "c0ffee", needed);
            assert_eq!(reply.answer, answer, "{shown}: {reply:?}");
            assert!(reply.why.contains(part), "{shown}: {reply:?}");
        }
    }

    #[test]
    fn it_must_have_come_to_the_branch_by_a_pull_request() {
        let reply = judge(&[], "main", "c0ffee", 1);
        assert_eq!(reply.answer, Answer::Fail);
        assert!(reply.why.contains("without a merged pull request"), "{reply:?}");
        let elsewhere = pull(vec![review("bob", Opinion::Approved)]);
        let reply = judge(&[elsewhere], "release", "c0ffee", 1);
        assert_eq!(reply.answer, Answer::Fail);
        assert!(reply.why.contains("into main, not into release"), "{reply:?}");
    }
}
