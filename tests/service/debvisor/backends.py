"""PostgreSQL and Redis: one kept connection each, made anew when it breaks."""

import threading

import psycopg2
import redis
from psycopg2 import sql


class Backends:
    """What the service can't work without."""

    def __init__(self, database: str, cache: str):
        self._database = database
        self._lock = threading.Lock()
        self._connection = None
        self.cache = redis.Redis.from_url(cache, socket_timeout=1, socket_connect_timeout=1)

    def query(self, query: str | sql.Composed, arguments: tuple = ()) -> list[tuple]:
        """Asks the database."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = psycopg2.connect(
                        self._database, connect_timeout=2, application_name="debvisor"
                    )
                    self._connection.autocommit = True
                with self._connection.cursor() as cursor:
                    cursor.execute(query, arguments)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.Error:
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                raise

    def trouble(self) -> str | None:
        """Which of the two does not answer, and why."""
        try:
            self.query("SELECT 1")
        except psycopg2.Error as error:
            return f"database: {str(error).strip()}"
        try:
            self.cache.ping()
        except redis.RedisError as error:
            return f"cache: {error}"
        return None
