"""GitHub's REST API, as far as gates ask it. Shapes: https://docs.github.com/rest, version 2022-11-28."""

import re
import time

from forge.answer import Answer, Question, page
from forge.state import Check, Commit, Pull, Review

#: GitHub Enterprise Server has its API below this path, github.com on a host of its own.
PREFIX = "/api/v3"
DOCS = "https://docs.github.com/rest"
_STATES = {
    "approved": "APPROVED",
    "changes_requested": "CHANGES_REQUESTED",
    "commented": "COMMENTED",
    "dismissed": "DISMISSED",
}


def answer(question: Question) -> Answer:
    """Answers one question."""
    state = question.state
    if not question.headers.get("user-agent"):
        return Answer(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.", kind="text/html")
    if state.token is not None and question.token != state.token:
        # Who gives no token does not learn that a private repository is there.
        return _error(404, "Not Found") if question.token is None else _error(401, "Bad credentials")
    found = re.fullmatch(rf"(?:{PREFIX})?/repos/([^/]+/[^/]+)(/.*)?", question.path)
    if not found or found[1].lower() != state.repository.lower():
        return _limits(question, _error(404, "Not Found"))
    rest = found[2] or ""
    for pattern, route in _ROUTES:
        if match := re.fullmatch(pattern, rest):
            return _limits(question, route(question, *match.groups()))
    return _limits(question, _error(404, "Not Found"))


def limited(question: Question, seconds: int, secondary: bool) -> Answer:
    """The answer beyond a rate limit."""
    if secondary:
        body = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
        headers = {"retry-after": str(seconds)}
        return _limits(question, Answer(403, {**body, "documentation_url": f"{DOCS}/overview/rate-limits-for-the-rest-api"}, headers))
    body = {"message": "API rate limit exceeded for user ID 100.", "documentation_url": f"{DOCS}/overview/rate-limits-for-the-rest-api"}
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + seconds)}
    return _limits(question, Answer(403, body, headers))


def _limits(question: Question, said: Answer) -> Answer:
    limit = question.state.rate_limit
    said.headers = {
        "x-github-api-version-selected": "2022-11-28",
        "x-github-media-type": "github.v3; format=json",
        "x-github-request-id": "C0DE:1:2:3:4",
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(limit - 1),
        "x-ratelimit-used": "1",
        "x-ratelimit-reset": str(int(time.time()) + 3600),
        "x-ratelimit-resource": "core",
        **said.headers,
    }
    return said


def _error(status: int, message: str) -> Answer:
    return Answer(status, {"message": message, "documentation_url": DOCS, "status": str(status)})


def _paged(question: Question, items: list, wrap=lambda page: page.items) -> Answer:
    part = page(question, items, 30, 100)
    return Answer(200, wrap(part), {"link": part.links} if part.links else {})


def _repo(question: Question) -> str:
    return question.here(PREFIX, f"/repos/{question.state.repository}")


def _user(question: Question, name: str) -> dict:
    return {
        "login": name,
        "id": question.state.user_id(name),
        "node_id": f"U_{name}",
        "avatar_url": f"{question.origin}/avatars/{name}",
        "html_url": f"{question.origin}/{name}",
        "url": question.here(PREFIX, f"/users/{name}"),
        "type": "User",
        "site_admin": False,
    }


def _repository(question: Question) -> dict:
    owner, _, name = question.state.repository.partition("/")
    return {
        "id": question.state.project_id,
        "name": name,
        "full_name": question.state.repository,
        "private": True,
        "owner": _user(question, owner),
        "html_url": f"{question.origin}/{question.state.repository}",
        "url": _repo(question),
        "fork": False,
        "default_branch": "main",
    }


def _commit(question: Question, commit: Commit) -> dict:
    person = {"name": commit.author, "email": f"{commit.author}@example.com", "date": commit.at}
    url = f"{_repo(question)}/commits/{commit.sha}"
    return {
        "sha": commit.sha,
        "node_id": f"C_{commit.sha[:12]}",
        "commit": {
            "author": person,
            "committer": person,
            "message": commit.message,
            "tree": {"sha": commit.sha[::-1], "url": f"{_repo(question)}/git/trees/{commit.sha[::-1]}"},
            "url": f"{_repo(question)}/git/commits/{commit.sha}",
            "comment_count": 0,
            "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None},
        },
        "url": url,
        "html_url": f"{question.origin}/{question.state.repository}/commit/{commit.sha}",
        "comments_url": f"{url}/comments",
        "author": _user(question, commit.author),
        "committer": _user(question, commit.author),
        "parents": [{"sha": sha, "url": f"{_repo(question)}/commits/{sha}"} for sha in commit.parents],
    }


def _pull(question: Question, pull: Pull, whole: bool = False) -> dict:
    url, merged = f"{_repo(question)}/pulls/{pull.number}", pull.merged
    repository = _repository(question)

    def side(ref: str, sha: str) -> dict:
        owner = question.state.repository.partition("/")[0]
        return {"label": f"{owner}:{ref}", "ref": ref, "sha": sha, "user": _user(question, owner), "repo": repository}

    base = question.state.commits.get(pull.own()[0])
    said = {
        "url": url,
        "id": 5000 + pull.number,
        "node_id": f"PR_{pull.number}",
        "html_url": f"{question.origin}/{question.state.repository}/pull/{pull.number}",
        "number": pull.number,
        "state": "closed" if merged or pull.closed else "open",
        "locked": False,
        "title": pull.title,
        "user": _user(question, pull.author),
        "body": None,
        "created_at": pull.opened,
        "updated_at": pull.updated,
        "closed_at": merged.at if merged else pull.closed,
        "merged_at": merged.at if merged else None,
        "merge_commit_sha": merged.sha if merged else None,
        "assignees": [],
        "requested_reviewers": [],
        "labels": [],
        "draft": pull.draft,
        "commits_url": f"{url}/commits",
        "head": side(pull.branch, pull.head),
        "base": side(pull.base, base.parents[0] if base and base.parents else question.state.branches.get(pull.base, "")),
        "author_association": "MEMBER",
        "auto_merge": None,
    }
    if whole:
        said |= {
            "merged": merged is not None,
            "mergeable": None if merged else True,
            "mergeable_state": "unknown" if merged else "clean",
            "merged_by": _user(question, merged.by) if merged else None,
            "comments": 0,
            "review_comments": 0,
            "commits": len(pull.own()),
            "additions": 1,
            "deletions": 1,
            "changed_files": 1,
        }
    return said


def _review(question: Question, pull: Pull, number: int, review: Review) -> dict:
    url = f"{_repo(question)}/pulls/{pull.number}"
    page_of = f"{question.origin}/{question.state.repository}/pull/{pull.number}#pullrequestreview-{number}"
    return {
        "id": number,
        "node_id": f"PRR_{number}",
        "user": _user(question, review.by),
        "body": "",
        "state": _STATES[review.state],
        "html_url": page_of,
        "pull_request_url": url,
        "author_association": "MEMBER",
        "_links": {"html": {"href": page_of}, "pull_request": {"href": url}},
        "submitted_at": review.at,
        "commit_id": pull.seen_by(review),
    }


def _run(question: Question, check: Check) -> dict:
    number = question.state.number_of(check)
    status = {"queued": "queued", "running": "in_progress"}.get(check.result, "completed")
    return {
        "id": number,
        "name": check.name,
        "node_id": f"CR_{number}",
        "head_sha": check.sha,
        "external_id": "",
        "url": f"{_repo(question)}/check-runs/{number}",
        "html_url": f"{question.origin}/{question.state.repository}/runs/{number}",
        "details_url": f"{question.origin}/{question.state.repository}/actions/runs/1/job/{number}",
        "status": status,
        "conclusion": None if check.running else check.result.replace("error", "failure"),
        "started_at": check.at,
        "completed_at": None if check.running else check.ended or check.at,
        "output": {"title": None, "summary": None, "text": None, "annotations_count": 0},
        "check_suite": {"id": 1},
        "app": {"id": 15368, "slug": "github-actions", "name": "GitHub Actions"},
        "pull_requests": [],
    }


def _status(question: Question, check: Check) -> dict:
    number = question.state.number_of(check)
    return {
        "url": f"{_repo(question)}/statuses/{check.sha}",
        "avatar_url": f"{question.origin}/avatars/ci",
        "id": number,
        "node_id": f"SC_{number}",
        "state": _status_state(check),
        "description": None,
        "target_url": f"{question.origin}/ci/{number}",
        "context": check.name,
        "created_at": check.at,
        "updated_at": check.ended or check.at,
    }


def _status_state(check: Check) -> str:
    if check.running:
        return "pending"
    return {"success": "success", "error": "error"}.get(check.result, "failure")


def _one_commit(question: Question, name: str) -> Answer:
    commit = question.state.commit(name)
    if commit is None:
        return _error(422, f"No commit found for SHA: {name}")
    more = {"stats": {"total": 2, "additions": 1, "deletions": 1}, "files": []}
    return Answer(200, _commit(question, commit) | more)


def _commits(question: Question) -> Answer:
    start = question.state.commit(question.query.get("sha", "main"))
    if start is None:
        return _error(404, "Not Found")
    return _paged(question, [_commit(question, c) for c in question.state.history(start.sha)])


def _branch(question: Question, name: str) -> Answer:
    head = question.state.commits.get(question.state.branches.get(name, ""))
    if head is None:
        return _error(404, "Branch not found")
    return Answer(200, {"name": name, "commit": _commit(question, head), "protected": True})


def _compare(question: Question, base_name: str, head_name: str) -> Answer:
    state = question.state
    base, head = state.commit(base_name), state.commit(head_name)
    if base is None or head is None:
        return _error(404, "Not Found")
    ahead, behind = state.only_in(head.sha, base.sha), state.only_in(base.sha, head.sha)
    status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
    common = state.merge_base(base.sha, head.sha)
    url = f"{_repo(question)}/compare/{base_name}...{head_name}"

    def wrap(part) -> dict:
        return {
            "url": url,
            "html_url": f"{question.origin}/{state.repository}/compare/{base_name}...{head_name}",
            "permalink_url": url,
            "diff_url": f"{url}.diff",
            "patch_url": f"{url}.patch",
            "base_commit": _commit(question, base),
            "merge_base_commit": _commit(question, common) if common else None,
            "status": status.get((bool(ahead), bool(behind)), "diverged"),
            "ahead_by": len(ahead),
            "behind_by": len(behind),
            "total_commits": len(ahead),
            "commits": part.items,
            "files": [],
        }

    return _paged(question, [_commit(question, c) for c in ahead], wrap)


def _pulls_of(question: Question, name: str) -> Answer:
    commit = question.state.commit(name)
    if commit is None:
        return _error(422, f"No commit found for SHA: {name}")
    return _paged(question, [_pull(question, p) for p in question.state.pulls if p.holds(commit.sha)])


def _of_pull(make):
    def route(question: Question, number: str) -> Answer:
        pull = question.state.pull(int(number))
        return _error(404, "Not Found") if pull is None else make(question, pull)

    return route


def _reviews(question: Question, pull: Pull) -> Answer:
    first = pull.number * 100
    return _paged(question, [_review(question, pull, first + n, r) for n, r in enumerate(sorted(pull.reviews, key=lambda r: r.at))])


def _of_commit(make):
    def route(question: Question, name: str) -> Answer:
        commit = question.state.commit(name)
        return _error(422, f"No commit found for SHA: {name}") if commit is None else make(question, commit)

    return route


def _check_runs(question: Question, commit: Commit) -> Answer:
    runs = question.state.checks_of(commit.sha, "run", question.query.get("filter", "latest") == "latest")
    runs = [_run(question, check) for check in runs]
    for key, name in (("check_name", "name"), ("status", "status")):
        if wanted := question.query.get(key):
            runs = [run for run in runs if run[name] == wanted]
    return _paged(question, runs, lambda part: {"total_count": part.total, "check_runs": part.items})


def _combined(question: Question, commit: Commit) -> Answer:
    latest = question.state.checks_of(commit.sha, "status", latest=True)
    states = {_status_state(check) for check in latest}
    worst = "failure" if states & {"failure", "error"} else "pending" if "pending" in states or not states else "success"
    return _paged(
        question,
        [_status(question, check) for check in latest],
        lambda part: {
            "state": worst,
            "statuses": part.items,
            "sha": commit.sha,
            "total_count": part.total,
            "repository": _repository(question),
            "commit_url": f"{_repo(question)}/commits/{commit.sha}",
            "url": f"{_repo(question)}/commits/{commit.sha}/status",
        },
    )


_ROUTES = (
    (r"", lambda q: Answer(200, _repository(q))),
    (r"/commits", _commits),
    (r"/commits/([^/]+)/pulls", _pulls_of),
    (r"/commits/([^/]+)/check-runs", _of_commit(_check_runs)),
    (r"/commits/([^/]+)/status", _of_commit(_combined)),
    (
        r"/commits/([^/]+)/statuses",
        _of_commit(lambda q, c: _paged(q, [_status(q, check) for check in q.state.checks_of(c.sha, "status")])),
    ),
    (r"/commits/([^/]+)", _one_commit),
    (r"/branches/(.+)", _branch),
    (r"/compare/(.+)\.\.\.(.+)", _compare),
    (r"/pulls/(\d+)", _of_pull(lambda q, pull: Answer(200, _pull(q, pull, whole=True)))),
    (r"/pulls/(\d+)/reviews", _of_pull(_reviews)),
    (
        r"/pulls/(\d+)/commits",
        _of_pull(lambda q, p: _paged(q, [_commit(q, q.state.commits[sha]) for sha in p.own() if sha in q.state.commits])),
    ),
)
