"""A name server on this machine's own port 53 that knows one address for every name: names.py ADDRESS (RFC 1035)."""

from __future__ import annotations

import socket
import struct
import sys

HEAD_BYTES = 12
A, TTL_SECONDS = 1, 60


def answer(asked: bytes, address: bytes) -> bytes:
    """The answer to a question for an address; to any other there is none, though the name exists."""
    end = asked.index(b"\0", HEAD_BYTES) + 5  # the name, its type and class
    known = asked[end - 4 : end - 2] == struct.pack("!H", A)
    head = asked[:2] + struct.pack("!5H", 0x8580, 1, int(known), 0, 0)  # authoritative, recursion wanted and given
    record = struct.pack("!HHHIH", 0xC00C, A, 1, TTL_SECONDS, 4) + address  # the name is the one in the question
    return head + asked[HEAD_BYTES:end] + (record if known else b"")


if __name__ == "__main__":
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        while True:
            question, client = server.recvfrom(512)
            server.sendto(answer(question, socket.inet_aton(sys.argv[1])), client)
