"""`debvisor-cli`: what an operator does to the service's data."""

import argparse

import psycopg2

from debvisor import accounts, backup, settings
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


def main() -> None:
    """Does what the arguments say."""
    said, config = _arguments(), settings.from_environment()
    match (said.area, said.verb):
        case ("backup", "create"):
            print(backup.create(config.database, config.backups, said.tag))
        case ("backup", "restore"):
            print(backup.restore(config.database, config.backups, said.tag))
        case ("backup", "list"):
            for path in sorted(config.backups.glob("*.dump")):
                print(path.stem, path.stat().st_size)
        case ("db", "check"):
            schema = Schema(config.database)
            print("head:", (schema.applied() or ["empty"])[-1])
            for migration in schema.pending():
                print("pending:", migration.name, migration.kind)
        case ("db", "upgrade"):
            for name in Schema(config.database).upgrade():
                print("applied:", name)
        case ("db", "downgrade"):
            for name in Schema(config.database).downgrade(abs(said.count)):
                print("taken back:", name)
        case ("user", "add"):
            password = accounts.hashed(said.password_file.read().strip())
            with psycopg2.connect(config.database) as connection, connection.cursor() as cursor:
                cursor.execute("INSERT INTO users (name, password) VALUES (%s, %s)", (said.name, password))
            print("added:", said.name)
