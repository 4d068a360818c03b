//! GitHub's own.

use super::*;

pub(super) fn world(stub: &Stub) -> At {
    let at = At {
        commit: "/repos/acme/app/commits/v2",
        compare: "/repos/acme/app/compare/main...c0ffee0000000000000000000000000000000001",
        pulls: "/repos/acme/app/commits/c0ffee0000000000000000000000000000000001/pulls",
        reviews: "/repos/acme/app/pulls/7/reviews",
        checks: "/repos/acme/app/commits/c0ffee0000000000000000000000000000000001/check-runs",
    };
    stub.on(at.commit, &json!({
        "sha": COMMIT, "node_id": "C_1", "html_url": "https://github.com/acme/app/commit/c0ffee",
        "commit": { "message": "Merge pull request #7", "author": { "name": "Ann" } }, "files": [],
    }));
    stub.on(at.compare, &json!({
        "status": "behind", "ahead_by": 0, "behind_by": 3, "total_commits": 0, "commits": [], "files": [],
    }));
    stub.on(
        at.pulls,
        &json!([
            {
                "number": 6, "state": "closed", "html_url": "https://github.com/acme/app/pull/6",
                "user": { "login": "ann", "type": "User" }, "merged_at": null,
                "base": { "ref": "main", "sha": OLD }, "head": { "ref": "try", "sha": OLD },
            },
            {
                "number": 7, "state": "closed", "html_url": "https://github.com/acme/app/pull/7",
                "user": { "login": "ann", "type": "User" }, "merged_at": "2026-11-20T12:00:00Z",
                "merge_commit_sha": COMMIT,
                "base": { "ref": "main", "sha": OLD }, "head": { "ref": "feature", "sha": HEAD },
            },
        ]),
    );
    stub.on(
        at.reviews,
        &json!([
            review("bob", "COMMENTED", OLD, "2026-11-20T10:00:00Z"),
            review("bob", "APPROVED", HEAD, "2026-11-20T11:00:00Z"),
        ]),
    );
    stub.on(
        at.checks,
        &json!({ "total_count": 1, "check_runs": [run(1, "unit", "completed", "success")] }),
    );
    stub.on(STATUS, &json!({
        "state": "success", "sha": COMMIT, "total_count": 1, "statuses": [status(1, "lint", "success")],
    }));
    at
}

const STATUS: &str = "/repos/acme/app/commits/c0ffee0000000000000000000000000000000001/status";

fn review(by: &str, state: &str, commit: &str, at: &str) -> Value {
    json!({
        "id": 80, "user": { "login": by, "type": "User" }, "body": "", "state": state,
        "commit_id": commit, "submitted_at": at, "author_association": "MEMBER",
    })
}

fn run(id: u64, name: &str, status: &str, conclusion: &str) -> Value {
    json!({
        "id": id, "name": name, "head_sha": COMMIT, "status": status,
        "conclusion": (status == "completed").then_some(conclusion),
        "started_at": format!("2026-11-20T12:00:{id:02}Z"), "completed_at": null,
        "html_url": format!("https://github.com/acme/app/runs/{id}"), "app": { "slug": "actions" },
    })
}

fn status(id: u64, context: &str, state: &str) -> Value {
    json!({
        "id": id, "context": context, "state": state, "description": "", "target_url": null,
        "created_at": "2026-11-20T12:00:00Z", "updated_at": format!("2026-11-20T12:01:{id:02}Z"),
    })
}

#[tokio::test]
async fn each_review_counts_as_it_should() {
    let trial = Trial::of(Kind::Github).await;
    let later = "2026-11-20T11:30:00Z";
    for (reviews, answer, part) in [
        (json!([]), Answer::Fail, "no approval that counts"),
        (
            json!([review("bob", "APPROVED", OLD, later)]),
            Answer::Fail,
            "bob (came before the last push)",
        ),
        (json!([review("ann", "APPROVED", HEAD, later)]), Answer::Fail, "ann (is the author)"),
        (json!([review("bob", "DISMISSED", HEAD, later)]), Answer::Fail, "bob (was dismissed)"),
        (
            json!([
                review("bob", "CHANGES_REQUESTED", HEAD, later),
                review("bob", "APPROVED", HEAD, "2026-11-20T11:00:00Z"),
            ]),
            Answer::Fail,
            "bob (asks for changes)",
        ),
        (
            json!([
                review("bob", "APPROVED", HEAD, later),
                review("bob", "COMMENTED", HEAD, later)
            ]),
            Answer::Pass,
            "by bob",
        ),
        (
            json!([{
                "user": { "login": "ok[bot]", "type": "Bot" }, "state": "APPROVED",
                "commit_id": HEAD, "submitted_at": later,
            }]),
            Answer::Fail,
            "ok[bot] (is a program)",
        ),
        // The account is gone.
        (
            json!([{ "user": null, "state": "APPROVED", "commit_id": HEAD, "submitted_at": later }]),
            Answer::Fail,
            "no approval that counts",
        ),
    ] {
        trial.stub.on(trial.at.reviews, &reviews);
        says(&trial.reviewed().await, answer, part);
    }
}

#[tokio::test]
async fn a_pull_request_that_is_not_merged_or_not_here_fails() {
    let trial = Trial::of(Kind::Github).await;
    trial.stub.change(trial.at.pulls, |pulls| pulls[1]["base"]["ref"] = json!("develop"));
    says(&trial.reviewed().await, Answer::Fail, "into develop, not into main");
    trial.stub.change(trial.at.pulls, |pulls| pulls[1]["merged_at"] = Value::Null);
    says(&trial.reviewed().await, Answer::Fail, "without a merged pull request");
}

#[tokio::test]
async fn check_runs_and_statuses_both_count() {
    let trial = Trial::of(Kind::Github).await;
    for conclusion in [
        "failure",
        "cancelled",
        "timed_out",
        "action_required",
        "skipped",
        "neutral",
        "startup_failure",
    ] {
        trial.stub.change(trial.at.checks, |page| {
            page["check_runs"] = json!([run(1, "unit", "completed", conclusion)]);
        });
        says(&trial.tests().await, Answer::Fail, &format!("unit: {conclusion}"));
    }
    for (run, part) in [
        (run(1, "unit", "queued", ""), "unit is still running (queued)"),
        (run(1, "unit", "in_progress", ""), "unit is still running"),
        (run(1, "unit", "completed", "stale"), "unit is \"stale\""),
        (
            run(1, "Unit", "completed", "success"),
            "unit has not begun, or is called otherwise; the commit has Unit, lint",
        ),
    ] {
        trial.stub.change(trial.at.checks, |page| page["check_runs"] = json!([run]));
        says(&trial.tests().await, Answer::CannotTell, part);
    }
    // The newest run of a name, whatever the order.
    let again = [run(9, "unit", "completed", "success"), run(2, "unit", "completed", "failure")];
    trial.stub.change(trial.at.checks, |page| page["check_runs"] = json!(again));
    says(&trial.tests().await, Answer::Pass, "succeeded");
    // But the success of one workflow hides no failure of another that uses the same name.
    trial.stub.change(trial.at.checks, |page| {
        page["check_runs"] = json!(again);
        page["check_runs"][0]["check_suite"] = json!({ "id": 1 });
        page["check_runs"][1]["check_suite"] = json!({ "id": 2 });
    });
    says(&trial.tests().await, Answer::Fail, "unit: failure");
    trial.stub.change(trial.at.checks, |page| page["check_runs"] = json!(again));
    for (state, answer, part) in [
        ("failure", Answer::Fail, "lint: failure"),
        ("error", Answer::Fail, "lint: error"),
        ("pending", Answer::CannotTell, "lint is still running"),
    ] {
        trial.stub.change(STATUS, |page| page["statuses"] = json!([status(1, "lint", state)]));
        says(&trial.tests().await, answer, part);
    }
    // A status of the run's name that failed.
    trial.stub.change(STATUS, |page| {
        page["statuses"] = json!([status(1, "lint", "success"), status(2, "unit", "failure")]);
    });
    says(&trial.tests().await, Answer::Fail, "unit: failure");
    trial.stub.refuse(STATUS, 500, &[]);
    says(&trial.tests().await, Answer::CannotTell, "500 at /repos/acme/app/commits/");
}

#[tokio::test]
async fn checks_are_read_to_their_end() {
    let trial = Trial::of(Kind::Github).await;
    let page = |runs: Value| json!({ "total_count": 2, "check_runs": runs });
    trial.stub.pages(
        trial.at.checks,
        &[
            page(json!([run(1, "unit", "completed", "success")])),
            page(json!([run(2, "unit", "completed", "failure")])),
        ],
    );
    says(&trial.tests().await, Answer::Fail, "unit: failure");
}
