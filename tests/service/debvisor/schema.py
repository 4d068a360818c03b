"""The database's schema: which of a release's migrations are applied, and how they come and go."""

import psycopg2

from debvisor.migrations import BY_NAME, Migration


class Schema:
    """The schema of one database, as one release sees it."""

    def __init__(self, database: str, migrations: tuple[str, ...]):
        self._known = [BY_NAME[name] for name in migrations]
        self._connection = psycopg2.connect(database, connect_timeout=5, application_name="debvisor-cli")
        with self._connection, self._connection.cursor() as cursor:
            # Two at once would apply a migration twice.
            cursor.execute("SELECT pg_advisory_lock(7276)")
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations "
                "(name text PRIMARY KEY, applied timestamptz NOT NULL DEFAULT clock_timestamp())"
            )

    def applied(self) -> list[str]:
        """What has been applied, in order."""
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute("SELECT name FROM schema_migrations ORDER BY applied, name")
            return [name for (name,) in cursor.fetchall()]

    def pending(self) -> list[Migration]:
        """What this release has and the database has not, in order."""
        done = set(self.applied())
        return [migration for migration in self._known if migration.name not in done]

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
        """Takes the last `count` back, the newest first: all of them, or none."""
        known = {migration.name: migration for migration in self._known}
        names = list(reversed(self.applied()))[:count]
        if count < 1 or len(names) < count:
            raise SystemExit(f"{count} migrations can't be taken back, there are {len(names)}: none was")
        for name in names:
            if name not in known:
                raise SystemExit(
                    f"this release does not know the migration {name}, so none was taken back: "
                    "use the release that brought it"
                )
        with self._connection, self._connection.cursor() as cursor:
            for name in names:
                cursor.execute(known[name].down)
                cursor.execute("DELETE FROM schema_migrations WHERE name = %s", (name,))
        return names
