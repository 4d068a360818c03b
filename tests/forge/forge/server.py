"""The HTTP side: which forge is asked, faults, the record of what was asked."""

import argparse
import json
import re
import signal
import ssl
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from forge import gitea, github, gitlab
from forge.answer import Answer, Question
from forge.state import Fault, State, Wrong, load


class Forge:
    """The state file and how often each fault was used."""

    def __init__(self, state: Path, log: Path | None):
        self._path = state
        self._log = log
        self._lock = threading.Lock()
        self._used: Counter[Fault] = Counter()
        #: Held until the end, for answers that never come.
        self.ended = threading.Event()

    def state(self) -> State:
        """What the file says now."""
        return load(self._path)

    def fault(self, state: State, asked: str) -> Fault | None:
        """The first fault that is for this request and not used up."""
        with self._lock:
            for fault in state.faults:
                if re.search(fault.path, asked) and (fault.times is None or self._used[fault] < fault.times):
                    self._used[fault] += 1
                    return fault
        return None

    def note(self, **what) -> None:
        """Writes down a request. The token itself is never written."""
        if self._log:
            with self._lock, self._log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(what) + "\n")


def forge_of(path: str):
    """Which forge's API lies at a path."""
    for forge in (gitlab, gitea):
        if path.startswith(forge.PREFIX + "/"):
            return forge
    return github


def token_of(headers: dict[str, str]) -> str | None:
    """The token, in any of the headers that the forges take it from."""
    if "private-token" in headers:
        return headers["private-token"]
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() in ("bearer", "token") else None


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    forge: Forge
    scheme = "http"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """The gates only read."""
        url = urlsplit(self.path)
        try:
            state = self.forge.state()
        except Wrong as error:
            print(f"forge-stub: {error}", file=sys.stderr, flush=True)
            return self._send(Answer(599, f"{error}\n", kind="text/plain"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        question = Question(
            state=state,
            origin=f"{self.scheme}://{headers.get('host', 'localhost')}",
            # GitLab's ids and GitHub's branches may hold an encoded slash, so decoding is theirs where that matters.
            path=url.path if url.path.startswith(gitlab.PREFIX) else unquote(url.path),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            token=token_of(headers),
            headers=headers,
        )
        fault = self.forge.fault(state, self.path)
        said = self._instead(fault, question) if fault else forge_of(url.path).answer(question)
        # Written before it is answered: who waits for nothing finds it here.
        self.forge.note(
            path=self.path,
            status=said.status if said else fault.answer,
            agent=headers.get("user-agent"),
            accept=headers.get("accept"),
            authorized=state.token is not None and question.token == state.token,
        )
        if said:
            return self._send(said)
        if fault.answer == "hang":
            self.forge.ended.wait()
        self.close_connection = True

    def _instead(self, fault: Fault, question: Question) -> Answer | None:
        match fault.answer:
            case "hang" | "close":
                return None
            case "rate_limit" | "secondary_rate_limit":
                secondary = fault.answer != "rate_limit"
                return forge_of(self.path).limited(question, fault.seconds, secondary)
            case "garbage":
                return Answer(200, "<html>this is no JSON", kind="text/html")
            case status:
                return Answer(int(status), {"message": f"Server Error ({status})"})

    def _send(self, said: Answer) -> None:
        body = said.bytes()
        self.send_response(said.status)
        self.send_header("Content-Type", said.kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args) -> None:
        """Says nothing: the log is where it was asked for."""


class Server(ThreadingHTTPServer):
    """A thread for each connection; none of them holds up the end."""

    daemon_threads = True


def serve(state: Path, listen: tuple[str, int], log: Path | None = None, tls: tuple[Path, Path] | None = None) -> Server:
    """A server that listens."""

    class Own(Handler):
        forge = Forge(state, log)
        scheme = "https" if tls else "http"

    server = Server(listen, Own)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(prog="forge-stub", description="Three forges' APIs, from one state file.")
    parser.add_argument("--state", type=Path, required=True, help="the state file; read again at each request")
    parser.add_argument("--listen", default="127.0.0.1:0", help="address and port; 0 is any that is free")
    parser.add_argument("--log", type=Path, help="a file that gets a JSON line for each request")
    parser.add_argument("--certificate", type=Path, help="with --key: serve HTTPS")
    parser.add_argument("--key", type=Path)
    said = parser.parse_args()
    try:
        load(said.state)
    except Wrong as error:
        sys.exit(f"forge-stub: {error}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    host, _, port = said.listen.rpartition(":")
    tls = (said.certificate, said.key) if said.certificate else None
    with serve(said.state, (host, int(port)), said.log, tls) as server:
        scheme = "https" if tls else "http"
        print(f"listening on {scheme}://{host}:{server.server_address[1]}", flush=True)
        server.serve_forever()
