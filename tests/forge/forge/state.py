"""What a test says there is: commits, branches, pull requests in time, checks, faults."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Commit:
    """A commit."""

    sha: str
    at: str
    parents: tuple[str, ...] = ()
    message: str = "Change something"
    author: str = "ada"


@dataclass(frozen=True)
class Push:
    """A push to a pull request's branch: its new head."""

    at: str
    sha: str


@dataclass(frozen=True)
class Review:
    """A review: `approved`, `changes_requested`, `commented`, or one of the first two that was `dismissed` later."""

    by: str
    at: str
    state: str
    #: The commit that was looked at; the head at that time where it is not said.
    sha: str | None = None
    #: Gitea: whether the reviewer is one whose approval counts.
    official: bool = True


@dataclass(frozen=True)
class Merge:
    """A merge and the commit on the base branch that it made."""

    at: str
    sha: str
    by: str = "grace"


@dataclass(frozen=True)
class Pull:
    """A pull request, from its opening on."""

    number: int
    pushes: tuple[Push, ...]
    reviews: tuple[Review, ...] = ()
    merged: Merge | None = None
    closed: str | None = None
    title: str = "Change something"
    author: str = "ada"
    base: str = "main"
    branch: str = "change"
    draft: bool = False
    #: All its commits, where they are more than the heads that were pushed.
    commits: tuple[str, ...] = ()

    @property
    def opened(self) -> str:
        """When it was opened: with the first push."""
        return self.pushes[0].at

    @property
    def head(self) -> str:
        """Its last head."""
        return self.pushes[-1].sha

    @property
    def updated(self) -> str:
        """When something last happened."""
        last = [self.closed or "", self.merged.at if self.merged else ""]
        return max(last + [push.at for push in self.pushes] + [review.at for review in self.reviews])

    def holds(self, sha: str) -> bool:
        """Whether this commit came by this pull request."""
        made = {self.merged.sha} if self.merged else set()
        return sha in made | set(self.own())

    def own(self) -> list[str]:
        """The commits on its branch, the oldest first."""
        return list(self.commits) or list(dict.fromkeys(push.sha for push in self.pushes))

    def seen_by(self, review: Review) -> str:
        """The commit that a review looked at."""
        before = [push.sha for push in self.pushes if push.at <= review.at]
        return review.sha or (before or [self.pushes[0].sha])[-1]


@dataclass(frozen=True)
class Check:
    """One run of a check. GitHub calls it a check run, or, where `kind` is `status`, a commit status."""

    sha: str
    name: str
    at: str
    #: `queued`, `running`, or the end: `success`, `failure`, `cancelled`, `skipped`, `neutral`, `timed_out`, `error`.
    result: str = "success"
    kind: str = "run"
    ended: str | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.result in ("queued", "running")


@dataclass(frozen=True)
class Fault:
    """What is answered instead, to requests whose path and query this regular expression is found in."""

    path: str
    #: `hang`, `close`, `rate_limit`, `secondary_rate_limit`, `garbage`, or a status such as `500`.
    answer: str
    #: How often; always where it is not said.
    times: int | None = None
    #: Seconds until a rate limit ends.
    seconds: int = 60


@dataclass(frozen=True)
class State:
    """All of it."""

    repository: str
    commits: dict[str, Commit]
    branches: dict[str, str]
    token: str | None = None
    project_id: int = 17
    pulls: tuple[Pull, ...] = ()
    checks: tuple[Check, ...] = ()
    faults: tuple[Fault, ...] = ()
    #: Never more on one page than this, whatever is asked for.
    page_limit: int = 100
    approvals_required: int = 1
    #: GitLab: what its paid tiers have, such as approval rules.
    premium: bool = True
    reset_approvals_on_push: bool = False
    #: GitLab: whether approvals say when they were given, as they do since 18.
    approved_at: bool = True
    rate_limit: int = 5000
    _users: dict[str, int] = field(default_factory=dict)

    def commit(self, name: str) -> Commit | None:
        """A commit by its id, the beginning of its id, or a branch."""
        sha = self.branches.get(name.removeprefix("refs/heads/"), name)
        if sha in self.commits:
            return self.commits[sha]
        found = [commit for known, commit in self.commits.items() if len(sha) >= 7 and known.startswith(sha)]
        return found[0] if len(found) == 1 else None

    def history(self, sha: str) -> list[Commit]:
        """A commit and all before it, the newest first."""
        seen, ahead = {}, [sha]
        while ahead:
            commit = self.commits.get(ahead.pop())
            if commit and commit.sha not in seen:
                seen[commit.sha] = commit
                ahead.extend(commit.parents)
        return sorted(seen.values(), key=lambda commit: commit.at, reverse=True)

    def only_in(self, head: str, base: str) -> list[Commit]:
        """The commits of `head` that `base` has not, the oldest first."""
        known = {commit.sha for commit in self.history(base)}
        return [commit for commit in reversed(self.history(head)) if commit.sha not in known]

    def merge_base(self, one: str, other: str) -> Commit | None:
        """The newest commit that both have."""
        known = {commit.sha for commit in self.history(one)}
        return next((commit for commit in self.history(other) if commit.sha in known), None)

    def branches_with(self, sha: str) -> Iterator[str]:
        """The branches that hold a commit."""
        for name, head in self.branches.items():
            if any(commit.sha == sha for commit in self.history(head)):
                yield name

    def pull(self, number: int) -> Pull | None:
        """A pull request by its number."""
        return next((pull for pull in self.pulls if pull.number == number), None)

    def checks_of(self, sha: str, kind: str | None = None, latest: bool = False) -> list[Check]:
        """A commit's checks, the newest first; of each name only the last one where that is asked for."""
        found = [check for check in self.checks if check.sha == sha and kind in (None, check.kind)]
        found.sort(key=lambda check: check.at, reverse=True)
        if latest:
            found = list({check.name: check for check in reversed(found)}.values())[::-1]
        return found

    def number_of(self, check: Check) -> int:
        """A check's id."""
        return 1000 + self.checks.index(check)

    def user_id(self, name: str) -> int:
        """A user's id."""
        return self._users.setdefault(name, 100 + len(self._users))


class Wrong(Exception):
    """The state file is not as it must be."""


def load(path: Path) -> State:
    """Reads the state file."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        commits = [Commit(**{**c, "parents": tuple(c.get("parents", ()))}) for c in said.pop("commits")]
        pulls = [_pull(p) for p in said.pop("pulls", ())]
        return State(
            commits={commit.sha: commit for commit in commits},
            pulls=tuple(pulls),
            checks=tuple(Check(**c) for c in said.pop("checks", ())),
            faults=tuple(Fault(**f) for f in said.pop("faults", ())),
            **said,
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Wrong(f"{path}: {type(error).__name__}: {error}") from error


def _pull(said: dict) -> Pull:
    merged = said.get("merged")
    return Pull(
        **{
            **said,
            "pushes": tuple(Push(**p) for p in said["pushes"]),
            "reviews": tuple(Review(**r) for r in said.get("reviews", ())),
            "merged": Merge(**merged) if merged else None,
            "commits": tuple(said.get("commits", ())),
        }
    )
