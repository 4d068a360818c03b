"""Which release this is: `release.json` beside the package."""

import json
from dataclasses import dataclass
from pathlib import Path

from debvisor.settings import Settings


@dataclass(frozen=True)
class Release:
    """A release and what is wrong with it."""

    version: str
    ready: bool

    def defect(self, settings: Settings) -> str | None:
        """Why this release can't work on this host, if it can't."""
        if self.ready or self.version in (settings.knob("cured") or "").split():
            return None
        return f"release {self.version} has a defect and never becomes ready"


def load() -> Release:
    """Reads the release's own file."""
    path = Path(__file__).resolve().parent.parent / "release.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    return Release(version=said["version"], ready=said["ready"])
