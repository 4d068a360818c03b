"""Gitea's and Forgejo's API, version 1, as far as gates ask it. Shapes: their swagger description, `/api/swagger`."""

import re

from forge.answer import Answer, Question, page
from forge.state import Check, Commit, Pull, Review

PREFIX = "/api/v1"
_STATES = {
    "approved": "APPROVED",
    "changes_requested": "REQUEST_CHANGES",
    "commented": "COMMENT",
    # It keeps its state and is marked.
    "dismissed": "APPROVED",
}


def answer(question: Question) -> Answer:
    """Answers one question."""
    state = question.state
    if state.token is not None and question.token != state.token:
        if question.token is None:
            return _not_found(question)
        return Answer(401, {"message": "user does not exist [uid: 0, name: ]", "url": f"{question.origin}/api/swagger"})
    found = re.fullmatch(rf"{PREFIX}/repos/([^/]+/[^/]+)(/.*)?", question.path)
    if not found or found[1].lower() != state.repository.lower():
        return _not_found(question)
    rest = found[2] or ""
    for pattern, route in _ROUTES:
        if match := re.fullmatch(pattern, rest):
            return route(question, *match.groups())
    return _not_found(question)


def limited(question: Question, seconds: int, secondary: bool) -> Answer:
    """The answer beyond a rate limit. Neither forge has one of its own: it is a proxy's before it."""
    return Answer(429, "<html><title>429 Too Many Requests</title></html>\n", {"Retry-After": str(seconds)}, "text/html")


def _not_found(question: Question) -> Answer:
    said = {"errors": None, "message": "The target couldn't be found.", "url": f"{question.origin}/api/swagger"}
    return Answer(404, said)


def _paged(question: Question, items: list, wrap=lambda page: page.items) -> Answer:
    part = page(question, items, 30, 50, "limit")
    headers = {"X-Total-Count": str(part.total)}
    if part.links:
        headers["Link"] = part.links
    return Answer(200, wrap(part), headers)


def _api(question: Question, rest: str = "") -> str:
    return question.here(PREFIX, f"/repos/{question.state.repository}{rest}")


def _web(question: Question, rest: str) -> str:
    return f"{question.origin}/{question.state.repository}/{rest}"


def _user(question: Question, name: str) -> dict:
    return {
        "id": question.state.user_id(name),
        "login": name,
        "login_name": "",
        "full_name": name.capitalize(),
        "email": f"{name}@noreply.localhost",
        "avatar_url": f"{question.origin}/avatars/{name}",
        "html_url": f"{question.origin}/{name}",
        "language": "",
        "is_admin": False,
        "restricted": False,
        "active": False,
        "visibility": "public",
        "username": name,
    }


def _repository(question: Question) -> dict:
    owner, _, name = question.state.repository.partition("/")
    return {
        "id": question.state.project_id,
        "owner": _user(question, owner),
        "name": name,
        "full_name": question.state.repository,
        "private": True,
        "fork": False,
        "html_url": f"{question.origin}/{question.state.repository}",
        "url": _api(question),
        "default_branch": "main",
        "archived": False,
    }


def _commit(question: Question, commit: Commit) -> dict:
    person = {"name": commit.author.capitalize(), "email": f"{commit.author}@example.com", "date": commit.at}
    url = _api(question, f"/git/commits/{commit.sha}")
    return {
        "url": url,
        "sha": commit.sha,
        "created": commit.at,
        "html_url": _web(question, f"commit/{commit.sha}"),
        "commit": {
            "url": url,
            "author": person,
            "committer": person,
            "message": commit.message,
            "tree": {"url": _api(question, f"/git/trees/{commit.sha[::-1]}"), "sha": commit.sha[::-1], "created": commit.at},
            "verification": {"verified": False, "reason": "gpg.error.not_signed_commit", "signature": "", "signer": None, "payload": ""},
        },
        "author": _user(question, commit.author),
        "committer": _user(question, commit.author),
        "parents": [{"url": _api(question, f"/git/commits/{s}"), "sha": s, "created": "0001-01-01T00:00:00Z"} for s in commit.parents],
        "files": [],
        "stats": {"total": 2, "additions": 1, "deletions": 1},
    }


def _pull(question: Question, pull: Pull) -> dict:
    merged, repository = pull.merged, _repository(question)
    first = question.state.commits.get(pull.own()[0])
    base = first.parents[0] if first and first.parents else ""

    def side(ref: str, sha: str) -> dict:
        return {"label": ref, "ref": ref, "sha": sha, "repo_id": question.state.project_id, "repo": repository}

    return {
        "id": 5000 + pull.number,
        "url": _web(question, f"pulls/{pull.number}"),
        "number": pull.number,
        "user": _user(question, pull.author),
        "title": pull.title,
        "body": "",
        "labels": [],
        "milestone": None,
        "assignee": None,
        "assignees": None,
        "requested_reviewers": [],
        "state": "closed" if merged or pull.closed else "open",
        "draft": pull.draft,
        "is_locked": False,
        "comments": 0,
        "html_url": _web(question, f"pulls/{pull.number}"),
        "diff_url": _web(question, f"pulls/{pull.number}.diff"),
        "patch_url": _web(question, f"pulls/{pull.number}.patch"),
        "mergeable": not merged,
        "merged": merged is not None,
        "merged_at": merged.at if merged else None,
        "merge_commit_sha": merged.sha if merged else None,
        "merged_by": _user(question, merged.by) if merged else None,
        "allow_maintainer_edit": False,
        "base": side(pull.base, base),
        "head": side(pull.branch, pull.head),
        "merge_base": base,
        "due_date": None,
        "created_at": pull.opened,
        "updated_at": pull.updated,
        "closed_at": merged.at if merged else pull.closed,
        "pin_order": 0,
    }


def _review(question: Question, pull: Pull, number: int, review: Review) -> dict:
    seen = pull.seen_by(review)
    return {
        "id": number,
        "user": _user(question, review.by),
        "team": None,
        "state": _STATES[review.state],
        "body": "",
        "commit_id": seen,
        "stale": seen != pull.head,
        "official": review.official,
        "dismissed": review.state == "dismissed",
        "comments_count": 0,
        "submitted_at": review.at,
        "updated_at": review.at,
        "html_url": _web(question, f"pulls/{pull.number}#issuecomment-{number}"),
        "pull_request_url": _web(question, f"pulls/{pull.number}"),
    }


def _reviews(question: Question, pull: Pull) -> Answer:
    reviews = sorted(pull.reviews, key=lambda review: review.at)
    return _paged(question, [_review(question, pull, pull.number * 100 + n, r) for n, r in enumerate(reviews)])


def _state(check: Check) -> str:
    if check.running:
        return "pending"
    words = {"success": "success", "error": "error", "skipped": "skipped", "neutral": "warning"}
    return words.get(check.result, "failure")


def _status(question: Question, check: Check) -> dict:
    number = question.state.number_of(check)
    return {
        "id": number,
        "status": _state(check),
        "target_url": _web(question, f"actions/runs/1/jobs/{number}"),
        "description": "",
        "url": _api(question, f"/statuses/{check.sha}"),
        "context": check.name,
        "creator": _user(question, "ci"),
        "created_at": check.at,
        "updated_at": check.ended or check.at,
    }


def _combined(question: Question, commit: Commit) -> Answer:
    latest = question.state.checks_of(commit.sha, latest=True)
    states = {_state(check) for check in latest}
    order = ("error", "failure", "pending", "warning", "success", "skipped")
    return _paged(
        question,
        [_status(question, check) for check in latest],
        lambda part: {
            "state": next((state for state in order if state in states), ""),
            "sha": commit.sha,
            "total_count": part.total,
            "statuses": part.items,
            "repository": _repository(question),
            "commit_url": _api(question, f"/commits/{commit.sha}"),
            "url": _api(question, f"/commits/{commit.sha}/status"),
        },
    )


def _pull_of(question: Question, name: str) -> Answer:
    commit = question.state.commit(name)
    # The one that brought the commit to the base branch: only merged ones count.
    found = [p for p in question.state.pulls if commit and p.merged and p.merged.sha == commit.sha]
    return Answer(200, _pull(question, found[0])) if found else _not_found(question)


def _compare(question: Question, base_name: str, head_name: str) -> Answer:
    base, head = question.state.commit(base_name), question.state.commit(head_name)
    if base is None or head is None:
        return _not_found(question)
    commits = [_commit(question, c) for c in reversed(question.state.only_in(head.sha, base.sha))]
    return Answer(200, {"total_commits": len(commits), "commits": commits, "files": []})


def _commits(question: Question) -> Answer:
    start = question.state.commit(question.query.get("sha") or "main")
    if start is None:
        return _not_found(question)
    said = _paged(question, [_commit(question, c) for c in question.state.history(start.sha)])
    part = page(question, question.state.history(start.sha), 30, 50, "limit")
    said.headers |= {
        "X-Page": str(part.number),
        "X-PerPage": str(part.size),
        "X-Total": str(part.total),
        "X-PageCount": str(part.last),
        "X-HasMore": "true" if part.number < part.last else "false",
    }
    return said


def _branch(question: Question, name: str) -> Answer:
    head = question.state.commits.get(question.state.branches.get(name, ""))
    if head is None:
        return _not_found(question)
    commit = {"id": head.sha, "message": head.message, "url": _web(question, f"commit/{head.sha}"), "timestamp": head.at}
    rights = {"protected": True, "required_approvals": question.state.approvals_required, "enable_status_check": False}
    more = {"status_check_contexts": [], "user_can_push": False, "user_can_merge": False, "effective_branch_protection_name": name}
    return Answer(200, {"name": name, "commit": commit} | rights | more)


def _of_commit(make):
    def route(question: Question, name: str) -> Answer:
        commit = question.state.commit(name)
        return _not_found(question) if commit is None else make(question, commit)

    return route


def _of_pull(make):
    def route(question: Question, number: str) -> Answer:
        pull = question.state.pull(int(number))
        return _not_found(question) if pull is None else make(question, pull)

    return route


def _every_status(question: Question, commit: Commit) -> Answer:
    return _paged(question, [_status(question, check) for check in question.state.checks_of(commit.sha)])


_ROUTES = (
    (r"", lambda q: Answer(200, _repository(q))),
    (r"/commits", _commits),
    (r"/commits/([^/]+)/pull", _pull_of),
    (r"/commits/([^/]+)/status", _of_commit(_combined)),
    (r"/commits/([^/]+)/statuses", _of_commit(_every_status)),
    (r"/statuses/([^/]+)", _of_commit(_every_status)),
    (r"/git/commits/([^/]+)", _of_commit(lambda q, c: Answer(200, _commit(q, c)))),
    (r"/branches/(.+)", _branch),
    (r"/compare/(.+?)\.\.\.(.+)", _compare),
    (r"/pulls/(\d+)", _of_pull(lambda q, p: Answer(200, _pull(q, p)))),
    (r"/pulls/(\d+)/reviews", _of_pull(_reviews)),
    (
        r"/pulls/(\d+)/commits",
        _of_pull(lambda q, p: _paged(q, [_commit(q, q.state.commits[s]) for s in reversed(p.own()) if s in q.state.commits])),
    ),
)
