//! GitLab, by its REST API v4.
//!
//! GitLab keeps a version of a merge request for each push, with the server's time. An approval is of the last push if
//! it was given later than the newest version: its time is `approved_at`, or on a GitLab before 18.4 that of the note
//! that the server wrote about it. Where neither is there, the approval does not count.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Check, Client, Merged, Opinion, Review, Run, State, Trouble, newest};

#[derive(Deserialize)]
struct Commit {
    id: String,
}

#[derive(Deserialize)]
struct Ref {
    name: String,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    state: String,
    target_branch: String,
    author: Option<User>,
    web_url: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct Approvals {
    approved_by: Vec<Approval>,
}

#[derive(Deserialize)]
struct Approval {
    user: User,
    approved_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Version {
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct Reviewer {
    user: User,
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
struct Note {
    #[serde(default)]
    system: bool,
    body: String,
    author: User,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct Status {
    id: u64,
    name: String,
    status: String,
    target_url: Option<String>,
}

/// `projects/owner%2Fname/…`
fn path<'a>(repository: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    ["projects", repository].into_iter().chain(rest.iter().copied()).collect()
}

pub(super) async fn commit(
    client: &Client,
    repository: &str,
    reference: &str,
) -> Result<String, Trouble> {
    let path = path(repository, &["repository", "commits", reference]);
    let found: Result<Commit, _> = client.get(&path, &[("stats", "false")]).await;
    found.map(|commit| commit.id)
}

pub(super) async fn is_on(
    client: &Client,
    repository: &str,
    branch: &str,
    commit: &str,
) -> Result<bool, Trouble> {
    let path = path(repository, &["repository", "commits", commit, "refs"]);
    let branches: Vec<Ref> = client.list(&path, &[("type", "branch")]).await?;
    Ok(branches.iter().any(|found| found.name == branch))
}

pub(super) async fn merged(
    client: &Client,
    repository: &str,
    commit: &str,
) -> Result<Vec<Merged>, Trouble> {
    let requests = path(repository, &["repository", "commits", commit, "merge_requests"]);
    let requests: Vec<MergeRequest> = client.list(&requests, &[]).await?;
    let mut merged = Vec::new();
    for request in requests.into_iter().filter(|request| request.state == "merged") {
        let iid = request.iid.to_string();
        merged.push(Merged {
            reviews: reviews(client, repository, &iid).await?,
            url: request.web_url,
            author: request.author.map(|user| user.username).unwrap_or_default(),
            into: request.target_branch,
        });
    }
    Ok(merged)
}

async fn reviews(client: &Client, repository: &str, iid: &str) -> Result<Vec<Review>, Trouble> {
    let of = |what| path(repository, &["merge_requests", iid, what]);
    // Whoever took an approval back is not among them any more.
    let approvals: Approvals = client.get(&of("approvals"), &[]).await?;
    let versions: Vec<Version> = client.list(&of("versions"), &[]).await?;
    let pushed = versions.iter().map(|version| version.created_at).max();
    let reviewers: Vec<Reviewer> = client.list(&of("reviewers"), &[]).await?;
    let undated = approvals.approved_by.iter().any(|approval| approval.approved_at.is_none());
    let notes: Vec<Note> = match undated {
        true => client.list(&of("notes"), &[("sort", "asc"), ("order_by", "created_at")]).await?,
        false => Vec::new(),
    };
    let noted = |user: &User| {
        let theirs =
            notes.iter().filter(|note| note.system && note.author.username == user.username);
        let approved = theirs.filter(|note| note.body.starts_with("approved this merge request"));
        approved.map(|note| note.created_at).max()
    };
    let review = |user: &User, says, of_last_push| Review {
        by_program: is_program(&user.username),
        by: user.username.clone(),
        says,
        of_last_push,
    };
    let mut reviews: Vec<_> = (approvals.approved_by.iter())
        .map(|approval| {
            let at = approval.approved_at.or_else(|| noted(&approval.user));
            let of_last_push = at.zip(pushed).is_some_and(|(at, pushed)| at > pushed);
            review(&approval.user, Opinion::Approved, of_last_push)
        })
        .collect();
    // What a reviewer's state says is how it stands now.
    let asks = reviewers.iter().filter(|reviewer| reviewer.state == "requested_changes");
    reviews.extend(asks.map(|reviewer| review(&reviewer.user, Opinion::ChangesRequested, true)));
    Ok(reviews)
}

/// The account of an access token of a project or group: `project_42_bot_…`.
fn is_program(username: &str) -> bool {
    let rest = username.strip_prefix("project_").or_else(|| username.strip_prefix("group_"));
    let rest = rest.map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    rest.is_some_and(|rest| rest.starts_with("_bot"))
}

/// Jobs of pipelines, and what others report.
pub(super) async fn checks(
    client: &Client,
    repository: &str,
    commit: &str,
) -> Result<Vec<Check>, Trouble> {
    let path = path(repository, &["repository", "commits", commit, "statuses"]);
    let statuses: Vec<Status> = client.list(&path, &[]).await?;
    let runs = statuses.into_iter().map(|status| {
        let state = state(&status.status);
        let (name, url) = (status.name, status.target_url);
        Run { check: Check { name, state, word: status.status, url }, suite: 0, order: status.id }
    });
    Ok(newest(runs.collect()))
}

fn state(word: &str) -> State {
    match word {
        "success" => State::Succeeded,
        "created"
        | "waiting_for_resource"
        | "preparing"
        | "waiting_for_callback"
        | "pending"
        | "running"
        | "scheduled"
        | "manual"
        | "canceling" => State::Running,
        "failed" | "canceled" | "skipped" => State::Failed,
        _ => State::Unclear,
    }
}
