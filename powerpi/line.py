"""Connections to another machine that can be cut from outside, so that no answer takes longer than it may.

requests' timeouts are for the time between two bytes: an answer that trickles, or one that never begins in earnest,
would hold its thread for ever.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool


class Line:
    """Knows the connection in use; `was_cut` says whether the last exchange took too long."""

    def __init__(self, most_seconds: float) -> None:
        self.was_cut = False
        self._most_seconds = most_seconds
        self._socket: socket.socket | None = None

    def pools(self) -> dict[str, type[Any]]:
        """What urllib3's PoolManager wants as `pool_classes_by_scheme`."""
        return {"http": self._pool(HTTPConnectionPool), "https": self._pool(HTTPSConnectionPool)}

    def _pool(self, kind: type[Any]) -> type[Any]:
        line = self

        class Connection(kind.ConnectionCls):  # type: ignore[misc, name-defined]  # urllib3 is not typed everywhere
            def connect(self) -> None:
                """Connect, and let the line know."""
                super().connect()
                line._socket = self.sock

        class Pool(kind):  # type: ignore[misc]
            ConnectionCls = Connection

        return Pool

    @contextmanager
    def exchange(self) -> Iterator[None]:
        """One request and its whole answer; cut when it takes too long."""
        self.was_cut = False
        timer = threading.Timer(self._most_seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        """End the connection below TLS, whose own ways would want the other side's consent."""
        self.was_cut = True
        if self._socket is None:
            return
        with suppress(OSError), socket.socket(fileno=os.dup(self._socket.fileno())) as below:  # unless it is closed
            below.shutdown(socket.SHUT_RDWR)
