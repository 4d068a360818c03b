"""GitLab's REST API, version 4, as far as gates ask it. Shapes: https://docs.gitlab.com/api/rest/."""

import re
import time
from urllib.parse import unquote

from forge.answer import Answer, Question, page
from forge.state import Check, Commit, Pull, Review

PREFIX = "/api/v4"
_STATUS = {
    "queued": "pending",
    "error": "failed",
    "failure": "failed",
    "timed_out": "failed",
    "cancelled": "canceled",
    "neutral": "success",
}


def answer(question: Question) -> Answer:
    """Answers one question."""
    state = question.state
    if state.token is not None and question.token != state.token:
        if question.token is not None or "authorization" in question.headers:
            return _error(401, "401 Unauthorized")
        # A private project is not there for those who say not who they are.
        return _error(404, "404 Project Not Found")
    found = re.fullmatch(rf"{PREFIX}/projects/([^/]+)(/.*)?", question.path)
    if not found:
        return Answer(404, {"error": "404 Not Found"})
    if unquote(found[1]) not in (state.repository, str(state.project_id)):
        return _error(404, "404 Project Not Found")
    rest = found[2] or ""
    for pattern, route in _ROUTES:
        if match := re.fullmatch(pattern, rest):
            return route(question, *(unquote(group) for group in match.groups()))
    return Answer(404, {"error": "404 Not Found"})


def limited(question: Question, seconds: int, secondary: bool) -> Answer:
    """The answer beyond a rate limit."""
    limit = question.state.rate_limit
    headers = {
        "RateLimit-Limit": str(limit),
        "RateLimit-Name": "throttle_authenticated_api",
        "RateLimit-Observed": str(limit + 1),
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(int(time.time()) + seconds),
        "Retry-After": str(seconds),
    }
    return Answer(429, "Retry later\n", headers, "text/plain")


def _error(status: int, message: str) -> Answer:
    return Answer(status, {"message": message})


def _paged(question: Question, items: list) -> Answer:
    part = page(question, items, 20, 100)
    headers = {
        "X-Total": str(part.total),
        "X-Total-Pages": str(part.last),
        "X-Per-Page": str(part.size),
        "X-Page": str(part.number),
        "X-Next-Page": str(part.number + 1) if part.number < part.last else "",
        "X-Prev-Page": str(part.number - 1) if part.number > 1 else "",
    }
    if part.links:
        headers["Link"] = part.links
    return Answer(200, part.items, headers)


def _web(question: Question, rest: str) -> str:
    return f"{question.origin}/{question.state.repository}/-/{rest}"


def _at(text: str) -> str:
    """A time with milliseconds, as GitLab writes it."""
    return text.replace("Z", ".000Z") if "." not in text else text


def _user(question: Question, name: str) -> dict:
    return {
        "id": question.state.user_id(name),
        "username": name,
        "name": name.capitalize(),
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{question.origin}/{name}",
    }


def _commit(question: Question, commit: Commit) -> dict:
    person, email = commit.author.capitalize(), f"{commit.author}@example.com"
    return {
        "id": commit.sha,
        "short_id": commit.sha[:8],
        "created_at": _at(commit.at),
        "parent_ids": list(commit.parents),
        "title": commit.message.partition("\n")[0],
        "message": commit.message,
        "author_name": person,
        "author_email": email,
        "authored_date": _at(commit.at),
        "committer_name": person,
        "committer_email": email,
        "committed_date": _at(commit.at),
        "trailers": {},
        "extended_trailers": {},
        "web_url": _web(question, f"commit/{commit.sha}"),
    }


def _request(question: Question, pull: Pull) -> dict:
    merged, squashed = pull.merged, None
    commit = question.state.commits.get(merged.sha) if merged else None
    # A merge commit has two parents; a squashed one is on the target branch by itself.
    if commit and len(commit.parents) < 2:
        squashed = commit.sha
    return {
        "id": 5000 + pull.number,
        "iid": pull.number,
        "project_id": question.state.project_id,
        "title": pull.title,
        "description": "",
        "state": "merged" if merged else "closed" if pull.closed else "opened",
        "created_at": _at(pull.opened),
        "updated_at": _at(pull.updated),
        "merged_by": _user(question, merged.by) if merged else None,
        "merge_user": _user(question, merged.by) if merged else None,
        "merged_at": _at(merged.at) if merged else None,
        "closed_by": None,
        "closed_at": _at(pull.closed) if pull.closed else None,
        "target_branch": pull.base,
        "source_branch": pull.branch,
        "user_notes_count": 0,
        "upvotes": 0,
        "downvotes": 0,
        "author": _user(question, pull.author),
        "assignees": [],
        "assignee": None,
        "reviewers": [],
        "source_project_id": question.state.project_id,
        "target_project_id": question.state.project_id,
        "labels": [],
        "draft": pull.draft,
        "work_in_progress": pull.draft,
        "milestone": None,
        "merge_when_pipeline_succeeds": False,
        "merge_status": "can_be_merged",
        "detailed_merge_status": "not_open" if merged or pull.closed else "mergeable",
        "sha": pull.head,
        "merge_commit_sha": merged.sha if merged and not squashed else None,
        "squash_commit_sha": squashed,
        "squash": squashed is not None,
        "squash_on_merge": squashed is not None,
        "discussion_locked": None,
        "should_remove_source_branch": None,
        "force_remove_source_branch": True,
        "references": {
            "short": f"!{pull.number}",
            "relative": f"!{pull.number}",
            "full": f"{question.state.repository}!{pull.number}",
        },
        "web_url": _web(question, f"merge_requests/{pull.number}"),
        "has_conflicts": False,
        "blocking_discussions_resolved": True,
    }


def _approvals_of(question: Question, pull: Pull) -> list[Review]:
    """The approvals that stand: each person's last word, and none from before a push where pushes take them back."""
    last: dict[str, Review] = {}
    for review in sorted(pull.reviews, key=lambda review: review.at):
        if review.state != "commented":
            last[review.by] = review
    reset = question.state.reset_approvals_on_push
    return [
        review
        for review in last.values()
        if review.state == "approved" and not (reset and review.at < pull.pushes[-1].at)
    ]


def _approvals(question: Question, pull: Pull) -> Answer:
    given, required = _approvals_of(question, pull), question.state.approvals_required
    request = _request(question, pull)
    taken = ("id", "iid", "project_id", "title", "description", "state", "created_at", "updated_at", "merge_status")
    by = [{"user": _user(question, review.by)} for review in given]
    if question.state.approved_at:
        by = [entry | {"approved_at": _at(review.at)} for entry, review in zip(by, given)]
    said = {key: request[key] for key in taken}
    if question.state.premium:
        said |= {
            "approvals_required": required,
            "approvals_left": max(0, required - len(given)),
            "require_password_to_approve": False,
            "suggested_approvers": [],
            "approvers": [],
            "approver_groups": [],
            "approval_rules_left": [],
            "has_approval_rules": required > 0,
            "merge_request_approvers_available": True,
            "multiple_approval_rules_available": True,
            "invalid_approvers_rules": [],
        }
    return Answer(
        200,
        said
        | {
            # Without rules, one approval is enough, and none is needed.
            "approved": len(given) >= (required if question.state.premium else 1),
            "approved_by": by,
            "user_has_approved": False,
            "user_can_approve": False,
        },
    )


def _approval_state(question: Question, pull: Pull) -> Answer:
    if not question.state.premium:
        return Answer(404, {"error": "404 Not Found"})
    given, required = _approvals_of(question, pull), question.state.approvals_required
    users = [_user(question, review.by) for review in given]
    rule = {
        "id": 1,
        "name": "All Members",
        "rule_type": "any_approver",
        "report_type": None,
        "eligible_approvers": [],
        "approvals_required": required,
        "users": [],
        "groups": [],
        "contains_hidden_groups": False,
        "section": None,
        "source_rule": None,
        "overridden": False,
        "code_owner": False,
        "approved_by": users,
        "approved": len(given) >= required,
    }
    return Answer(200, {"approval_rules_overwritten": False, "rules": [rule]})


def _versions(question: Question, pull: Pull) -> Answer:
    first = question.state.commits.get(pull.own()[0])
    base = first.parents[0] if first and first.parents else None
    versions = [
        {
            "id": pull.number * 100 + number,
            "head_commit_sha": push.sha,
            "base_commit_sha": base,
            "start_commit_sha": base,
            "created_at": _at(push.at),
            "merge_request_id": 5000 + pull.number,
            "state": "collected",
            "real_size": "1",
            "patch_id_sha": None,
        }
        for number, push in enumerate(pull.pushes)
    ]
    return _paged(question, versions[::-1])


def _notes(question: Question, pull: Pull) -> Answer:
    words = {
        "approved": "approved this merge request",
        "dismissed": "unapproved this merge request",
        "changes_requested": "requested changes",
    }
    said = [(push.at, pull.author, "added 1 commit") for push in pull.pushes[1:]]
    said += [(review.at, review.by, words[review.state]) for review in pull.reviews if review.state in words]
    notes = [
        {
            "id": pull.number * 1000 + number,
            "type": None,
            "body": body,
            "attachment": None,
            "author": _user(question, by),
            "created_at": _at(at),
            "updated_at": _at(at),
            "system": True,
            "noteable_id": 5000 + pull.number,
            "noteable_type": "MergeRequest",
            "project_id": question.state.project_id,
            "resolvable": False,
            "confidential": False,
            "internal": False,
            "noteable_iid": pull.number,
        }
        for number, (at, by, body) in enumerate(sorted(said))
    ]
    return _paged(question, notes if question.query.get("sort") == "asc" else notes[::-1])


def _status(question: Question, check: Check) -> dict:
    number = question.state.number_of(check)
    return {
        "id": number,
        "sha": check.sha,
        "ref": "main",
        "status": _STATUS.get(check.result, check.result),
        "name": check.name,
        "target_url": _web(question, f"jobs/{number}"),
        "description": None,
        "created_at": _at(check.at),
        "started_at": None if check.result == "queued" else _at(check.at),
        "finished_at": None if check.running else _at(check.ended or check.at),
        "allow_failure": False,
        "coverage": None,
        "pipeline_id": 300,
        "author": _user(question, "ci"),
    }


def _statuses(question: Question, commit: Commit) -> Answer:
    every = question.query.get("all", "false") in ("true", "1", "yes")
    found = [_status(question, check) for check in question.state.checks_of(commit.sha, latest=not every)]
    if name := question.query.get("name"):
        found = [status for status in found if status["name"] == name]
    return _paged(question, found)


def _pipeline(question: Question, sha: str) -> dict | None:
    latest = question.state.checks_of(sha, latest=True)
    if not latest:
        return None
    states = {_STATUS.get(check.result, check.result) for check in latest}
    order = ("running", "pending", "failed", "canceled", "success", "skipped")
    # Each commit has one pipeline; its number says which.
    number = 300 + list(question.state.commits).index(sha)
    return {
        "id": number,
        "iid": number - 299,
        "project_id": question.state.project_id,
        "sha": sha,
        "ref": "main",
        "status": next(state for state in order if state in states),
        "source": "push",
        "created_at": _at(latest[-1].at),
        "updated_at": _at(latest[0].at),
        "web_url": _web(question, f"pipelines/{number}"),
        "name": None,
    }


def _pipelines(question: Question) -> Answer:
    found = [_pipeline(question, sha) for sha in question.state.commits]
    wanted = question.query.get("sha")
    return _paged(question, [p for p in reversed(found) if p and wanted in (None, p["sha"])])


def _jobs(question: Question, number: str) -> Answer:
    shas, place = list(question.state.commits), int(number) - 300
    pipeline = _pipeline(question, shas[place]) if 0 <= place < len(shas) else None
    if pipeline is None:
        return _error(404, "404 Not found")
    retried = question.query.get("include_retried", "false") == "true"
    checks = question.state.checks_of(pipeline["sha"], latest=not retried)
    kept = ("id", "name", "status", "ref", "created_at", "started_at", "finished_at", "allow_failure", "coverage")
    jobs = []
    for check in checks:
        status = _status(question, check)
        jobs.append(
            {key: status[key] for key in kept}
            | {
                "stage": "test",
                "tag": False,
                "pipeline": {key: pipeline[key] for key in ("id", "project_id", "ref", "sha", "status")},
                "web_url": status["target_url"],
                "user": status["author"],
            }
        )
    return _paged(question, jobs)


def _of_commit(make):
    def route(question: Question, name: str) -> Answer:
        commit = question.state.commit(name)
        return _error(404, "404 Commit Not Found") if commit is None else make(question, commit)

    return route


def _of_request(make):
    def route(question: Question, number: str) -> Answer:
        pull = question.state.pull(int(number))
        return _error(404, "404 Not found") if pull is None else make(question, pull)

    return route


def _refs(question: Question, commit: Commit) -> Answer:
    refs = [{"type": "branch", "name": name} for name in question.state.branches_with(commit.sha)]
    return _paged(question, refs if question.query.get("type", "all") in ("branch", "all") else [])


def _branch(question: Question, name: str) -> Answer:
    head = question.state.commits.get(question.state.branches.get(name, ""))
    if head is None:
        return _error(404, "404 Branch Not Found")
    said = {"name": name, "commit": _commit(question, head), "merged": False, "protected": True, "default": name == "main"}
    rights = {"developers_can_push": False, "developers_can_merge": False, "can_push": False}
    return Answer(200, said | rights | {"web_url": _web(question, f"tree/{name}")})


def _commits(question: Question) -> Answer:
    start = question.state.commit(question.query.get("ref_name", "main"))
    if start is None:
        return _error(404, "404 Tree Not Found")
    return _paged(question, [_commit(question, c) for c in question.state.history(start.sha)])


def _compare(question: Question) -> Answer:
    for name in ("from", "to"):
        if name not in question.query:
            return Answer(400, {"error": f"{name} is missing"})
    start, end = (question.state.commit(question.query[name]) for name in ("from", "to"))
    if start is None or end is None:
        return _error(404, "404 Ref Not Found")
    commits = [_commit(question, c) for c in question.state.only_in(end.sha, start.sha)]
    return Answer(
        200,
        {
            "commit": commits[-1] if commits else None,
            "commits": commits,
            "diffs": [],
            "compare_timeout": False,
            "compare_same_ref": start == end,
            "web_url": _web(question, f"compare/{start.sha}...{end.sha}"),
        },
    )


_COMMITS = r"/repository/commits"
_ROUTES = (
    (_COMMITS, _commits),
    (rf"{_COMMITS}/([^/]+)", _of_commit(lambda q, c: Answer(200, _commit(q, c) | {"stats": {"additions": 1, "deletions": 1, "total": 2}, "status": (_pipeline(q, c.sha) or {}).get("status"), "project_id": q.state.project_id, "last_pipeline": _pipeline(q, c.sha)}))),
    (rf"{_COMMITS}/([^/]+)/refs", _of_commit(_refs)),
    (rf"{_COMMITS}/([^/]+)/statuses", _of_commit(_statuses)),
    (
        rf"{_COMMITS}/([^/]+)/merge_requests",
        _of_commit(lambda q, c: _paged(q, [_request(q, p) for p in q.state.pulls if p.holds(c.sha)])),
    ),
    (r"/repository/branches/([^/]+)", _branch),
    (r"/repository/compare", _compare),
    (r"/merge_requests/(\d+)", _of_request(lambda q, p: Answer(200, _request(q, p)))),
    (r"/merge_requests/(\d+)/approvals", _of_request(_approvals)),
    (r"/merge_requests/(\d+)/approval_state", _of_request(_approval_state)),
    (r"/merge_requests/(\d+)/versions", _of_request(_versions)),
    (r"/merge_requests/(\d+)/notes", _of_request(_notes)),
    (
        r"/merge_requests/(\d+)/commits",
        _of_request(lambda q, p: _paged(q, [_commit(q, q.state.commits[s]) for s in reversed(p.own()) if s in q.state.commits])),
    ),
    (r"/pipelines", _pipelines),
    (r"/pipelines/(\d+)/jobs", _jobs),
)
