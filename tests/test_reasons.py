"""Errors of requests, urllib3, TLS and sockets as words for a user; as they come of real lines: test_peer."""

from __future__ import annotations

import socket
import ssl

import pytest
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, ProtocolError, ReadTimeoutError

from powerpi.reasons import certificate_fault, is_slow, reason

POOL = None


def wrapped(cause: Exception) -> MaxRetryError:
    """An error as urllib3 hands it on."""
    return MaxRetryError(POOL, "/", cause)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (wrapped(ProtocolError("Connection aborted.", OSError(113, "No route to host"))), "No route to host"),
        (ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version (_ssl.c:997)"), "TLS"),
        (UnicodeError("label empty or too long"), "its name cannot be a host's"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "its name is not known"),
        (TimeoutError("timed out"), "it does not answer"),
        (HTTPError(), "the connection broke"),
        (ValueError("<object at 0x7f00>"), "the connection broke"),
    ],
)
def test_the_innermost_cause_that_has_words_is_told(error: Exception, said: str) -> None:
    assert reason(error).startswith(said)
    assert "_ssl" not in reason(error)


def test_causes_that_lead_in_a_circle_come_to_an_end() -> None:
    one, other = OSError("one"), OSError("other")
    one.args, other.args = (other,), (one,)
    assert reason(one) == "the connection broke"


def test_only_who_has_taken_a_connection_is_slow() -> None:
    assert is_slow(wrapped(ReadTimeoutError(POOL, "/", "Read timed out.")))  # type: ignore[arg-type]
    assert is_slow(ProtocolError("Connection aborted.", TimeoutError("timed out")))  # while a message is sent
    assert not is_slow(wrapped(ConnectTimeoutError("Connection timed out.")))
    assert not is_slow(ConnectionResetError(104, "Connection reset by peer"))


def test_a_fault_of_a_certificate_that_is_not_foreseen_is_told_in_the_words_of_openssl() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 23, "certificate revoked"
    assert certificate_fault(wrapped(error)) == "certificate revoked"
    assert certificate_fault(OSError()) == ""
