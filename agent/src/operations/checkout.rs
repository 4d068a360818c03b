//! Bring a working tree to exactly one commit.

use std::path::Path;

use dv_types::{Commit, Evidence, OpResult};

use super::{
    Attempt, Context, Ended, Halt, failed,
    git::{Git, explain},
};
use crate::{ledger::Mark, process::Finished};

/// What is checked out before anything is changed.
pub(super) async fn mark(context: &Context, tree: &str) -> Result<Commit, Halt> {
    head(&open(context, tree, None).await?).await
}

pub(super) async fn checkout(context: &Context, tree: &str, commit: &Commit) -> Ended {
    let say = |line: &str| context.progress.say(line);
    let git = open(context, tree, Some(&say)).await?;
    if context.resumed {
        forget_lock(tree);
    }
    let now = head(&git).await?;
    if now == *commit && context.resumed {
        // It may have died between moving HEAD and writing the last file.
        written(&git, "reset", &["reset", "--hard", "--quiet"]).await?;
    }
    if !context.resumed {
        refuse_changes(&git).await?;
    }
    if now != *commit {
        // What is here already needs no network: a way back must not depend on it.
        if git.commit(commit.as_str()).await.map_err(failed)?.is_none() {
            fetch(&git, commit).await?;
        }
        let mut arguments = vec!["checkout", "--detach", "--quiet", "--no-recurse-submodules"];
        if context.resumed {
            arguments.push("--force");
        }
        arguments.push(commit.as_str());
        written(&git, "checkout", &arguments).await?;
    }
    let after = head(&git).await?;
    if after != *commit {
        return Err(failed(format!("git said that it was done, but {tree} is at {after}")));
    }
    let before = match &context.mark {
        Some(Mark::Commit { commit }) => commit.clone(),
        _ => now,
    };
    Ok(Attempt::done(Evidence::Commit { before, after }))
}

async fn open<'a>(
    context: &'a Context,
    tree: &'a str,
    on_output: Option<&'a (dyn Fn(&str) + Sync)>,
) -> Result<Git<'a>, Halt> {
    let Some(listed) = context.policy.trees.get(tree) else {
        return Err(failed(format!("no working tree {tree} in the policy")));
    };
    let git = Git { tree, remote: &listed.remote, limits: &context.limits, on_output };
    if !context.limits.within(git.exists()).await?.map_err(failed)? {
        return Err(failed(format!(
            "{tree} is not a git working tree; clone it there once by hand"
        )));
    }
    Ok(git)
}

async fn head(git: &Git<'_>) -> Result<Commit, Halt> {
    git.commit("HEAD")
        .await
        .map_err(failed)?
        .ok_or_else(|| failed(format!("{} has no commit checked out", git.tree)))
}

/// Somebody's work in the tree is not overwritten.
async fn refuse_changes(git: &Git<'_>) -> Result<(), Halt> {
    let status = done_with(git.status().await, "status")?;
    local_changes(git.tree, &status).map_or(Ok(()), |why| Err(OpResult::Refused(why).into()))
}

/// What git's `status` shows that a checkout would lose; nothing if it is clean.
pub(crate) fn local_changes(tree: &str, status: &Finished) -> Option<String> {
    let changed: Vec<_> = status.stdout.lines().filter_map(|line| line.get(3..)).collect();
    if changed.is_empty() {
        return None;
    }
    let shown = changed.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    let more = match changed.len().saturating_sub(5) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "{tree} has local changes that a checkout would lose: {shown}{more}; commit or revert them on the host"
    ))
}

async fn fetch(git: &Git<'_>, commit: &Commit) -> Result<(), Halt> {
    done_with(git.fetch().await, "fetch")?;
    if git.commit(commit.as_str()).await.map_err(failed)?.is_some() {
        return Ok(());
    }
    // On no branch and no tag any more; many servers give it all the same.
    done(git, "fetch", &["fetch", "--no-recurse-submodules", "--", git.remote, commit.as_str()])
        .await
        .map(drop)
}

/// For what writes files: cut off, it leaves some of them half written.
async fn written(git: &Git<'_>, what: &str, arguments: &[&str]) -> Result<(), Halt> {
    match done(git, what, arguments).await {
        Ok(_) => Ok(()),
        Err(halt) => Err(Box::new(Attempt { unfinished: true, ..*halt })),
    }
}

async fn done(git: &Git<'_>, what: &str, arguments: &[&str]) -> Result<Finished, Halt> {
    done_with(git.run(arguments).await, what)
}

fn done_with(finished: Result<Finished, String>, what: &str) -> Result<Finished, Halt> {
    let finished = finished.map_err(failed)?;
    match finished.stopped {
        None if finished.is_success() => Ok(finished),
        None => {
            let why = explain(what, &finished);
            Err(Box::new(Attempt::from(OpResult::Failed(why)).with_output(finished.output)))
        }
        Some(stop) => {
            Err(Box::new(Attempt::from(OpResult::from(stop)).with_output(finished.output)))
        }
    }
}

/// The lock of a git that was killed together with the agent; nobody holds it any more.
fn forget_lock(tree: &str) {
    let lock = Path::new(tree).join(".git/index.lock");
    match std::fs::remove_file(&lock) {
        Ok(()) => {
            tracing::info!(lock = %lock.display(), "removed a lock left by a git that was killed");
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(lock = %lock.display(), %error, "can't remove a left lock"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
