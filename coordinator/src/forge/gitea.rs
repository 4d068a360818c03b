//! Gitea and Forgejo, by their API v1.
//!
//! As at GitHub a review belongs to a commit (`commit_id`), and is of the last push if that is the head that was merged.
//! A review that the server has marked as stale is not, whatever it belongs to.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Check, Client, Merged, Opinion, Review, Run, State, Trouble, newest};

/// Pull requests that are looked through for one that ended in the commit.
const RECENT: &str = "50";

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

#[derive(Deserialize)]
struct Compare {
    total_commits: u64,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    user: Option<User>,
    #[serde(default)]
    merged: bool,
    merge_commit_sha: Option<String>,
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

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct PullReview {
    user: Option<User>,
    state: String,
    commit_id: Option<String>,
    #[serde(default)]
    stale: bool,
    #[serde(default)]
    dismissed: bool,
    submitted_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Status {
    id: u64,
    context: String,
    status: String,
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
    let path = path(repository, &["git", "commits", reference]);
    let little = [("stat", "false"), ("verification", "false"), ("files", "false")];
    let found: Result<Commit, _> = client.get(&path, &little).await;
    found.map(|commit| commit.sha)
}

pub(super) async fn is_on(
    client: &Client,
    repository: &str,
    branch: &str,
    commit: &str,
) -> Result<bool, Trouble> {
    let between = format!("{branch}...{commit}");
    let compared: Compare = client.get(&path(repository, &["compare", &between]), &[]).await?;
    // What the commit has and the branch has not.
    Ok(compared.total_commits == 0)
}

pub(super) async fn merged(
    client: &Client,
    repository: &str,
    commit: &str,
) -> Result<Vec<Merged>, Trouble> {
    let Some(pull) = pull(client, repository, commit).await? else { return Ok(Vec::new()) };
    let number = pull.number.to_string();
    let mut reviews: Vec<PullReview> =
        client.list(&path(repository, &["pulls", &number, "reviews"]), &[]).await?;
    reviews.sort_by_key(|review| review.submitted_at);
    let head = pull.head.sha;
    Ok(vec![Merged {
        url: pull.html_url,
        author: pull.user.map(|user| user.login).unwrap_or_default(),
        into: pull.base.name,
        reviews: reviews.into_iter().filter_map(|review| opinion(review, &head)).collect(),
    }])
}

/// The server finds a pull request by the commit that merged it. Where it finds none, or is too old to look, the commit
/// may still be the head of one.
async fn pull(client: &Client, repository: &str, commit: &str) -> Result<Option<Pull>, Trouble> {
    match client.get::<Pull>(&path(repository, &["commits", commit, "pull"]), &[]).await {
        Ok(pull) if pull.merged => return Ok(Some(pull)),
        Ok(_) | Err(Trouble::NotFound(_)) => {}
        Err(why) => return Err(why),
    }
    // Where the token may not see pull requests at all, this says so.
    let recent = [("state", "closed"), ("sort", "recentupdate"), ("limit", RECENT)];
    let pulls: Vec<Pull> = client.first(&path(repository, &["pulls"]), &recent).await?;
    let ended_in = |pull: &Pull| {
        pull.merged && (pull.head.sha == commit || pull.merge_commit_sha.as_deref() == Some(commit))
    };
    Ok(pulls.into_iter().find(ended_in))
}

fn opinion(review: PullReview, head: &str) -> Option<Review> {
    let says = match &*review.state {
        "APPROVED" | "REQUEST_CHANGES" if review.dismissed => Opinion::Dismissed,
        "APPROVED" => Opinion::Approved,
        "REQUEST_CHANGES" => Opinion::ChangesRequested,
        _ => return None,
    };
    Some(Review {
        by: review.user?.login,
        says,
        of_last_push: !review.stale && review.commit_id.as_deref() == Some(head),
        by_program: false,
    })
}

/// Statuses; Actions write theirs too.
pub(super) async fn checks(
    client: &Client,
    repository: &str,
    commit: &str,
) -> Result<Vec<Check>, Trouble> {
    let path = path(repository, &["commits", commit, "statuses"]);
    let statuses: Vec<Status> = client.list(&path, &[]).await?;
    let runs = statuses.into_iter().map(|status| {
        let state = state(&status.status);
        let (name, url) = (status.context, status.target_url);
        Run { check: Check { name, state, word: status.status, url }, suite: 0, order: status.id }
    });
    Ok(newest(runs.collect()))
}

fn state(word: &str) -> State {
    match word {
        "success" => State::Succeeded,
        "pending" => State::Running,
        "failure" | "error" | "warning" | "skipped" => State::Failed,
        _ => State::Unclear,
    }
}
