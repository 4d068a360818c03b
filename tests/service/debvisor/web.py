"""The HTTP server: a table of routes over the parts."""

import hmac
import os
import secrets
import signal
import sys
import threading
import time
from http import cookies
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import psycopg2
import redis

from debvisor import accounts, pages, release, settings
from debvisor.backends import Backends
from debvisor.hold import hold
from debvisor.metrics import Metrics
from debvisor.notify import notify
from debvisor.strain import Strain

#: What machines ask. The rest is pages, which people ask: only those are counted, take their time and can fail.
TECHNICAL = ("/health/live", "/health/ready", "/version", "/metrics")


class Service:
    """Everything that a request needs."""

    def __init__(self, config: settings.Settings):
        self.settings = config
        self.release = release.load()
        self.backends = Backends(config.database, config.redis)
        self.metrics = Metrics(self.release.version)
        self.strain = Strain(config, self.release)

    def unready(self) -> str | None:
        """Why the service can't do its work, if it can't."""
        return self.release.defect(self.settings) or self.backends.trouble() or self._misfit()

    def _misfit(self) -> str | None:
        """Why this release can't work on the schema that it finds."""
        if self.settings.knob("any-schema") is not None:
            return None
        try:
            accounts.address_of(self.backends, self.release, "")
        except psycopg2.Error as error:
            return f"schema: {str(error).strip()}"
        return None


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    service: Service
    protocol_version = "HTTP/1.1"
    # Head and body leave in two writes; without this the second waits for the client's delayed ACK.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Reads."""
        self._answer(
            {
                "/health/live": self._live,
                "/health/ready": self._ready,
                "/version": lambda: self._send(200, self.service.release.version + "\n"),
                "/metrics": lambda: self._send(200, self.service.metrics.text()),
                "/": self._dashboard,
                "/login": self._login_form,
                "/logout": self._logout,
            }
        )

    def do_POST(self) -> None:
        """Writes."""
        self._answer({"/login": self._login})

    def _answer(self, routes: dict) -> None:
        path = self.path.partition("?")[0]
        if path in TECHNICAL:
            return self._route(routes, path)
        began = time.monotonic()
        self._status = 500
        try:
            time.sleep(self.service.strain.seconds())
            if self.service.strain.fails(may=path == "/" and not self._cookie("session")):
                return self._send(500, "this release has a defect\n")
            self._route(routes, path)
        finally:
            self.service.metrics.count(self._status, time.monotonic() - began)

    def _route(self, routes: dict, path: str) -> None:
        try:
            routes.get(path, lambda: self._send(404, "no such page\n"))()
        except psycopg2.ProgrammingError as error:
            self._send(500, f"the database is not as this release expects it: {str(error).strip()}\n")
        except (psycopg2.Error, redis.RedisError) as error:
            self._send(503, f"not available: {str(error).strip()}\n")

    def _live(self) -> None:
        self._send(200, "live\n")

    def _ready(self) -> None:
        why = self.service.unready()
        self._send(503 if why else 200, f"{why or 'ready'}\n")

    def _dashboard(self) -> None:
        user = accounts.user_of(self.service.backends, self._cookie("session"))
        if user is None:
            return self._redirect("/login")
        address = accounts.address_of(self.service.backends, self.service.release, user)
        seen = self.service.backends.cache.incr("dashboard:seen")
        self._html(200, pages.dashboard(user, address, self.service.release.version, seen))

    def _login_form(self) -> None:
        csrf = secrets.token_urlsafe(16)
        self._html(200, pages.login(csrf), cookie=("csrf", csrf))

    def _login(self) -> None:
        hold(self.service.settings.knobs, "login-hold")
        length = min(int(self.headers.get("Content-Length", 0)), 64 * 1024)
        form = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
        csrf = self._cookie("csrf")
        if not csrf or not hmac.compare_digest(csrf, form.get("csrf", "")):
            return self._send(403, "the form is too old, load it again\n")
        name, password = form.get("name", ""), form.get("password", "")
        session = accounts.log_in(self.service.backends, name, password)
        if session is None:
            return self._html(401, pages.login(csrf, wrong=True))
        self._redirect("/", cookie=("session", session))

    def _logout(self) -> None:
        accounts.log_out(self.service.backends, self._cookie("session"))
        self._redirect("/login", cookie=("session", ""))

    def _cookie(self, name: str) -> str | None:
        jar = cookies.SimpleCookie(self.headers.get("Cookie", ""))
        return jar[name].value if name in jar else None

    def _html(self, status: int, text: str, cookie: tuple[str, str] | None = None) -> None:
        self._send(status, text, "text/html; charset=utf-8", cookie)

    def _redirect(self, to: str, cookie: tuple[str, str] | None = None) -> None:
        self._send(303, "", "text/plain", cookie, location=to)

    def _send(self, status, text, kind="text/plain; charset=utf-8", cookie=None, location=None) -> None:
        self._status = status
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if cookie:
            self.send_header("Set-Cookie", f"{cookie[0]}={cookie[1]}; HttpOnly; SameSite=Strict; Path=/")
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args) -> None:
        """Says nothing: probes would fill the log."""


class Server(ThreadingHTTPServer):
    """A thread for each connection; none of them holds up the end."""

    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Runs the service until it is ended."""
    # As PID 1 of a container it would not end at SIGTERM by itself.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = settings.from_environment()
    service = Service(config)
    while config.knob("hold-start") is not None:
        time.sleep(0.02)
    Handler.service = service
    with Server((config.host, config.port), Handler) as server:
        print(f"debvisor {service.release.version} listens on {config.host}:{config.port}", flush=True)
        notify(f"READY=1\nSTATUS=version {service.release.version}")
        if service.release.dies_after is not None:
            threading.Timer(service.release.dies_after, os._exit, [1]).start()
        server.serve_forever()
