#!/usr/bin/python3
"""The service's own test: `tests/service/selftest.py`. It starts a PostgreSQL and a Redis of its own for the time."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent
BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"))
LIMIT = 20


def eventually(what, condition):
    """Waits until it is so."""
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {LIMIT} s for {what}")
        time.sleep(0.02)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Backends:
    """PostgreSQL and Redis, in a directory that goes."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="debvisor-selftest-"))
        # PostgreSQL does not run as root.
        self.owner = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        data = self.directory / "data"
        data.mkdir()
        if self.owner:
            postgres = pwd.getpwnam("postgres")
            self.directory.chmod(0o755)
            os.chown(data, postgres.pw_uid, postgres.pw_gid)
        self.postgres_port, self.redis_port = free_port(), free_port()
        self.run(BINARIES / "initdb", "-D", data, "-A", "trust", "-U", "debvisor")
        options = f"-p {self.postgres_port} -k {data} -c fsync=off -c listen_addresses=127.0.0.1"
        self.run(BINARIES / "pg_ctl", "-D", data, "-o", options, "-l", data / "log", "-w", "start")
        self.redis = subprocess.Popen(
            ["redis-server", "--port", str(self.redis_port), "--save", "", "--dir", self.directory],
            stdout=subprocess.DEVNULL,
        )

    def run(self, *argv):
        subprocess.run([*self.owner, *argv], check=True, stdout=subprocess.DEVNULL)

    def url(self, database):
        return f"postgresql://debvisor@127.0.0.1:{self.postgres_port}/{database}"

    def sql(self, database, *queries):
        argv = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        argv += [f"--command={query}" for query in queries]
        return subprocess.run([*argv, self.url(database)], check=True, capture_output=True, text=True).stdout.split()

    def end(self):
        self.run(BINARIES / "pg_ctl", "-D", self.directory / "data", "-m", "immediate", "stop")
        self.redis.terminate()
        self.redis.wait()
        shutil.rmtree(self.directory)


def setUpModule():
    global backends
    backends = Backends()


def tearDownModule():
    backends.end()


class Host(unittest.TestCase):
    """A host with every release, and a database at v1 with one user."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(dir=backends.directory))
        self.knobs = self.root / "knobs"
        self.knobs.mkdir()
        for file in (HERE / "releases").glob("*.json"):
            release = self.root / "releases" / file.stem
            release.mkdir(parents=True)
            for part in ("bin", "debvisor"):
                shutil.copytree(HERE / part, release / part)
            shutil.copy(file, release / "release.json")
        for name in ("debvisor", "debvisor_audit"):
            backends.sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
        settings = self.root / "environment"
        settings.write_text(
            f"# What a host's settings are.\nDEBVISOR_DATABASE={backends.url('debvisor')}\n"
            f"DEBVISOR_AUDIT={backends.url('debvisor_audit')}\n"
            f"DEBVISOR_REDIS=redis://127.0.0.1:{backends.redis_port}/0\n"
            f"DEBVISOR_KNOBS={self.knobs}\nDEBVISOR_BACKUPS={self.root}/backups\n",
            encoding="utf-8",
        )
        self.environment = {**os.environ, "DEBVISOR_ROOT": str(self.root), "DEBVISOR_SETTINGS": str(settings)}
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self.cli("v1", "db", "upgrade")
        self.cli("v1", "user", "add", "ada", "--password-file", "-", given="ada-secret")

    def release(self, version, *argv, environment=None):
        argv = [HERE / "bin/debvisor-release", "run", version, *argv]
        return {"args": argv, "env": {**self.environment, **(environment or {})}, "text": True}

    def cli(self, version, *argv, given=None, fails=False):
        ran = subprocess.run(**self.release(version, "debvisor-cli", *argv), input=given, capture_output=True)
        self.assertEqual(ran.returncode != 0, fails, ran.stdout + ran.stderr)
        return ran.stderr if fails else ran.stdout

    def serve(self, version):
        port = free_port()
        listen = {"DEBVISOR_LISTEN": f"127.0.0.1:{port}"}
        process = subprocess.Popen(**self.release(version, "debvisor", environment=listen), stdout=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        service = Service(port, process)
        eventually(f"{version} to listen", service.listens)
        return service

    def operations(self):
        if not backends.sql("debvisor_audit", "SELECT 1 FROM pg_tables WHERE tablename = 'operations'"):
            return []
        rows = "SELECT replace(what, ' ', '-') || '/' || arg || '/' || (done IS NOT NULL) FROM operations ORDER BY id"
        return backends.sql("debvisor_audit", rows)


class Service:
    """A running service, as a visitor sees it."""

    def __init__(self, port, process):
        self.port, self.process = port, process

    def ask(self, path, form=None, cookie=""):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        head = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST" if form else "GET", path, urlencode(form) if form else None, head)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body, (answer.getheader("Set-Cookie") or "").partition(";")[0]

    def listens(self):
        try:
            return self.ask("/health/live")[0] == 200
        except OSError:
            return False

    def status(self, path):
        return self.ask(path)[0]

    def dashboard(self):
        """Logs in and looks."""
        _, page, csrf = self.ask("/login")
        token = re.search('name=csrf value="([^"]+)"', page)[1]
        status, body, session = self.ask("/login", {"name": "ada", "password": "ada-secret", "csrf": token}, csrf)
        assert status == 303, body
        status, body, _ = self.ask("/", cookie=session)
        address = re.search('class="address">([^<]+)<', body)
        return status, address[1] if address else None


class WaysBack(Host):
    def test_v2_runs_before_and_after_its_migration(self):
        service = self.serve("v2")
        self.assertEqual((service.status("/health/ready"), service.dashboard()), (200, (200, None)))
        self.assertEqual(self.cli("v2", "db", "check"), "head: 0001-users\npending: 0002-user-email expand\n")
        self.assertEqual(self.cli("v2", "db", "upgrade"), "applied: 0002-user-email\n")
        self.assertEqual(self.cli("v2", "db", "check"), "head: 0002-user-email\n")
        self.assertEqual((service.status("/health/ready"), service.dashboard()), (200, (200, "ada@example.com")))

    def test_expand_leaves_v2_running(self):
        self.cli("v3-expand", "db", "upgrade")
        service = self.serve("v2")
        self.assertEqual((service.status("/health/ready"), service.dashboard()), (200, (200, "ada@example.com")))

    def test_reversible_breaks_v2_and_its_downgrade_loses_nothing(self):
        self.cli("v2", "db", "upgrade")
        old, new = self.serve("v2"), self.serve("v3-reversible")
        self.assertEqual(new.status("/health/ready"), 503)
        self.assertEqual(self.cli("v3-reversible", "db", "upgrade"), "applied: 0003-rename-email\n")
        self.assertEqual((new.status("/health/ready"), new.dashboard()), (200, (200, "ada@example.com")))
        self.assertEqual((old.status("/health/ready"), old.dashboard()[0]), (503, 500))
        (self.knobs / "any-schema").touch()
        self.assertEqual((old.status("/health/ready"), old.dashboard()[0]), (200, 500))
        (self.knobs / "any-schema").unlink()
        self.assertEqual(self.cli("v3-reversible", "db", "downgrade", "-1"), "taken back: 0003-rename-email\n")
        self.assertEqual((old.status("/health/ready"), old.dashboard()), (200, (200, "ada@example.com")))

    def test_irreversible_breaks_v2_and_only_a_restore_brings_the_data_back(self):
        self.cli("v2", "db", "upgrade")
        old = self.serve("v2")
        said = dict(line.split(": ") for line in self.cli("v2", "backup", "create", "--tag", "before").splitlines())
        self.assertEqual(list(said), ["backup", "path", "size", "sha256", "created"])
        self.assertEqual(Path(said["path"]).stat().st_size, int(said["size"]))
        self.cli("v3-irreversible", "db", "upgrade")
        self.assertEqual((old.status("/health/ready"), old.dashboard()[0]), (503, 500))
        self.cli("v3-irreversible", "db", "downgrade", "-1")
        self.assertEqual((old.status("/health/ready"), old.dashboard()), (200, (200, None)))
        backends.sql("debvisor", "INSERT INTO users VALUES ('late', 'x')")
        self.cli("v2", "backup", "restore", "--tag", "before")
        self.assertEqual((old.status("/health/ready"), old.dashboard()), (200, (200, "ada@example.com")))
        self.assertEqual(backends.sql("debvisor", "SELECT name FROM users"), ["ada"])

    def test_a_downgrade_takes_exactly_so_many_or_none(self):
        self.cli("v2", "db", "upgrade")
        self.assertIn("none was", self.cli("v2", "db", "downgrade", "-3", fails=True))
        self.assertIn("does not know", self.cli("v1", "db", "downgrade", "-1", fails=True))
        self.assertEqual(self.cli("v2", "db", "check"), "head: 0002-user-email\n")
        self.assertEqual(
            self.cli("v2", "db", "downgrade", "-2"), "taken back: 0002-user-email\ntaken back: 0001-users\n"
        )

    def test_a_restore_that_fails_in_the_middle_changes_nothing(self):
        backends.sql("debvisor", "CREATE SCHEMA other")
        self.cli("v2", "backup", "create", "--tag", "with-other")
        backends.sql("debvisor", "INSERT INTO users VALUES ('late', 'x')")
        self.assertIn('"other" already exists', self.cli("v2", "backup", "restore", "--tag", "with-other", fails=True))
        self.assertEqual(backends.sql("debvisor", "SELECT name FROM users ORDER BY name"), ["ada", "late"])


class Traces(Host):
    def test_each_run_leaves_one_row_that_a_restore_does_not_take(self):
        self.cli("v2", "backup", "create", "--tag", "t")
        self.cli("v2", "db", "upgrade")
        self.cli("v2", "db", "downgrade", "-1")
        self.cli("v2", "backup", "restore", "--tag", "t")
        self.cli("v2", "backup", "restore", "--tag", "nowhere", fails=True)
        self.assertEqual(
            self.operations(),
            [
                "db-upgrade/v1/true",
                "backup-create/t/true",
                "db-upgrade/v2/true",
                "db-downgrade/1/true",
                "backup-restore/t/true",
                "backup-restore/nowhere/false",
            ],
        )

    def test_a_command_can_be_cut_off_before_and_after_its_work(self):
        for place, head in (("before", "0001-users"), ("after", "0002-user-email")):
            knob = self.knobs / f"upgrade-hold-{place}"
            knob.touch()
            process = subprocess.Popen(**self.release("v2", "debvisor-cli", "db", "upgrade"), stdout=subprocess.DEVNULL)
            eventually("the command to wait", Path(f"{knob}-reached").exists)
            process.send_signal(signal.SIGKILL)
            process.wait()
            knob.unlink()
            self.assertEqual(self.cli("v2", "db", "check").split()[1], head)
            self.assertEqual(self.operations()[-1], "db-upgrade/v2/false")


class Strain(Host):
    def pages(self, service, count):
        statuses = [service.status(("/", "/login")[n % 2]) for n in range(count)]
        metrics = service.ask("/metrics")[1]
        counted = dict(re.findall(r'debvisor_requests_total{status="(\d+)"} (\d+)', metrics))
        mean = float(re.search(r"seconds_sum (\S+)", metrics)[1]) / count
        return statuses, counted, mean

    def test_errors_are_every_twentieth_and_never_a_log_in_or_a_probe(self):
        service = self.serve("v3-errors")
        self.assertEqual([service.status("/health/ready") for _ in range(40)], [200] * 40)
        statuses, counted, _ = self.pages(service, 201)
        self.assertEqual((statuses.count(500), int(counted["500"])), (10, 10))
        self.assertEqual(sum(map(int, counted.values())), 201)
        self.assertNotIn(500, statuses[1::2], "a log-in never fails")

    def test_knobs_change_one_host(self):
        (self.knobs / "error-percent").write_text("50")
        statuses, _, _ = self.pages(self.serve("v2"), 41)
        self.assertEqual(statuses.count(500), 20)

    def test_slow_is_many_times_as_slow(self):
        (_, _, normal), (_, _, slow) = self.pages(self.serve("v2"), 50), self.pages(self.serve("v4-slow"), 50)
        self.assertGreater(slow, 5 * normal)

    def test_a_crash_comes_after_the_start(self):
        service = self.serve("v3-crash")
        self.assertEqual(service.process.wait(LIMIT), 1)


class Load(Host):
    def test_totals_come_at_the_end(self):
        service = self.serve("v2")
        urls = [f"http://127.0.0.1:{service.port}", f"http://127.0.0.1:{free_port()}"]
        load = subprocess.Popen([HERE / "bin/debvisor-load", "--rate", "50", *urls], stdout=subprocess.PIPE, text=True)
        # When the first has been asked twice for each page, the other has been asked, too.
        eventually("some load", lambda: int(re.search(r'status="303"} (\d+)', service.ask("/metrics")[1])[1]) > 1)
        load.terminate()
        there, not_there = json.loads(load.communicate(timeout=LIMIT)[0]).values()
        self.assertGreater(not_there["asked"], 0)
        self.assertEqual(sum(there["statuses"].values()), there["asked"])
        self.assertEqual(not_there["unanswered"], {"ConnectionRefusedError": not_there["asked"]})


if __name__ == "__main__":
    unittest.main()
