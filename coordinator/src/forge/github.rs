//! GitHub, by its REST API of 2022-11-28.
//!
//! A review belongs to the commit that was shown to the reviewer (`commit_id`). It is of the last push if that commit is
//! the head that was merged: GitHub does not say when something was pushed, and the dates in commits are what their
//! author likes.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Check, Client, Merged, Opinion, Review, Run, State, Trouble, newest};

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

#[derive(Deserialize)]
struct Compare {
    status: String,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    user: Option<User>,
    merged_at: Option<Timestamp>,
    base: Branch,
    head: Head,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

/// Nobody, where the account is gone.
#[derive(Deserialize)]
struct User {
    login: String,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct PullReview {
    user: Option<User>,
    state: String,
    commit_id: Option<String>,
    submitted_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    started_at: Option<Timestamp>,
    html_url: Option<String>,
    check_suite: Option<Suite>,
}

/// The runs of one workflow or app for one commit.
#[derive(Deserialize)]
struct Suite {
    id: u64,
}

#[derive(Deserialize)]
struct Combined {
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    id: u64,
    context: String,
    state: String,
    updated_at: Option<Timestamp>,
    target_url: Option<String>,
}

/// `repos/owner/name/…`
fn path<'a>(repository: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    ["repos"].into_iter().chain(repository.split('/')).chain(rest.iter().copied()).collect()
}

pub(super) async fn commit(
    client: &Client,
    repository: &str,
    reference: &str,
) -> Result<String, Trouble> {
    // It would list the files of the commit as well.
    let path = path(repository, &["commits", reference]);
    let found: Result<Commit, _> = client.get(&path, &[("per_page", "1")]).await;
    found.map(|commit| commit.sha)
}

pub(super) async fn is_on(
    client: &Client,
    repository: &str,
    branch: &str,
    commit: &str,
) -> Result<bool, Trouble> {
    // From the branch's side: where the commit is on it, nothing lies between them and the answer is small.
    let between = format!("{branch}...{commit}");
    let path = path(repository, &["compare", &between]);
    let compared: Compare = client.get(&path, &[("per_page", "1")]).await?;
    match &*compared.status {
        "behind" | "identical" => Ok(true),
        "ahead" | "diverged" => Ok(false),
        other => Err(Trouble::nonsense(format!("{between} is {other:?}"))),
    }
}

pub(super) async fn merged(
    client: &Client,
    repository: &str,
    commit: &str,
) -> Result<Vec<Merged>, Trouble> {
    let pulls: Vec<Pull> =
        client.list(&path(repository, &["commits", commit, "pulls"]), &[]).await?;
    let mut merged = Vec::new();
    for pull in pulls.into_iter().filter(|pull| pull.merged_at.is_some()) {
        let number = pull.number.to_string();
        let mut reviews: Vec<PullReview> =
            client.list(&path(repository, &["pulls", &number, "reviews"]), &[]).await?;
        reviews.sort_by_key(|review| review.submitted_at);
        let head = pull.head.sha;
        merged.push(Merged {
            url: pull.html_url,
            author: pull.user.map(|user| user.login).unwrap_or_default(),
            into: pull.base.name,
            reviews: reviews.into_iter().filter_map(|review| opinion(review, &head)).collect(),
        });
    }
    Ok(merged)
}

fn opinion(review: PullReview, head: &str) -> Option<Review> {
    let says = match &*review.state {
        "APPROVED" => Opinion::Approved,
        "CHANGES_REQUESTED" => Opinion::ChangesRequested,
        "DISMISSED" => Opinion::Dismissed,
        _ => return None,
    };
    let user = review.user?;
    Some(Review {
        by_program: user.kind == "Bot",
        by: user.login,
        says,
        of_last_push: review.commit_id.as_deref() == Some(head),
    })
}

/// Both kinds: runs of checks, which apps report, and statuses, which anybody with a token sets. Where both have the
/// same name, both count.
pub(super) async fn checks(
    client: &Client,
    repository: &str,
    commit: &str,
) -> Result<Vec<Check>, Trouble> {
    let path = |what| path(repository, &["commits", commit, what]);
    let latest = [("filter", "latest")];
    let runs =
        client.pages(&path("check-runs"), &latest, |page: CheckRuns| page.check_runs).await?;
    let runs = runs.into_iter().map(|run| {
        let word = match run.conclusion {
            Some(conclusion) if run.status == "completed" => conclusion,
            _ => run.status,
        };
        let check = Check { name: run.name, state: state(&word), word, url: run.html_url };
        Run {
            check,
            suite: run.check_suite.map_or(0, |suite| suite.id),
            order: (run.started_at, run.id),
        }
    });
    let mut checks = newest(runs.collect());
    let statuses = client.pages(&path("status"), &[], |page: Combined| page.statuses).await?;
    let statuses = statuses.into_iter().map(|status| {
        let state = state(&status.state);
        let (name, url) = (status.context, status.target_url);
        let check = Check { name, state, word: status.state, url };
        Run { check, suite: 0, order: (status.updated_at, status.id) }
    });
    checks.extend(newest(statuses.collect()));
    Ok(checks)
}

fn state(word: &str) -> State {
    match word {
        "success" => State::Succeeded,
        "queued" | "in_progress" | "waiting" | "requested" | "pending" => State::Running,
        "failure" | "error" | "cancelled" | "timed_out" | "startup_failure" | "action_required"
        | "skipped" | "neutral" => State::Failed,
        _ => State::Unclear,
    }
}
