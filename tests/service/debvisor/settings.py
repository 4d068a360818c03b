"""What the environment says."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where to listen, what to connect to."""

    host: str
    port: int
    database: str
    audit: str | None
    redis: str
    knobs: Path
    backups: Path

    def knob(self, name: str) -> str | None:
        """The content of a knob, if this host has it."""
        try:
            return (self.knobs / name).read_text(encoding="utf-8").strip()
        except OSError:
            return None


def from_environment() -> Settings:
    """Reads the settings."""
    host, _, port = os.environ.get("DEBVISOR_LISTEN", "127.0.0.1:8080").rpartition(":")
    return Settings(
        host=host,
        port=int(port),
        database=os.environ.get("DEBVISOR_DATABASE", "postgresql:///debvisor"),
        audit=os.environ.get("DEBVISOR_AUDIT"),
        redis=os.environ.get("DEBVISOR_REDIS", "redis://127.0.0.1:6379/0"),
        knobs=Path(os.environ.get("DEBVISOR_KNOBS", "/etc/debvisor/knobs")),
        backups=Path(os.environ.get("DEBVISOR_BACKUPS", "/var/lib/debvisor/backups")),
    )
