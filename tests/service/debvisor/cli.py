"""`debvisor-cli`: what an operator does to the service's data."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from debvisor import accounts, audit, backup, release, settings
from debvisor.hold import hold
from debvisor.schema import Schema


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="debvisor-cli")
    areas = parser.add_subparsers(dest="area", required=True)

    verbs = areas.add_parser("backup").add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create")
    create.add_argument("--type", choices=["full"], default="full")
    create.add_argument("--tag", required=True)
    verbs.add_parser("restore").add_argument("--tag", required=True)
    verbs.add_parser("list")

    verbs = areas.add_parser("db").add_subparsers(dest="verb", required=True)
    verbs.add_parser("check")
    verbs.add_parser("upgrade")
    verbs.add_parser("downgrade").add_argument("count", type=int, help="how many, as -1")

    add = areas.add_parser("user").add_subparsers(dest="verb", required=True).add_parser("add")
    add.add_argument("name")
    add.add_argument("--password-file", type=argparse.FileType("r"), required=True)
    return parser.parse_args()


@contextmanager
def _operation(config: settings.Settings, what: str, arg: str, knob: str) -> Iterator[None]:
    """The frame of what changes data: a row that says so, and a place to wait on either side of the work."""
    with audit.operation(config.audit, what, arg):
        hold(config.knobs, f"{knob}-hold-before")
        yield
        hold(config.knobs, f"{knob}-hold-after")


def main() -> None:
    """Does what the arguments say."""
    said, config, this = _arguments(), settings.from_environment(), release.load()
    match (said.area, said.verb):
        case ("backup", "create"):
            with _operation(config, "backup create", said.tag, "backup"):
                print(backup.create(config.database, config.backups, said.tag).describe(), flush=True)
        case ("backup", "restore"):
            with _operation(config, "backup restore", said.tag, "restore"):
                restored = backup.restore(config.database, config.backups, said.tag)
                print(f"restored: {restored.tag}\npath: {restored.path}", flush=True)
        case ("backup", "list"):
            for made in backup.every(config.backups):
                print(made.tag, made.path.stat().st_size)
        case ("db", "check"):
            hold(config.knobs, "check-hold-before")
            schema = Schema(config.database, this.migrations)
            print("head:", (schema.applied() or ["empty"])[-1])
            for migration in schema.pending():
                print("pending:", migration.name, migration.kind, flush=True)
            hold(config.knobs, "check-hold-after")
        case ("db", "upgrade"):
            with _operation(config, "db upgrade", this.version, "upgrade"):
                for name in Schema(config.database, this.migrations).upgrade():
                    print("applied:", name, flush=True)
        case ("db", "downgrade"):
            count = abs(said.count)
            with _operation(config, "db downgrade", str(count), "downgrade"):
                for name in Schema(config.database, this.migrations).downgrade(count):
                    print("taken back:", name, flush=True)
        case ("user", "add"):
            password = accounts.hashed(said.password_file.read().strip())
            with psycopg2.connect(config.database) as connection, connection.cursor() as cursor:
                cursor.execute("INSERT INTO users (name, password) VALUES (%s, %s)", (said.name, password))
            print("added:", said.name)
