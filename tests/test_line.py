"""Answers that never end: the thread that asked is free again soon, and its memory stays small."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from pair import push_settings

from powerpi.errors import PeerError, RefusedError, SlowPeerError
from powerpi.peer import Peer

MOST_SECONDS = 1.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FEW_KILOBYTES = 60_000  # of memory more


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[Peer]:
    """A peer of somebody who answers so."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client = listening.accept()[0]
                    with client, suppress(OSError):
                        client.recv(65536)
                        answer(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        peer = Peer(push_settings(f"http://127.0.0.1:{listening.getsockname()[1]}"), 5.0, MOST_SECONDS)
        yield peer
        peer.close()
        listening.shutdown(socket.SHUT_RDWR)


def for_ever(piece: bytes, head: bytes = b"", pause: float = 0.0) -> Callable[[socket.socket], None]:
    def answer(client: socket.socket) -> None:
        client.sendall(head)
        over = time.monotonic() + 20
        while time.monotonic() < over:
            client.sendall(piece)
            time.sleep(pause)

    return answer


@pytest.mark.parametrize(
    ("piece", "head", "pause"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, b"", 0.0),
        (b"X", b"HTTP/1.1 200 OK\r\n", 0.05),
        (b" ", HEAD + b"Content-Length: 100000\r\n\r\n", 0.05),
        (b"X: y\r\n" * 1000, HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", 0.0),
        (b"0" * 65536, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", 0.0),
        (b"5\r\n     \r\n" * 1000, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", 0.0),
    ],
    ids=["100 Continue", "a header", "a body by drops", "trailers", "the length of a chunk", "chunks"],
)
def test_what_never_ends_is_cut(piece: bytes, head: bytes, pause: float) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with answering(for_ever(piece, head, pause)) as peer:
        began = time.monotonic()
        with pytest.raises(PeerError) as told:
            peer.standing("house")
        assert time.monotonic() - began < MOST_SECONDS + 8
        assert isinstance(told.value, SlowPeerError | RefusedError | PeerError)
        assert "127.0.0.1" in str(told.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < FEW_KILOBYTES


def test_a_mirror_sets_no_cookies() -> None:
    def answer(client: socket.socket) -> None:
        client.sendall(HEAD + b"Set-Cookie: a=b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    with answering(answer) as peer:
        with pytest.raises(RefusedError):
            peer.standing("house")
        assert list(peer._session.cookies) == []


def test_the_next_exchange_begins_anew_after_one_was_cut() -> None:
    answers = iter([for_ever(b" ", HEAD + b"Content-Length: 99\r\n\r\n", 0.05)])
    good = HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"

    def answer(client: socket.socket) -> None:
        next(answers, lambda one: one.sendall(good))(client)

    with answering(answer) as peer:
        with pytest.raises(SlowPeerError):
            peer.standing("house")
        with pytest.raises(RefusedError, match="does not answer as a mirror would"):
            peer.standing("house")
