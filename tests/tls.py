"""What lies between a Pi and its mirror, in threads: TLS of a test CA, lines that break, and servers that are none."""

from __future__ import annotations

import datetime
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import trustme

HOST = "127.0.0.1"
RESET = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER: closing resets the connection
CHUNK = 65536
PATIENCE_SECONDS = 30.0  # no test waits that long
EXPIRED = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """A certification authority of its own, and the certificates that it signs."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def pem(self, folder: Path, name: str = "ca.pem") -> Path:
        """Its own certificate as a file, as ca_file wants it."""
        path = folder / name
        self._ca.cert_pem.write_to_path(path)
        return path

    def context(self, *names: str, not_after: datetime.datetime | None = None) -> ssl.SSLContext:
        """What a server with a certificate for these names needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*(names or (HOST,)), not_after=not_after).configure_cert(context)
        return context


class Listener:
    """A port with a thread that serves each connection in a thread of its own, while in a `with`."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.context = context
        self.taken = 0  # connections
        self.closing = threading.Event()
        self._listening = socket.create_server((HOST, port))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.taken += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        with connection, suppress(OSError):
            if not self.context:
                self.serve(connection)
                return
            with self.context.wrap_socket(connection, server_side=True) as wrapped:
                self.serve(wrapped)

    def serve(self, connection: socket.socket) -> None:
        """Do what is to be done with a connection; overridden."""
        raise NotImplementedError


class Forwarder(Listener):
    """Passes bytes on to `target`, a port of this machine, over TLS if it has a context; breaks when it is told to.

    `most_request` and `most_answer` are how many bytes of each it lets through on a connection before it resets it;
    while it is `mute`, it swallows what comes, and nothing ends.
    """

    def __init__(self, target: int, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        super().__init__(context, port)
        self.target = target
        self.most_request: int | None = None
        self.most_answer: int | None = None
        self.mute = threading.Event()
        self.asked = threading.Event()  # something of a request came

    def heal(self) -> None:
        """Let everything through again."""
        self.most_request = self.most_answer = None
        self.mute.clear()

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection((HOST, self.target), PATIENCE_SECONDS) as ahead:
            for end in (connection, ahead):  # as web servers do; a piece would wait 40 ms for the last one's receipt
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            passed = {connection: 0, ahead: 0}
            while not self.closing.is_set():
                source = self._ready(connection, ahead)
                if source is None:
                    continue
                most = self.most_request if source is connection else self.most_answer
                piece = source.recv(CHUNK)
                if not piece:
                    return
                self.asked.set()
                if self.mute.is_set():
                    continue
                piece = piece if most is None else piece[: max(0, most - passed[source])]
                passed[source] += len(piece)
                (ahead if source is connection else connection).sendall(piece)
                if most is not None and passed[source] >= most:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    return

    def _ready(self, connection: socket.socket, ahead: socket.socket) -> socket.socket | None:
        """The end that has something to say; what is buffered by TLS is not seen by select()."""
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return connection
        ready, _, _ = select.select([connection, ahead], [], [], 0.05)
        return ready[0] if ready else None


class Silent(Listener):
    """Takes connections, reads nothing of what comes, and says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        select.select([connection], [], [], PATIENCE_SECONDS)
        self.asked.set()
        self.closing.wait(PATIENCE_SECONDS)


class Request(NamedTuple):
    """What a server was asked."""

    line: str  # such as GET /path HTTP/1.1
    headers: dict[str, str]  # names in small letters
    body: bytes


Answer = Callable[[Request], Iterable[bytes]]


class Answering(Listener):
    """A server that answers every request with what `answer` makes of it, and hangs up."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        super().__init__(context, port)
        self.answer = answer
        self.requests: list[Request] = []

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as reading:
            line = reading.readline().decode("latin-1").strip()
            if not line:
                return
            headers = {}
            while entry := reading.readline().decode("latin-1").strip():
                name, _, value = entry.partition(":")
                headers[name.lower()] = value.strip()
            request = Request(line, headers, reading.read(int(headers.get("content-length", 0))))
            self.requests.append(request)
            for piece in self.answer(request):
                connection.sendall(piece)

    def hang(self, _: Request) -> Iterable[bytes]:
        """An answer that never comes."""
        self.closing.wait(PATIENCE_SECONDS)
        return []


def http(status: int, body: bytes = b"", kind: str = "text/plain", *headers: str) -> bytes:
    """An answer in full."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def always(answer: bytes) -> Answer:
    """The same answer to everything."""
    return lambda _: [answer]
