"""The doorkeeper: a WSGI layer that every request passes before a page sees it, and every answer after.

In: any WSGI application and the host names it answers to. Out: a WSGI application that serves reading requests
to known names only, sets the security headers on every answer, and turns every error into one plain sentence in the
language of the browser.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from powerpi.ask import error_language
from powerpi.errors import (
    AnsweredError,
    ConflictError,
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
    shown,
)
from powerpi.hosts import LOCAL_ENDS, is_address
from powerpi.logins import LoginSlowError, LoginWantedError, challenge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Headers = list[tuple[str, str]]

log = logging.getLogger(__name__)

MAX_TARGET_CHARACTERS = 1000  # path and query together; the longest address that the page itself asks for has 100

# These are public domains or might become ones: routers hand them out, so this machine's own name is served there.
ROUTER_ENDS = (".fritz.box", ".speedport.ip", ".home")

HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{0,5})?")

POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Opened on its own, rrdtool's SVG needs its style attributes for its colours, and browsers place a PNG by such.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
COMMON_HEADERS: Headers = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
PAGE_HEADERS: Headers = [("Content-Security-Policy", POLICY), *COMMON_HEADERS]
PICTURE_HEADERS: Headers = [("Content-Security-Policy", PICTURE_POLICY), *COMMON_HEADERS]
IMAGES = frozenset({("Content-Type", "image/svg+xml"), ("Content-Type", "image/png")})

STATUSES: tuple[tuple[type[PowerPiError], HTTPStatus], ...] = (
    (RequestError, HTTPStatus.BAD_REQUEST),
    (WireError, HTTPStatus.BAD_REQUEST),
    (LoginWantedError, HTTPStatus.UNAUTHORIZED),
    (MethodError, HTTPStatus.METHOD_NOT_ALLOWED),
    (ConflictError, HTTPStatus.CONFLICT),
    (TooMuchError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (FutureError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (LoginSlowError, HTTPStatus.TOO_MANY_REQUESTS),
    (UnknownNameError, HTTPStatus.NOT_FOUND),
    (ReaderError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnreadyError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class _RefusedError(AnsweredError):
    """A request that no page is asked about; carries its status."""

    def __init__(self, status: HTTPStatus, key: str, **values: object) -> None:
        super().__init__(key, **values)
        self.status = status


class _FailedError(AnsweredError):
    """What is answered where something else went wrong than the request."""


def guarded(
    app: WSGIApplication, names: Iterable[str], takes_posts: Callable[[str], bool] = lambda _: False
) -> WSGIApplication:
    """Put `app` behind the doorkeeper; `names` are the host names it answers to beside addresses and local names.

    `takes_posts` says of a path whether something may be sent there; all others can only be read.
    `app` may raise: the PowerPi errors become 4xx and 503 with their sentence, all others a logged 500.
    """
    known = lru_cache(maxsize=256)(partial(host_allowed, names=frozenset(name.lower() for name in names)))

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, *exc_info: Any) -> Callable[[bytes], object]:
            added = PAGE_HEADERS if IMAGES.isdisjoint(headers) else PICTURE_HEADERS
            return start_response(status, headers + added, *exc_info)

        try:
            _refuse_foreign(environ, known, takes_posts)
            return app(environ, start)
        except PowerPiError as error:
            return _sentence(environ, start, _status(error), _answered(error))
        except Exception:
            log.exception("Request %.200r failed", environ.get("PATH_INFO"))
            return _sentence(environ, start, HTTPStatus.INTERNAL_SERVER_ERROR, _FailedError("failed"))

    return answer


def own_names(hostname: str) -> set[str]:
    """The names that a local network gives to a machine called `hostname`, beside those with a local end."""
    bare = hostname.partition(".")[0]
    return {hostname, bare, "localhost", *(bare + end for end in ROUTER_ENDS)}


def host_allowed(header: str, names: frozenset[str]) -> bool:
    """Whether the `Host` header (with or without a port) names this machine: an address, a local name, or `names`.

    Everything else may be DNS rebinding: a name that its owner points at this machine in the public DNS.
    """
    match = HOST.fullmatch(header)
    if not match:
        return False
    name = (match["name"] or match["ipv6"]).lower().removesuffix(".")
    return name in names or name.endswith(LOCAL_ENDS) or is_address(name)


def _refuse_foreign(environ: WSGIEnvironment, known: Callable[[str], bool], takes_posts: Callable[[str], bool]) -> None:
    """Raise _RefusedError for what no page answers. Hosts come first: a foreign one learns nothing else."""
    host = environ.get("HTTP_HOST", "")
    if not known(host):
        raise _RefusedError(HTTPStatus.MISDIRECTED_REQUEST, "foreign_host", host=shown(host))
    path = environ.get("PATH_INFO", "")
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD") and not takes_posts(path):
        raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "read_only")
    _check_target(path, environ.get("QUERY_STRING", ""))


def _check_target(path: str, query: str) -> None:
    """Raise for an address that is too long or not UTF-8 text; `path` is bytes in Latin-1 (PEP 3333)."""
    if len(path) + len(query) > MAX_TARGET_CHARACTERS:
        raise _RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, "long_address", most=MAX_TARGET_CHARACTERS)
    if not _is_text(path):
        raise RequestError("unreadable_path")


def _is_text(path: str) -> bool:
    try:
        return path.encode("latin-1").decode("utf-8").isprintable()
    except UnicodeError:
        return False


def _status(error: PowerPiError) -> HTTPStatus:
    if isinstance(error, _RefusedError):
        return error.status
    known = (status for kind, status in STATUSES if isinstance(error, kind))
    return next(known, HTTPStatus.INTERNAL_SERVER_ERROR)


def _answered(error: PowerPiError) -> AnsweredError:
    """The error as it is answered; what is wrong with rrdtool or the disk is told in its own words."""
    if isinstance(error, AnsweredError):
        return error
    if isinstance(error, WireError):
        return _FailedError("message", reason=str(error))
    return _FailedError("reader" if isinstance(error, ReaderError) else "store", reason=str(error))


def _sentence(
    environ: WSGIEnvironment, start: StartResponse, status: HTTPStatus, error: AnsweredError
) -> Iterable[bytes]:
    """Answer with one sentence as plain text; HEAD gets the same headers and no body."""
    language = error_language(environ.get("QUERY_STRING", ""), environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    body = f"{error.sentence(language)}\n".encode("utf-8", "replace")
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Language", language),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        *_further_headers(status, error),
    ]
    start(f"{status.value} {status.phrase}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _further_headers(status: HTTPStatus, error: AnsweredError) -> Headers:
    """What a status tells beside its sentence (RFC 9110, 15.5.2 and 15.5.6; RFC 6585, 4)."""
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return [("Allow", ", ".join(error.methods) if isinstance(error, MethodError) else "GET, HEAD")]
    if status == HTTPStatus.UNAUTHORIZED:
        return [challenge("PowerPi")]
    return [("Retry-After", str(error.retry_after_seconds))] if isinstance(error, LoginSlowError) else []
