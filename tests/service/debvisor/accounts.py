"""Users in PostgreSQL, sessions in Redis."""

import hashlib
import hmac
import secrets

from psycopg2 import sql

from debvisor.backends import Backends
from debvisor.release import Release

LIFETIME = 3600


def hashed(password: str, salt: bytes | None = None) -> str:
    """A password as it is stored."""
    salt = salt or secrets.token_bytes(16)
    key = hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=1)
    return f"{salt.hex()}:{key.hex()}"


def log_in(backends: Backends, name: str, password: str) -> str | None:
    """A session for the user, if the password is right."""
    rows = backends.query("SELECT password FROM users WHERE name = %s", (name,))
    if not rows:
        return None
    salt, _, _ = rows[0][0].partition(":")
    if not hmac.compare_digest(hashed(password, bytes.fromhex(salt)), rows[0][0]):
        return None
    session = secrets.token_urlsafe(24)
    backends.cache.setex(f"session:{session}", LIFETIME, name)
    return session


def user_of(backends: Backends, session: str | None) -> str | None:
    """Whose session it is."""
    name = backends.cache.get(f"session:{session}") if session else None
    return name.decode() if name else None


def log_out(backends: Backends, session: str | None) -> None:
    """Ends a session."""
    if session:
        backends.cache.delete(f"session:{session}")


def address_of(backends: Backends, release: Release, name: str) -> str | None:
    """A user's address, for a release whose code reads it; fails where its column is not there."""
    if release.address is None:
        return None
    # Until the column is made, the code does without it: it may run before its migration.
    if not backends.query("SELECT 1 FROM schema_migrations WHERE name = '0002-user-email'"):
        return None
    query = sql.SQL("SELECT {} FROM users WHERE name = %s").format(sql.Identifier(release.address))
    rows = backends.query(query, (name,))
    return rows[0][0] if rows else None
