"""The database's schema, as a list of migrations that go up and down."""

from dataclasses import dataclass

import psycopg2


@dataclass(frozen=True)
class Migration:
    """One step of the schema."""

    name: str
    kind: str
    up: str
    down: str


MIGRATIONS = (
    Migration(
        "0001-users",
        "expand",
        "CREATE TABLE users (name text PRIMARY KEY, password text NOT NULL)",
        "DROP TABLE users",
    ),
    Migration(
        "0002-user-email",
        "expand",
        "ALTER TABLE users ADD COLUMN email text",
        "ALTER TABLE users DROP COLUMN email",
    ),
)


class Schema:
    """The schema of one database."""

    def __init__(self, database: str):
        self._connection = psycopg2.connect(database, connect_timeout=5)
        with self._connection, self._connection.cursor() as cursor:
            # Two at once would apply a migration twice.
            cursor.execute("SELECT pg_advisory_lock(7276)")
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations "
                "(name text PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())"
            )

    def applied(self) -> list[str]:
        """What has been applied, in order."""
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute("SELECT name FROM schema_migrations ORDER BY name")
            return [name for (name,) in cursor.fetchall()]

    def pending(self) -> list[Migration]:
        """What has not been applied, in order."""
        done = set(self.applied())
        return [migration for migration in MIGRATIONS if migration.name not in done]

    def upgrade(self) -> list[str]:
        """Applies all that is pending, each in its own transaction."""
        names = []
        for migration in self.pending():
            with self._connection, self._connection.cursor() as cursor:
                cursor.execute(migration.up)
                cursor.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (migration.name,))
            names.append(migration.name)
        return names

    def downgrade(self, count: int) -> list[str]:
        """Takes the last `count` back, the newest first."""
        known = {migration.name: migration for migration in MIGRATIONS}
        names = []
        for name in list(reversed(self.applied()))[:count]:
            if name not in known:
                raise SystemExit(f"this release does not know the migration {name} and can't take it back")
            with self._connection, self._connection.cursor() as cursor:
                cursor.execute(known[name].down)
                cursor.execute("DELETE FROM schema_migrations WHERE name = %s", (name,))
            names.append(name)
        return names
