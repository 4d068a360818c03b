//! The named checks of exactly the commit succeeded.

use dv_types::{Plan, manifest::Tests};

use super::{Reply, commit, source};
use crate::{
    forge::{Check, Forge, State, Trouble},
    rollouts::Rollouts,
};

pub(super) async fn ask(rollouts: &Rollouts, plan: &Plan, wanted: &Tests) -> Reply {
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
pub(super) async fn look(forge: &Forge, wanted: &Tests, reference: &str) -> Result<Reply, Trouble> {
    let commit = forge.commit(&wanted.repository, reference).await?;
    let checks = forge.checks(&wanted.repository, &commit).await?;
    let evidence = [format!("commit {commit} of {}", wanted.repository)];
    Ok(judge(&checks, &wanted.checks).with(evidence))
}

/// A check that has failed is enough. One that is not there may not have begun: that is for a person to see.
fn judge(checks: &[Check], wanted: &[String]) -> Reply {
    let (mut failed, mut unclear, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for name in wanted {
        let mut found = checks.iter().filter(|check| check.name == *name).peekable();
        if found.peek().is_none() {
            unclear.push(format!("{name} has not begun, or is called otherwise"));
        }
        for check in found {
            let Check { state, word, url, .. } = check;
            let at = url.as_deref().map(|url| format!(", {url}")).unwrap_or_default();
            evidence.push(format!("{name}: {word}{at}"));
            match state {
                State::Succeeded => {}
                State::Running => unclear.push(format!("{name} is still running ({word})")),
                State::Unclear => unclear.push(format!("{name} is {word:?}, whatever that means")),
                State::Failed => failed.push(format!("{name}: {word}")),
            }
        }
    }
    let missing = || wanted.iter().any(|name| !checks.iter().any(|check| check.name == *name));
    let reply = match (&failed[..], &unclear[..]) {
        ([], []) => Reply::pass(format!("{} succeeded", wanted.join(", "))),
        ([], unclear) if missing() => {
            let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
            let has = match &names[..] {
                [] => "the commit has no checks".to_owned(),
                names => format!("the commit has {}", names.join(", ")),
            };
            Reply::cannot_tell(format!("{}; {has}", unclear.join("; ")))
        }
        ([], unclear) => Reply::cannot_tell(unclear.join("; ")),
        (failed, _) => Reply::fail(failed.join("; ")),
    };
    reply.with(evidence)
}

#[cfg(test)]
mod judging {
    use dv_types::gate::Answer;

    use super::*;

    fn check(name: &str, state: State) -> Check {
        Check { name: name.to_owned(), state, word: format!("{state:?}"), url: None }
    }

    #[test]
    fn each_named_check_must_have_succeeded() {
        use State::{Failed, Running, Succeeded, Unclear};
        for (checks, answer, part) in [
            (vec![("unit", Succeeded), ("lint", Succeeded)], Answer::Pass, "unit, lint succeeded"),
            // Others are nobody's business.
            (
                vec![("unit", Succeeded), ("lint", Succeeded), ("slow", Failed)],
                Answer::Pass,
                "succeeded",
            ),
            (vec![("unit", Failed), ("lint", Running)], Answer::Fail, "unit: Failed"),
            (
                vec![("unit", Succeeded), ("lint", Running)],
                Answer::CannotTell,
                "lint is still running",
            ),
            (vec![("unit", Succeeded)], Answer::CannotTell, "the commit has unit"),
            (vec![], Answer::CannotTell, "the commit has no checks"),
            (vec![("unit", Succeeded), ("lint", Unclear)], Answer::CannotTell, "whatever"),
            // A run and a status of one name: both count.
            (
                vec![("unit", Succeeded), ("unit", Failed), ("lint", Succeeded)],
                Answer::Fail,
                "unit: Failed",
            ),
        ] {
            let checks: Vec<_> = checks.iter().map(|(name, state)| check(name, *state)).collect();
            let reply = judge(&checks, &["unit".to_owned(), "lint".to_owned()]);
            assert_eq!(reply.answer, answer, "{checks:?}: {reply:?}");
            assert!(reply.why.contains(part), "{checks:?}: {reply:?}");
        }
    }
}
