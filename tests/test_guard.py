"""The doorkeeper: which hosts are served, and with which status and headers an error is answered.

What else it does to answers is tested with the pages, in test_web.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from powerpi.errors import (
    BusyError,
    ConflictError,
    DamagedError,
    FutureError,
    MethodError,
    PowerPiError,
    ReaderError,
    RequestError,
    StoreError,
    TooMuchError,
    UnknownNameError,
    UnreadyError,
    WireError,
)
from powerpi.guard import PAGE_HEADERS, guarded, host_allowed, own_names
from powerpi.logins import LoginSlowError, LoginWantedError

NAMES = frozenset(own_names("raspi") | {"strom.example"})


@pytest.mark.parametrize(
    "header",
    ["192.168.1.7", "192.168.1.7:8080", "[fd00::7]", "[fd00::7]:8080", "8.8.8.8", "localhost", "localhost:80",
     "raspi", "RASPI:8080", "raspi.", "raspi.local", "raspi.fritz.box", "raspi.home.arpa", "raspi.lan",
     "other.local", "strom.example", "Strom.Example.:443"],
)  # fmt: skip
def test_addresses_local_names_and_known_names_are_served(header: str) -> None:
    assert host_allowed(header, NAMES)


@pytest.mark.parametrize(
    "header",
    ["", "evil.example", "raspi.evil.example", "192.168.1.7.evil.example", "evil.fritz.box", "local", "evillocal",
     "other", "fd00::7", "[fd00::7", "[zz]", "a b.local", "evil.example/.local", "evil@pi.local", "pi.local:80:80",
     "pi.local:port", "pi.local\n", "\xb2.local"],
)  # fmt: skip
def test_all_other_names_are_refused(header: str) -> None:
    assert not host_allowed(header, NAMES)


def test_own_name_with_a_domain_is_known_with_and_without_it() -> None:
    assert {"raspi.example.org", "raspi", "raspi.fritz.box"} <= own_names("raspi.example.org")


def answered(error: BaseException, method: str = "GET", path: str = "/x", language: str = "en") -> tuple[str, Any, str]:
    """Status, headers and body where the application raises an error."""
    began: list[Any] = []

    def failing(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise error

    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_HOST": "pi.local", "HTTP_ACCEPT_LANGUAGE": language}
    body = guarded(failing, (), lambda path: path == "/x")(environ, lambda *given: began.append(given) or list.append)
    [(status, headers)] = began
    assert len(headers) == len(dict(headers)), "a header is given twice"
    assert set(PAGE_HEADERS) <= set(headers)
    return status, dict(headers), b"".join(body).decode()


CHALLENGE = {"WWW-Authenticate": 'Basic realm="PowerPi", charset="UTF-8"'}
ERRORS: list[tuple[PowerPiError, int, dict[str, str]]] = [
    (RequestError("parameter_twice"), 400, {}),
    (WireError("after is 5: wanted a multiple of 10"), 400, {}),
    (LoginWantedError("login_wanted"), 401, CHALLENGE),
    (UnknownNameError("no_page", name="'/x'"), 404, {}),
    (MethodError(["GET", "POST"]), 405, {"Allow": "GET, POST"}),
    (MethodError(["POST"]), 405, {"Allow": "POST"}),
    (ConflictError("rows_conflict", after=10, newest=20), 409, {}),
    (ConflictError("rows_not_held", after=10, until=20), 409, {}),
    (TooMuchError("too_much", most=524_288), 413, {}),
    (FutureError("rows_future", time=10, seconds=20), 422, {}),
    (LoginSlowError("login_slow", 7), 429, {"Retry-After": "7"}),
    (ReaderError("rrdtool is away"), 503, {}),
    (StoreError("/x: No space left on device"), 503, {}),
    (BusyError("/x is being drawn"), 503, {}),
    (DamagedError("/x is damaged"), 503, {}),
    (UnreadyError("clock_unset"), 503, {}),
]


@pytest.mark.parametrize(("error", "status", "further"), ERRORS, ids=[f"{e.__class__.__name__}" for e, *_ in ERRORS])
def test_an_error_has_its_status_its_headers_and_one_sentence(
    error: PowerPiError, status: int, further: dict[str, str]
) -> None:
    for language in ("en", "de"):
        line, headers, body = answered(error, "POST", language=language)
        assert int(line.split()[0]) == status
        told = {"WWW-Authenticate", "Allow", "Retry-After"} & headers.keys()
        assert {name: headers[name] for name in told} == further
        assert (headers["Content-Type"], headers["Cache-Control"]) == ("text/plain; charset=utf-8", "no-store")
        assert (headers["Content-Language"], headers["Content-Length"]) == (language, str(len(body.encode())))
        assert body.endswith("\n")
        assert body.count("\n") == 1
        assert "{" not in body
    assert answered(error, "HEAD")[1:] == (answered(error)[1], "")


def test_what_nobody_foresaw_is_a_500_that_says_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    line, _, body = answered(ValueError("secret"), "POST")
    assert line.startswith("500 ")
    assert "secret" not in body
    assert "secret" in caplog.text


def test_what_takes_no_posts_is_never_asked() -> None:
    line, headers, _ = answered(AssertionError("asked"), "POST", "/other")
    assert (line.split()[0], headers["Allow"]) == ("405", "GET, HEAD")
