"""Backups of the whole database, by pg_dump and pg_restore."""

import hashlib
import os
import subprocess
from pathlib import Path


def path_of(directory: Path, tag: str) -> Path:
    """Where the backup with this tag lies."""
    if not tag or "/" in tag or tag.startswith("."):
        raise SystemExit(f"{tag!r} is no tag: write letters, digits, '.', '-' and '_'")
    return directory / f"{tag}.dump"


def create(database: str, directory: Path, tag: str) -> str:
    """Makes a backup and says what it is."""
    path = path_of(directory, tag)
    if path.exists():
        raise SystemExit(f"there is a backup with the tag {tag} already: {path}")
    directory.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    subprocess.run(["pg_dump", "--format=custom", f"--file={part}", database], check=True)
    content = part.read_bytes()
    os.rename(part, path)
    return f"backup {tag}: {path}, {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"


def restore(database: str, directory: Path, tag: str) -> str:
    """Puts the database back to what it was at the backup."""
    path = path_of(directory, tag)
    if not path.exists():
        raise SystemExit(f"there is no backup with the tag {tag} in {directory}")
    # What was made after the backup must go too, which --clean alone does not see to.
    empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    subprocess.run(["psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--command={empty}", database], check=True)
    subprocess.run(
        ["pg_restore", "--exit-on-error", "--no-owner", "--single-transaction", f"--dbname={database}", path],
        check=True,
    )
    return f"restored {tag} from {path}"
