"""What a mirror is told over WSGI: the receiving routes, for the configured senders alone.

In: the pages' WSGI application and a Mirror. Out: a WSGI application that answers `/api/v1/mirror/...` and `/get.php`
itself. Every sender has to log in, writes its own meters and no others, and is told in one sentence what will not do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from powerpi.ask import choice, parameters
from powerpi.digests import Unit
from powerpi.errors import (
    ConflictError,
    FutureError,
    MethodError,
    StoreError,
    TooMuchError,
    UnknownNameError,
    UnreadyError,
    WireError,
    shown,
)
from powerpi.logins import Logins
from powerpi.messages import (
    MOST_PULSES,
    digests_message,
    read_push,
    read_rows,
    rows_message,
    standing_message,
    step_of_rows,
    time_on_grid,
)
from powerpi.mirror import Mirror
from powerpi.wire import API, PACKED_BYTES, gzipped, plain, unpack, whole

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

SAMPLES = "/get.php"
FORM_BYTES = 4096
PACKED_FROM_BYTES = 1000  # a shorter answer does not become shorter
TAKEN, REFUSED = b"0", b"1"  # the answers of the system that PowerPi replaces, always with status 200

Message = Mapping[str, Any]


def with_mirror(app: WSGIApplication, receiver: Receiver, logins: Logins) -> WSGIApplication:
    """Put the receiving routes in front of `app`. Raises PowerPiError in a request that is refused."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not receiver.takes(path):
            return app(environ, start_response)
        sender = logins.check(environ.get("HTTP_AUTHORIZATION", ""))
        if path == SAMPLES:
            return receiver.sample(sender, environ, start_response)
        return receiver.answer(sender, path.removeprefix(API), environ, start_response)

    return answer


class Receiver:
    """The routes: each parses what is asked, asks the mirror, and returns what it says."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._refused: dict[str, type[Exception]] = {}  # why samples are, by sender: logged once
        self._routes: dict[tuple[str, str], Callable[[str, str, WSGIEnvironment], Message]] = {
            ("GET", ""): self._standing,
            ("POST", ""): self._push,
            ("POST", "repair"): self._repair,
            ("POST", "counter"): self._counter,
            ("GET", "rows"): self._rows,
            ("GET", "digests"): self._digests,
        }

    def takes(self, path: str) -> bool:
        """Whether a path is one that senders ask for, and nobody else."""
        return path.startswith(API) or (path == SAMPLES and self._mirror.takes_samples)

    def answer(
        self, sender: str, path: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer with JSON."""
        meter, _, what = path.partition("/")
        methods = [method for method, route in self._routes if route == what]
        if not methods:
            raise UnknownNameError("no_page", name=shown(environ["PATH_INFO"]))
        if environ["REQUEST_METHOD"] not in methods:
            raise MethodError(methods)
        said = self._routes[environ["REQUEST_METHOD"], what](sender, meter, environ)
        return _json(environ, start_response, said)

    def _standing(self, sender: str, meter: str, environ: WSGIEnvironment) -> Message:
        parameters(environ.get("QUERY_STRING", ""), ())
        return standing_message(self._mirror.standing(sender, meter))

    def _push(self, sender: str, meter: str, environ: WSGIEnvironment) -> Message:
        return standing_message(self._mirror.push(sender, meter, read_push(_message(environ))))

    def _repair(self, sender: str, meter: str, environ: WSGIEnvironment) -> Message:
        return standing_message(self._mirror.repair(sender, meter, read_rows(_message(environ))))

    def _counter(self, sender: str, meter: str, environ: WSGIEnvironment) -> Message:
        pulses = whole(_message(environ).get("pulses"), "pulses", 0, MOST_PULSES)
        return standing_message(self._mirror.set_counter(sender, meter, pulses))

    def _rows(self, sender: str, meter: str, environ: WSGIEnvironment) -> Message:
        return rows_message(self._mirror.rows(sender, meter, _unit(environ)[0]))

    def _digests(self, sender: str, meter: str, environ: WSGIEnvironment) -> Message:
        return digests_message(self._mirror.digests(sender, meter, *_unit(environ)))

    def sample(self, sender: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Take a power sample the way of the system that PowerPi replaces: the answer is a figure."""
        if environ["REQUEST_METHOD"] != "POST":
            raise MethodError(["POST"])
        body = _body(environ, FORM_BYTES).decode("latin-1")
        try:
            form = parse_qs(body, keep_blank_values=True, max_num_fields=20)
            self._mirror.sample(sender, form.get("val", [""])[0])
            said = TAKEN
            self._refused.pop(sender, None)
        except (ValueError, ConflictError, FutureError, StoreError, UnreadyError) as error:
            said = REFUSED  # its sender knows no reasons, and ends for good at any other status
            if self._refused.get(sender) is not type(error):
                self._refused[sender] = type(error)
                log.warning("a sample of %s is refused: %s", sender, error)
        start_response("200 OK", _headers("text/html; charset=utf-8", said))
        return [said]


def _message(environ: WSGIEnvironment) -> dict[str, Any]:
    """The message in the body of a request. Raises WireError, TooMuchError."""
    parameters(environ.get("QUERY_STRING", ""), ())
    coding = environ.get("HTTP_CONTENT_ENCODING", "identity").lower()
    if coding not in ("gzip", "identity"):
        raise WireError(f"the body is encoded as {shown(coding)}: wanted gzip")
    return unpack(_body(environ, PACKED_BYTES), coding == "gzip")


def _body(environ: WSGIEnvironment, most: int) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > most:
        raise TooMuchError("too_much", most=most)
    return bytes(environ["wsgi.input"].read(int(length)))


def _unit(environ: WSGIEnvironment) -> tuple[Unit, bool]:
    """The span of rows that a query asks for, and whether the disk is to be read again. Raises WireError."""
    given = parameters(environ.get("QUERY_STRING", ""), ("step_seconds", "after", "until", "fresh"))
    step = step_of_rows(_figure(given, "step_seconds"))
    after, until = (time_on_grid(_figure(given, name), name, step) for name in ("after", "until"))
    if after >= until:
        raise WireError(f"after is {after} and until is {until}: wanted a time later than the first")
    return Unit(step, after, until), choice(given, "fresh", ("yes", "no"), "no") == "yes"


def _figure(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise WireError(f"{name} is {shown(text)}: wanted a whole number")
    return int(text)


def _json(environ: WSGIEnvironment, start_response: StartResponse, said: Message) -> Iterable[bytes]:
    body, headers = plain(said), []
    if len(body) >= PACKED_FROM_BYTES and "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "").lower():
        body, headers = gzipped(body), [("Content-Encoding", "gzip")]
    start_response(f"{HTTPStatus.OK.value} OK", [*_headers("application/json", body), *headers])
    return [body]


def _headers(content_type: str, body: bytes) -> list[tuple[str, str]]:
    return [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
