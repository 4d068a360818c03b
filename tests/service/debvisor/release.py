"""Which release this is: `release.json` beside the package, or the file that `DEBVISOR_RELEASE` names."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from debvisor.settings import Settings


@dataclass(frozen=True)
class Release:
    """A release, what it needs, and what is wrong with it."""

    version: str
    #: Whether it ever becomes ready.
    ready: bool
    #: The migrations that it has, in order.
    migrations: tuple[str, ...]
    #: The column of `users` from which its code reads a user's address.
    address: str | None = None
    #: How many of a hundred requests it answers with 500.
    error_percent: float = 0
    #: How many times slower than it should be it answers.
    slow_factor: float = 1
    #: Seconds after which it dies.
    dies_after: float | None = None

    def defect(self, settings: Settings) -> str | None:
        """Why this release can't work on this host, if it can't."""
        if self.ready or self.version in (settings.knob("cured") or "").split():
            return None
        return f"release {self.version} has a defect and never becomes ready"


def load() -> Release:
    """Reads the release's own file."""
    beside = Path(__file__).resolve().parent.parent / "release.json"
    path = Path(os.environ.get("DEBVISOR_RELEASE", beside))
    said = json.loads(path.read_text(encoding="utf-8"))
    return Release(**{**said, "migrations": tuple(said["migrations"])})
