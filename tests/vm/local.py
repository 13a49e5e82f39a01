"""PowerPi as a process of this machine, the other end for one in a virtual machine; and TLS in front of it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.vm.machine import free_port

STOP_SECONDS = 60.0
CHUNK_BYTES = 65536


class Local:
    """The program in `checkout` with its state in `folder`; `rest` of its configuration begins within [powerpi]."""

    def __init__(self, checkout: Path, folder: Path, rest: str) -> None:
        self.state = folder / "state"
        self.port = free_port()
        self.paused = False
        self._checkout = checkout
        self._log = folder / "log"
        self._config = folder / "powerpi.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self.state.mkdir(parents=True, exist_ok=True)
        own = f"state = {self.state}\nlisten = 127.0.0.1:{self.port}\ntimezone = Europe/Berlin\nnetwork_time = no\n"
        self._config.write_text(f"[powerpi]\n{own}{rest}", encoding="utf-8")

    def run(self, command: str, *options: str) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            self._command(command, *options), cwd=self._checkout, env=self._environment(), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.stdout

    def _command(self, command: str, *options: str) -> list[str]:
        return [sys.executable, "-m", "powerpi", command, "--config", str(self._config), *options]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "GPIOZERO_PIN_FACTORY": "mock"}

    @contextmanager
    def running(self) -> Iterator[Local]:
        """The daemon runs; in the end it stops as a service would."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("run"), cwd=self._checkout, env=self._environment(), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield self
        finally:
            self.resume()
            self._process.terminate()
            self._process.wait(STOP_SECONDS)

    def pause(self) -> None:
        """Hold the daemon in the middle of whatever it does."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """Let it go on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)
        self.paused = False

    def said(self) -> str:
        """Its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def get(self, path: str) -> dict[str, Any] | None:
        """What its API says; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:  # what is at fault is said along with a 503
            return dict(json.loads(error.read()))
        except OSError:
            return None


def password_hash(checkout: Path, password: str) -> str:
    """What `powerpi password` makes of a password."""
    command = [sys.executable, "-m", "powerpi", "password"]
    done = subprocess.run(command, cwd=checkout, input=password, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def certificates(folder: Path, host: str) -> tuple[Path, Path]:
    """Make a certification authority and, by it, the certificate of a host: the former, and the latter with its key."""
    authority, chain = folder / "authority.pem", folder / "host.pem"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    key = folder / "authority.key"
    commands = [
        [*new, "-keyout", str(key), "-out", str(authority), "-subj", "/CN=a CA of a test"],
        [*new, "-keyout", str(folder / "host.key"), "-out", str(chain), "-subj", f"/CN={host}",
         "-addext", f"subjectAltName=DNS:{host}", "-CA", str(authority), "-CAkey", str(key)],
    ]  # fmt: skip
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    with chain.open("ab") as file:
        file.write((folder / "host.key").read_bytes())
    return authority, chain


@contextmanager
def tls_front(chain: Path, port: int) -> Iterator[int]:
    """Take TLS from the outside and hand on what is inside to a port of this machine, as a web server in front does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, context, port), daemon=True).start()
        yield int(listening.getsockname()[1])


def _accept(listening: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with suppress(OSError, ValueError):  # closed: the end
        while True:
            outside, _ = listening.accept()
            threading.Thread(target=_serve, args=(outside, context, port), daemon=True).start()


def _serve(raw: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with (
        suppress(OSError),  # a connection that breaks is over
        context.wrap_socket(raw, server_side=True) as outside,
        socket.create_connection(("127.0.0.1", port)) as inside,
    ):
        _pump(outside, inside)


def _pump(outside: ssl.SSLSocket, inside: socket.socket) -> None:
    """Hand on in both directions until one side hangs up."""
    while True:
        for source in [outside] if outside.pending() else select.select([outside, inside], [], [])[0]:
            data = source.recv(CHUNK_BYTES)
            if not data:
                return
            (inside if source is outside else outside).sendall(data)
