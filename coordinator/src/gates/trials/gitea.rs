//! Gitea's and Forgejo's own.

use super::*;

pub(super) fn world(stub: &Stub) -> At {
    let at = At {
        commit: "/api/v1/repos/acme/app/git/commits/v2",
        compare: "/api/v1/repos/acme/app/compare/main...c0ffee0000000000000000000000000000000001",
        pulls: "/api/v1/repos/acme/app/commits/c0ffee0000000000000000000000000000000001/pull",
        reviews: "/api/v1/repos/acme/app/pulls/7/reviews",
        checks: "/api/v1/repos/acme/app/commits/c0ffee0000000000000000000000000000000001/statuses",
    };
    stub.on(
        at.commit,
        &json!({ "sha": COMMIT, "html_url": "https://git.example.com/x", "commit": {} }),
    );
    stub.on(at.compare, &json!({ "total_commits": 0, "commits": [] }));
    stub.on(at.pulls, &pull(7, COMMIT, HEAD));
    stub.on(CLOSED, &json!([]));
    stub.on(
        at.reviews,
        &json!([
            review("bob", "COMMENT", OLD, "2026-11-20T10:00:00Z"),
            review("bob", "APPROVED", HEAD, "2026-11-20T11:00:00Z"),
        ]),
    );
    stub.on(at.checks, &json!([status(2, "lint", "success"), status(1, "unit", "success")]));
    at
}

const CLOSED: &str = "/api/v1/repos/acme/app/pulls";

fn pull(number: u64, merge_commit: &str, head: &str) -> Value {
    json!({
        "id": 70, "number": number, "state": "closed", "merged": true, "merged_at": "2026-11-20T12:00:00Z",
        "html_url": format!("https://git.example.com/acme/app/pulls/{number}"),
        "user": { "id": 1, "login": "ann" }, "merge_commit_sha": merge_commit,
        "base": { "ref": "main", "sha": OLD }, "head": { "ref": "feature", "sha": head },
    })
}

fn review(by: &str, state: &str, commit: &str, at: &str) -> Value {
    json!({
        "id": 80, "user": { "id": 2, "login": by }, "state": state, "commit_id": commit, "stale": false,
        "official": true, "dismissed": false, "submitted_at": at, "updated_at": at,
    })
}

fn status(id: u64, context: &str, word: &str) -> Value {
    json!({
        "id": id, "context": context, "status": word, "description": "", "created_at": "2026-11-20T12:00:00Z",
        "target_url": format!("/acme/app/actions/runs/{id}"),
    })
}

#[tokio::test]
async fn each_review_counts_as_it_should() {
    let trial = Trial::of(Kind::Gitea).await;
    let later = "2026-11-20T11:30:00Z";
    let with = |key: &str| {
        let mut review = review("bob", "APPROVED", HEAD, later);
        review[key] = json!(true);
        review
    };
    for (reviews, answer, part) in [
        (json!([]), Answer::Fail, "no approval that counts"),
        (json!([with("stale")]), Answer::Fail, "bob (came before the last push)"),
        (json!([with("dismissed")]), Answer::Fail, "bob (was dismissed)"),
        (
            json!([review("bob", "APPROVED", OLD, later)]),
            Answer::Fail,
            "bob (came before the last push)",
        ),
        (json!([review("ann", "APPROVED", HEAD, later)]), Answer::Fail, "ann (is the author)"),
        (
            json!([
                review("bob", "REQUEST_CHANGES", HEAD, later),
                review("bob", "APPROVED", HEAD, "2026-11-20T11:00:00Z"),
            ]),
            Answer::Fail,
            "bob (asks for changes)",
        ),
        (
            json!([
                review("bob", "REQUEST_REVIEW", HEAD, later),
                review("eve", "APPROVED", HEAD, later)
            ]),
            Answer::Pass,
            "by eve",
        ),
    ] {
        trial.stub.on(trial.at.reviews, &reviews);
        says(&trial.reviewed().await, answer, part);
    }
}

#[tokio::test]
async fn the_head_of_a_pull_request_is_found_among_those_that_are_closed() {
    let trial = Trial::of(Kind::Gitea).await;
    trial.stub.forget(trial.at.pulls);
    let aside = pull(6, OLD, OLD);
    trial.stub.on(CLOSED, &json!([aside]));
    says(&trial.reviewed().await, Answer::Fail, "without a merged pull request");
    trial.stub.on(CLOSED, &json!([aside, pull(7, OLD, COMMIT)]));
    // What was approved is HEAD, and COMMIT was merged.
    says(&trial.reviewed().await, Answer::Fail, "bob (came before the last push)");
    trial
        .stub
        .on(trial.at.reviews, &json!([review("bob", "APPROVED", COMMIT, "2026-11-20T11:00:00Z")]));
    says(&trial.reviewed().await, Answer::Pass, "pulls/7 was approved by bob");
    // A token that may not see pull requests is no proof that there is none.
    trial.stub.forget(CLOSED);
    says(&trial.reviewed().await, Answer::CannotTell, "404 at");
}

#[tokio::test]
async fn a_pull_request_into_another_branch_fails() {
    let trial = Trial::of(Kind::Gitea).await;
    trial.stub.change(trial.at.pulls, |pull| pull["base"]["ref"] = json!("develop"));
    says(&trial.reviewed().await, Answer::Fail, "into develop, not into main");
    trial.stub.change(trial.at.pulls, |pull| pull["merged"] = json!(false));
    says(&trial.reviewed().await, Answer::Fail, "without a merged pull request");
}

#[tokio::test]
async fn the_newest_status_of_a_name_counts() {
    let trial = Trial::of(Kind::Gitea).await;
    for (word, answer, part) in [
        ("failure", Answer::Fail, "unit: failure"),
        ("error", Answer::Fail, "unit: error"),
        ("warning", Answer::Fail, "unit: warning"),
        ("pending", Answer::CannotTell, "unit is still running"),
        ("odd", Answer::CannotTell, "unit is \"odd\""),
    ] {
        trial.stub.pages(
            trial.at.checks,
            &[
                json!([status(2, "lint", "success"), status(1, "unit", "success")]),
                json!([status(3, "unit", word)]),
            ],
        );
        says(&trial.tests().await, answer, part);
    }
    trial.stub.on(trial.at.checks, &json!([]));
    says(&trial.tests().await, Answer::CannotTell, "the commit has no checks");
}
