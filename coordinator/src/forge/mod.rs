//! Forges: where commits are reviewed and tested. Three kinds answer the same four questions.
//!
//! ```text
//! gates ── Forge ──┬── github ──┐
//!                  ├── gitlab ──┼── client (one GET at a time; what it may not do is there) ── token
//!                  └── gitea  ──┘
//! ```
//!
//! Nothing is ever written to a forge.

mod client;
mod config;
mod gitea;
mod github;
mod gitlab;
#[cfg(test)]
pub(crate) mod stub;
mod token;

use std::path::Path;

use client::Client;
pub(crate) use client::Trouble;
pub use config::{ForgeConfig, Kind};

/// A forge that can be asked.
pub(crate) struct Forge {
    kind: Kind,
    client: Client,
}

/// A pull request, or merge request, that was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Its address for people.
    pub(crate) url: String,
    /// Who opened it.
    pub(crate) author: String,
    /// The branch that it was merged into.
    pub(crate) into: String,
    /// Its reviews, the oldest first.
    pub(crate) reviews: Vec<Review>,
}

/// What somebody said of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Review {
    /// Who.
    pub(crate) by: String,
    /// What.
    pub(crate) says: Opinion,
    /// It is of what was pushed last.
    pub(crate) of_last_push: bool,
    /// A program said it, as far as the forge tells.
    pub(crate) by_program: bool,
}

/// What a review says. A remark that is neither does not count, and takes nothing back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opinion {
    Approved,
    ChangesRequested,
    /// It was taken back, or a maintainer struck it out.
    Dismissed,
}

/// A check of a commit, as it ran last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) state: State,
    /// The forge's own word for it.
    pub(crate) word: String,
    /// Where a person can look.
    pub(crate) url: Option<String>,
}

/// How a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Succeeded,
    Running,
    /// The forge says something that has no meaning here.
    Unclear,
    Failed,
}

impl Forge {
    /// Reads what is needed to ask it: its token, and its certificate authority.
    pub(crate) fn open(config: &ForgeConfig, credentials: Option<&Path>) -> Result<Self, Trouble> {
        Ok(Self { kind: config.kind, client: Client::open(config, credentials)? })
    }

    /// The full number of the commit that `reference` means: a tag, a branch or a commit.
    pub(crate) async fn commit(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<String, Trouble> {
        let commit = match self.kind {
            Kind::Github => github::commit(&self.client, repository, reference).await,
            Kind::Gitlab => gitlab::commit(&self.client, repository, reference).await,
            Kind::Gitea => gitea::commit(&self.client, repository, reference).await,
        }?;
        let whole = matches!(commit.len(), 40 | 64) && is_hex(&commit);
        if !whole {
            return Err(Trouble::nonsense(format!("it says that {reference} is {commit:?}")));
        }
        // A commit is only itself.
        if is_hex(reference) && matches!(reference.len(), 40 | 64) && commit != reference {
            return Err(Trouble::nonsense(format!("it says that commit {reference} is {commit}")));
        }
        Ok(commit)
    }

    /// Whether `commit` is on `branch`.
    pub(crate) async fn is_on(
        &self,
        repository: &str,
        branch: &str,
        commit: &str,
    ) -> Result<bool, Trouble> {
        match self.kind {
            Kind::Github => github::is_on(&self.client, repository, branch, commit).await,
            Kind::Gitlab => gitlab::is_on(&self.client, repository, branch, commit).await,
            Kind::Gitea => gitea::is_on(&self.client, repository, branch, commit).await,
        }
    }

    /// The merged pull requests that brought `commit`.
    pub(crate) async fn merged(
        &self,
        repository: &str,
        commit: &str,
    ) -> Result<Vec<Merged>, Trouble> {
        match self.kind {
            Kind::Github => github::merged(&self.client, repository, commit).await,
            Kind::Gitlab => gitlab::merged(&self.client, repository, commit).await,
            Kind::Gitea => gitea::merged(&self.client, repository, commit).await,
        }
    }

    /// The checks of `commit`, each as it ran last.
    pub(crate) async fn checks(
        &self,
        repository: &str,
        commit: &str,
    ) -> Result<Vec<Check>, Trouble> {
        match self.kind {
            Kind::Github => github::checks(&self.client, repository, commit).await,
            Kind::Gitlab => gitlab::checks(&self.client, repository, commit).await,
            Kind::Gitea => gitea::checks(&self.client, repository, commit).await,
        }
    }
}

/// A run of a check, and what tells which of two came later.
struct Run<T> {
    check: Check,
    /// Whose run it is, where several may use one name: the success of one is not that of its namesake.
    suite: u64,
    order: T,
}

/// Of each name in each suite the run that came last.
fn newest<T: Ord>(runs: Vec<Run<T>>) -> Vec<Check> {
    let mut newest = std::collections::BTreeMap::<(u64, String), Run<T>>::new();
    for run in runs {
        let key = (run.suite, run.check.name.clone());
        match newest.get(&key) {
            Some(known) if known.order >= run.order => {}
            _ => {
                newest.insert(key, run);
            }
        }
    }
    newest.into_values().map(|run| run.check).collect()
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
