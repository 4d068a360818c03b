"""Every migration that any release has. Which of them a release has, its own file says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Migration:
    """One step of the schema, up and down."""

    name: str
    #: `expand`: the code before it runs on. `reversible`: it does not, but `down` loses nothing.
    #: `irreversible`: `down` gives the old form back, and not the data.
    kind: str
    up: str
    down: str


_ALL = (
    Migration(
        "0001-users",
        "expand",
        "CREATE TABLE users (name text PRIMARY KEY, password text NOT NULL)",
        "DROP TABLE users",
    ),
    Migration(
        "0002-user-email",
        "expand",
        "ALTER TABLE users ADD COLUMN email text; UPDATE users SET email = name || '@example.com'",
        "ALTER TABLE users DROP COLUMN email",
    ),
    Migration(
        "0003-user-phone",
        "expand",
        "ALTER TABLE users ADD COLUMN phone text",
        "ALTER TABLE users DROP COLUMN phone",
    ),
    Migration(
        "0003-rename-email",
        "reversible",
        "ALTER TABLE users RENAME COLUMN email TO mail",
        "ALTER TABLE users RENAME COLUMN mail TO email",
    ),
    Migration(
        "0003-drop-email",
        "irreversible",
        "ALTER TABLE users DROP COLUMN email",
        "ALTER TABLE users ADD COLUMN email text",
    ),
)

BY_NAME = {migration.name: migration for migration in _ALL}
