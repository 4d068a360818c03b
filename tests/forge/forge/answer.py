"""What the three APIs have in common: a question, an answer, a list that is cut into pages."""

import json
from dataclasses import dataclass, field
from urllib.parse import urlencode

from forge.state import State


@dataclass(frozen=True)
class Question:
    """A request, taken apart."""

    state: State
    #: Scheme and host, as the client wrote them.
    origin: str
    path: str
    query: dict[str, str]
    token: str | None
    headers: dict[str, str]

    def here(self, prefix: str, rest: str = "") -> str:
        """An address at this forge."""
        return f"{self.origin}{prefix}{rest}"


@dataclass
class Answer:
    """A response."""

    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json; charset=utf-8"

    def bytes(self) -> bytes:
        """The body as it is sent."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    items: list
    number: int
    size: int
    total: int
    links: str

    @property
    def last(self) -> int:
        """The last page's number; 1 for an empty list."""
        return max(1, -(-self.total // self.size))


def page(question: Question, items: list, default: int, most: int, size_key: str = "per_page") -> Page:
    """The page that is asked for."""
    size = _number(question.query.get(size_key), default)
    size = min(size, most, question.state.page_limit)
    number = _number(question.query.get("page"), 1)
    last = max(1, -(-len(items) // size))
    near = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
    if number <= 1:
        del near["prev"], near["first"]
    if number >= last:
        del near["next"], near["last"]

    def link(to: int) -> str:
        query = urlencode({**question.query, size_key: size, "page": to})
        return f"{question.origin}{question.path}?{query}"

    links = ", ".join(f'<{link(to)}>; rel="{rel}"' for rel, to in near.items())
    return Page(items[(number - 1) * size : number * size], number, size, len(items), links)


def _number(text: str | None, default: int) -> int:
    """A number of at least 1; forges take the default for what is none."""
    return int(text) if text and text.isdigit() and int(text) > 0 else default
