"""What was done to the data, written where no restore reaches: in a database of its own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

_TABLE = (
    "CREATE TABLE IF NOT EXISTS operations (id serial PRIMARY KEY, what text NOT NULL, arg text NOT NULL,"
    " at timestamptz NOT NULL DEFAULT clock_timestamp(), host text NOT NULL, done timestamptz)"
)


@contextmanager
def operation(database: str | None, what: str, arg: str) -> Iterator[None]:
    """Leaves a row when the operation begins, and completes it when it is done."""
    if database is None:
        yield
        return
    connection = psycopg2.connect(database, connect_timeout=5, application_name="debvisor-cli")
    # Each row counts from the moment it is written, whatever becomes of the program that wrote it.
    connection.autocommit = True
    with connection.cursor() as cursor:
        # Two that create the table at once would both fail without this.
        cursor.execute("SELECT pg_advisory_lock(7277)")
        cursor.execute(_TABLE)
        cursor.execute(
            "INSERT INTO operations (what, arg, host) VALUES (%s, %s, %s) RETURNING id",
            (what, arg, socket.gethostname()),
        )
        (row,) = cursor.fetchone()
        cursor.execute("SELECT pg_advisory_unlock(7277)")
        yield
        cursor.execute("UPDATE operations SET done = clock_timestamp() WHERE id = %s", (row,))
    connection.close()
