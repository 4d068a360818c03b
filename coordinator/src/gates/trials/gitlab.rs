//! GitLab's own.

use super::*;

pub(super) fn world(stub: &Stub) -> At {
    let at = At {
        commit: "/api/v4/projects/acme%2Fapp/repository/commits/v2",
        compare: "/api/v4/projects/acme%2Fapp/repository/commits/c0ffee0000000000000000000000000000000001/refs",
        pulls: "/api/v4/projects/acme%2Fapp/repository/commits/c0ffee0000000000000000000000000000000001/merge_requests",
        reviews: "/api/v4/projects/acme%2Fapp/merge_requests/7/approvals",
        checks: "/api/v4/projects/acme%2Fapp/repository/commits/c0ffee0000000000000000000000000000000001/statuses",
    };
    stub.on(at.commit, &json!({
        "id": COMMIT, "short_id": "c0ffee00", "title": "Merge branch 'feature'", "parent_ids": [OLD, HEAD],
    }));
    stub.on(
        at.compare,
        &json!([
            { "type": "branch", "name": "develop" },
            { "type": "branch", "name": "main" },
        ]),
    );
    stub.on(at.pulls, &json!([{
        "id": 700, "iid": 7, "state": "merged", "target_branch": "main", "source_branch": "feature",
        "author": { "id": 1, "username": "ann", "name": "Ann" }, "sha": HEAD, "merge_commit_sha": COMMIT,
        "web_url": "https://gitlab.com/acme/app/-/merge_requests/7",
    }]));
    stub.on(
        at.reviews,
        &json!({
            "id": 700, "iid": 7, "state": "merged", "approvals_required": 1, "approvals_left": 0,
            "approved_by": [approval("bob", Some("2026-11-20T11:00:00.000Z"))],
        }),
    );
    stub.on(VERSIONS, &json!([
        { "id": 92, "head_commit_sha": HEAD, "created_at": "2026-11-20T10:30:00.000Z", "state": "collected" },
        { "id": 91, "head_commit_sha": OLD, "created_at": "2026-11-20T09:00:00.000Z", "state": "collected" },
    ]));
    stub.on(REVIEWERS, &json!([
        { "user": { "id": 2, "username": "bob" }, "state": "approved", "created_at": "2026-11-20T09:00:00.000Z" },
    ]));
    stub.on(NOTES, &json!([]));
    stub.on(at.checks, &json!([status(1, "unit", "success"), status(2, "lint", "success")]));
    at
}

const VERSIONS: &str = "/api/v4/projects/acme%2Fapp/merge_requests/7/versions";
const REVIEWERS: &str = "/api/v4/projects/acme%2Fapp/merge_requests/7/reviewers";
const NOTES: &str = "/api/v4/projects/acme%2Fapp/merge_requests/7/notes";

fn approval(by: &str, at: Option<&str>) -> Value {
    let mut approval = json!({ "user": { "id": 2, "username": by, "state": "active" } });
    if let Some(at) = at {
        approval["approved_at"] = json!(at);
    }
    approval
}

fn status(id: u64, name: &str, status: &str) -> Value {
    json!({
        "id": id, "sha": COMMIT, "ref": "main", "status": status, "name": name, "allow_failure": false,
        "target_url": format!("https://gitlab.com/acme/app/-/jobs/{id}"),
    })
}

#[tokio::test]
async fn an_approval_must_be_later_than_the_newest_version() {
    let trial = Trial::of(Kind::Gitlab).await;
    for (by, at, answer, part) in [
        ("bob", "2026-11-20T10:30:00.001Z", Answer::Pass, "by bob"),
        ("bob", "2026-11-20T10:30:00.000Z", Answer::Fail, "bob (came before the last push)"),
        ("ann", "2026-11-20T11:00:00.000Z", Answer::Fail, "ann (is the author)"),
        ("project_42_bot_f00", "2026-11-20T11:00:00.000Z", Answer::Fail, "(is a program)"),
        ("project_manager", "2026-11-20T11:00:00.000Z", Answer::Pass, "by project_manager"),
    ] {
        trial
            .stub
            .change(trial.at.reviews, |page| page["approved_by"] = json!([approval(by, Some(at))]));
        says(&trial.reviewed().await, answer, part);
    }
    trial.stub.change(trial.at.reviews, |page| page["approved_by"] = json!([]));
    says(&trial.reviewed().await, Answer::Fail, "no approval that counts");
}

#[tokio::test]
async fn where_the_approval_has_no_time_the_servers_note_of_it_has() {
    let trial = Trial::of(Kind::Gitlab).await;
    trial
        .stub
        .change(trial.at.reviews, |page| page["approved_by"] = json!([approval("bob", None)]));
    says(&trial.reviewed().await, Answer::Fail, "bob (came before the last push)");
    let note = |system: bool, at: &str| {
        json!({
            "id": 1, "body": "approved this merge request", "system": system,
            "author": { "username": "bob" }, "created_at": at,
        })
    };
    // Anybody can write the words, but only the server a note of the system.
    trial.stub.on(NOTES, &json!([note(false, "2026-11-20T11:00:00.000Z")]));
    says(&trial.reviewed().await, Answer::Fail, "bob (came before the last push)");
    trial.stub.on(NOTES, &json!([note(true, "2026-11-20T10:00:00.000Z")]));
    says(&trial.reviewed().await, Answer::Fail, "bob (came before the last push)");
    // On the last of its pages.
    trial.stub.pages(
        NOTES,
        &[
            json!([note(true, "2026-11-20T10:00:00.000Z")]),
            json!([note(true, "2026-11-20T11:00:00.000Z")]),
        ],
    );
    says(&trial.reviewed().await, Answer::Pass, "by bob");
}

#[tokio::test]
async fn who_asks_for_changes_does_not_approve() {
    let trial = Trial::of(Kind::Gitlab).await;
    trial.stub.change(REVIEWERS, |reviewers| reviewers[0]["state"] = json!("requested_changes"));
    says(&trial.reviewed().await, Answer::Fail, "bob (asks for changes)");
}

#[tokio::test]
async fn a_request_that_is_not_merged_or_not_here_fails() {
    let trial = Trial::of(Kind::Gitlab).await;
    trial.stub.change(trial.at.pulls, |pulls| pulls[0]["target_branch"] = json!("develop"));
    says(&trial.reviewed().await, Answer::Fail, "into develop, not into main");
    trial.stub.change(trial.at.pulls, |pulls| pulls[0]["state"] = json!("closed"));
    says(&trial.reviewed().await, Answer::Fail, "without a merged pull request");
}

#[tokio::test]
async fn the_newest_status_of_a_name_counts() {
    let trial = Trial::of(Kind::Gitlab).await;
    for (word, answer, part) in [
        ("failed", Answer::Fail, "unit: failed"),
        ("canceled", Answer::Fail, "unit: canceled"),
        ("skipped", Answer::Fail, "unit: skipped"),
        ("running", Answer::CannotTell, "unit is still running"),
        ("manual", Answer::CannotTell, "unit is still running (manual)"),
        ("odd", Answer::CannotTell, "unit is \"odd\""),
    ] {
        trial.stub.pages(
            trial.at.checks,
            &[
                json!([status(1, "unit", "success"), status(2, "lint", "success")]),
                json!([status(3, "unit", word)]),
            ],
        );
        says(&trial.tests().await, answer, part);
    }
    trial.stub.on(trial.at.checks, &json!([status(1, "unit", "success")]));
    says(&trial.tests().await, Answer::CannotTell, "lint has not begun");
}
