"""The web server: a socket, waitress on it, and the address to type into a browser; the only importer of waitress.

Clients may be slow, many, or mean. None of them holds a thread, much memory, or the place of another: a connection has
one request at a time, its client has to keep up, and where there are too many the address with the most gives way.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import waitress
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask
from waitress.utilities import BadRequest

from powerpi.errors import ServerError
from powerpi.guard import PAGE_HEADERS
from powerpi.wire import API, PACKED_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

WEB_SETTINGS = {
    "threads": 4,
    "ident": None,
    "channel_timeout": 10**10,  # never: it goes by the wall clock, which is stepped; Connection has patience of its own
    "max_request_body_size": 4096,  # but for what a mirror receives, nothing is ever posted
    "max_request_header_size": 16384,
    "connection_limit": 200,  # then no more are accepted; a Connection that was answered is closed long before
    "clear_untrusted_proxy_headers": True,
    "log_socket_errors": False,  # a client that goes away is nothing to write down
}
MANY_CONNECTIONS = 120  # each may hold an answer that its client does not take
PATIENCE_SECONDS = 10.0  # for a whole request, or ...
LEAST_BYTES = 50_000  # ... for so much of an answer to be taken: the slowest mobile line brings four times as much
LEAST_SENT_BYTES = 16_384  # ... or for so much of a body to come
GONE_SECONDS = 20.0  # a client that does not even say that it got something is gone
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER: what was not sent is thrown away
UNREAD_BYTES = 262_144  # what a client may have sent after a request that is refused
TLS_HANDSHAKE = 0x16  # RFC 8446, 5.1: the first byte of https, where http is spoken

NOT_UNDERSTOOD = "This request cannot be understood."
REFUSALS = {
    413: "Nothing can be sent to this page.",
    431: "The headers of this request are too long.",
    500: "PowerPi failed; its log says why.",
}


class Larger(NamedTuple):
    """What waitress asks its settings for while it reads a request: one that may be larger than others."""

    max_request_header_size: int
    max_request_body_size: int


class OneRequest(HTTPRequestParser):  # type: ignore[misc]  # waitress is not typed
    """Reads one request; what its client sent after it stays in `rest`, instead of becoming a queue of requests."""

    path = ""  # waitress logs it, also of a request that was never understood
    rest = b""

    def parse_header(self, header_plus: bytes) -> None:
        """Take a longer body where one is received, and its sender at least gives a name."""
        super().parse_header(header_plus)
        adj: Any = self.adj
        if getattr(adj, "receives", False) and "AUTHORIZATION" in self.headers and self.path.startswith(API):
            self.adj: Any = Larger(adj.max_request_header_size, PACKED_BYTES + 1)

    def received(self, data: bytes) -> int:
        """Take everything; `completed` says whether it was a whole request."""
        self.rest = data
        if not self.header_bytes_received and data[0] == TLS_HANDSHAKE:
            self._refuse()
        try:
            while self.rest and not self.completed:
                self.rest = self.rest[super().received(self.rest) :]
        except ValueError:  # of urllib, for an address such as http://[/
            self._refuse()
        if self.completed:
            self.expect_continue = False  # nothing more is wanted, least of all the body of what is refused
        return len(data)

    def _refuse(self) -> None:
        self.error = BadRequest(NOT_UNDERSTOOD)
        self.completed = True


class Refusal(ErrorTask):  # type: ignore[misc]  # waitress is not typed
    """The answer to what waitress itself refuses: one sentence. No browser asks so: English will do."""

    def execute(self) -> None:
        """Answer, and hang up."""
        error = self.request.error
        body = f"{REFUSALS.get(error.code, NOT_UNDERSTOOD)}\n".encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
            *PAGE_HEADERS,
        ]
        self.close_on_finish = True
        self.content_length = len(body)
        self.write(body)


class Connection(HTTPChannel):  # type: ignore[misc]  # waitress is not typed
    """A client's connection: one request at a time, its answer taken before the next, both without dawdling.

    An answer is one piece, so no thread ever waits for a client; a thread that runs a request is not hurried either.
    waitress asks `readable` and `writable` at least once a second, in its main thread; `service` runs in another.
    """

    parser_class = OneRequest
    error_task_class = Refusal

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(server, sock, addr, adj, map)
        with suppress(OSError):  # it was closed by now; an exception here would end the server
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(GONE_SECONDS * 1000))
        self._rest = b""
        self._wait_for_client()
        if self._crowded():
            self._make_room()

    def readable(self) -> bool:
        """Whether more may be read; a client that lets us wait for too long is given up."""
        taken = self._left - self.total_outbufs_len  # below 0 where an answer came
        if self.requests or taken < 0 or 0 < min(self._left, LEAST_BYTES) <= taken or self._is_sending():
            self._wait_for_client()
        elif time.monotonic() - self.waiting_since > PATIENCE_SECONDS:
            self.hang_up(reset=bool(self.total_outbufs_len or self._rest))
        return not self._rest and bool(super().readable())

    def writable(self) -> bool:
        """Whether something is to be sent, or the client's next request to be taken up once it could be answered."""
        return self._next_is_due() or bool(super().writable())

    def handle_write(self) -> None:
        """Send, then take up what the client has asked for meanwhile."""
        super().handle_write()
        if self._next_is_due():
            rest, self._rest = self._rest, b""
            self.received(rest)

    def service(self) -> None:
        """Answer one request; where it is crowded, the next client comes in afterwards."""
        request = self.requests[0]
        self._rest = request.rest
        if self._crowded():
            request.headers["CONNECTION"] = "close"
        super().service()
        self._wait_for_client()

    def handle_close(self) -> None:
        """Close; unread bytes are read before, or the client would lose the answer to what it sent (RFC 9112, 9.6)."""
        if self.socket:  # waitress closes twice where sending failed
            with suppress(OSError):
                self.socket.recv(UNREAD_BYTES)
        super().handle_close()

    def hang_up(self, reset: bool) -> None:
        """Close soon, for what is shut down counts as writable; with `reset` what was sent cannot be taken any more."""
        self.will_close = True
        with suppress(OSError):  # it was quicker
            if reset:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.socket.shutdown(socket.SHUT_RDWR)

    def _is_sending(self) -> bool:
        """Whether the client has sent another piece of a body: a mirror's senders may have slow lines."""
        received = self.request.body_bytes_received if self.request else 0
        return bool(received - self._received >= LEAST_SENT_BYTES)

    def _next_is_due(self) -> bool:
        return bool(self._rest) and not (self.requests or self.total_outbufs_len or self.will_close)

    def _wait_for_client(self) -> None:
        """From now on it is the client's turn: to take what is left of an answer, or to ask."""
        self._left: int = self.total_outbufs_len
        self._received: int = self.request.body_bytes_received if self.request else 0
        self.waiting_since = time.monotonic()

    def _crowded(self) -> bool:
        return len(self.server.active_channels) > MANY_CONNECTIONS

    def _make_room(self) -> None:
        victim = most_in_the_way(self.server.active_channels.values())
        if victim and victim is not self:
            victim.hang_up(reset=True)


def most_in_the_way(connections: Collection[Connection]) -> Connection | None:
    """Of those that wait for their client, at the address that has most of all, the one that does so for longest."""
    waiting = [connection for connection in connections if not (connection.requests or connection.will_close)]
    having = Counter(connection.addr[0] for connection in connections)
    return max(waiting, key=lambda one: (having[one.addr[0]], -one.waiting_since), default=None)


class FairQueue:
    """Connections that wait for a thread, as waitress wants its queue: all addresses in turn, each in its order."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Connection]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def append(self, connection: Connection) -> None:
        """The connection has a request."""
        self._waiting.setdefault(connection.addr[0], deque()).append(connection)

    def popleft(self) -> Connection:
        """Whose turn it is; its address then goes behind all others."""
        address, connections = self._waiting.popitem(last=False)
        connection = connections.popleft()
        if connections:
            self._waiting[address] = connections
        return connection


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket for the page. Raises ServerError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        said = f"the page cannot be served at {host} port {port}: {why}"
        hint = "; choose another port, or stop the program that has it" if error.errno == errno.EADDRINUSE else ""
        raise ServerError(said + hint) from error


def open_server(pages: WSGIApplication, listening: socket.socket, receives: bool = False) -> Any:
    """The web server on a bound socket; `receives`: what a mirror is sent may be longer than other requests."""
    logging.getLogger("waitress").setLevel(logging.ERROR)
    server = waitress.create_server(pages, sockets=[listening], **WEB_SETTINGS)
    server.adj.receives = receives
    server.channel_class = Connection
    server.task_dispatcher.queue = FairQueue()
    return server


def page_address(listening: socket.socket) -> str:
    """What to type into a browser: the machine's name where every address of it is listened to."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
