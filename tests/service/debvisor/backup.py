"""Backups of the whole database, by pg_dump and pg_restore."""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path


@dataclass(frozen=True)
class Backup:
    """A backup as it lies on the disk."""

    tag: str
    path: Path

    def describe(self) -> str:
        """What it is, a line each."""
        content = self.path.read_bytes()
        created = datetime.fromtimestamp(self.path.stat().st_mtime, timezone.utc)
        return "\n".join(
            (
                f"backup: {self.tag}",
                f"path: {self.path}",
                f"size: {len(content)}",
                f"sha256: {hashlib.sha256(content).hexdigest()}",
                f"created: {created.isoformat(timespec='seconds').replace('+00:00', 'Z')}",
            )
        )


def _path(directory: Path, tag: str) -> Path:
    if not tag or "/" in tag or tag.startswith("."):
        raise SystemExit(f"{tag!r} is no tag: write letters, digits, '.', '-' and '_'")
    return directory / f"{tag}.dump"


def _run(*argv: str | Path) -> None:
    try:
        # What a restore drops on its way is no news.
        quiet = {**os.environ, "PGOPTIONS": "--client-min-messages=warning"}
        subprocess.run(argv, check=True, env=quiet)
    except FileNotFoundError:
        raise SystemExit(f"{argv[0]} is not here: install postgresql-client on this machine") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{argv[0]} failed with exit code {error.returncode}; see above") from None


def create(database: str, directory: Path, tag: str) -> Backup:
    """Makes a backup."""
    path = _path(directory, tag)
    if path.exists():
        raise SystemExit(f"there is a backup with the tag {tag} already: {path}")
    directory.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    _run("pg_dump", "--format=custom", f"--file={part}", database)
    with part.open("rb") as content:
        os.fsync(content.fileno())
    # A backup is there whole, or not at all.
    os.rename(part, path)
    return Backup(tag, path)


def restore(database: str, directory: Path, tag: str) -> Backup:
    """Puts the database back to what it was at the backup: all of it, or nothing."""
    path = _path(directory, tag)
    if not path.exists():
        raise SystemExit(f"there is no backup with the tag {tag} in {directory}")
    script = path.with_suffix(".sql")
    try:
        _run("pg_restore", "--no-owner", "--no-privileges", f"--file={script}", path)
        # What was made after the backup must go too, and must still be there where the backup can't be read in.
        empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        options = ["--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1", "--single-transaction"]
        _run("psql", *options, f"--command={empty}", f"--file={script}", database)
    finally:
        script.unlink(missing_ok=True)
    return Backup(tag, path)


def every(directory: Path) -> list[Backup]:
    """All that are there, by tag."""
    return [Backup(path.stem, path) for path in sorted(directory.glob("*.dump"))]
