"""The other PowerPi, asked over HTTP(S); the only importer of requests.

Every failure becomes one of PeerError's leaves: each says what the caller should do. Certificates are always verified;
nothing but the configuration decides where the password goes: no proxy, no .netrc and no redirect is followed.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import quote

from requests import Response, Session
from requests.adapters import HTTPAdapter

from powerpi import __version__
from powerpi.config import PushSettings
from powerpi.digests import MOST_UNITS, Unit
from powerpi.errors import (
    CertificateError,
    LoginError,
    OutOfStepError,
    PeerError,
    RefusedError,
    SlowPeerError,
    TooLargeError,
    WireError,
    shown,
)
from powerpi.hosts import is_local
from powerpi.line import Line
from powerpi.messages import (
    Push,
    Rows,
    Standing,
    push_message,
    read_digests,
    read_rows,
    read_standing,
    rows_message,
)
from powerpi.reasons import FAILURES, authority_fault, certificate_fault, is_slow, reason
from powerpi.wire import API, GZIP, PLAIN_BYTES, pack, unpack

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0  # between two pieces of an answer
MOST_SECONDS = 300.0  # for a whole request and its answer: half a megabyte on the slowest of lines
SAID_CHARACTERS = 300  # of a refusal
CHUNK_BYTES = 65536

Value = TypeVar("Value")


class Peer:
    """A mirror, under one name and password; one request at a time."""

    def __init__(
        self, settings: PushSettings, answer_seconds: float = ANSWER_SECONDS, most_seconds: float = MOST_SECONDS
    ) -> None:
        self._settings = settings
        self._base = settings.url.geturl().rstrip("/")
        self._timeout = (CONNECT_SECONDS, answer_seconds)
        self._line = Line(most_seconds)
        self._session = self._open()

    def _open(self) -> Session:
        session = Session()
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # a mirror sets none
        for scheme in ("http://", "https://"):
            adapter = HTTPAdapter()
            adapter.poolmanager.pool_classes_by_scheme = self._line.pools()
            session.mount(scheme, adapter)
        if self._settings.user:
            session.auth = (self._settings.user.encode(), self._settings.password.encode())
        session.verify = str(self._settings.ca_file) if self._settings.ca_file else True
        session.headers.update(
            {"User-Agent": f"PowerPi/{__version__}", "Accept-Language": "en", "Accept-Encoding": "gzip"}
        )
        return session

    @property
    def name(self) -> str:
        """What to call it: the host of its address."""
        return self._settings.url.hostname or ""

    def close(self) -> None:
        """Hang up; the next request connects again."""
        self._session.close()

    def standing(self, meter: str) -> Standing:
        """What the mirror holds of a meter. Raises PeerError."""
        return self._ask("GET", f"{quote(meter)}", read_standing)

    def push(self, meter: str, push: Push) -> Standing:
        """Send new rows and the present state. Raises PeerError."""
        return self._ask("POST", f"{quote(meter)}", read_standing, push_message(push))

    def repair(self, meter: str, rows: Rows) -> None:
        """Send rows of the past that the mirror has otherwise, or not at all. Raises PeerError."""
        self._ask("POST", f"{quote(meter)}/repair", read_standing, rows_message(rows))

    def replace_counter(self, meter: str, pulses: int) -> None:
        """Have the mirror take a counter although it is lower than the one it knows. Raises PeerError."""
        self._ask("POST", f"{quote(meter)}/counter", read_standing, {"pulses": pulses})

    def rows(self, meter: str, unit: Unit) -> Rows:
        """The rows that the mirror holds of a unit. Raises PeerError."""
        found = self._ask("GET", f"{quote(meter)}/rows", read_rows, **unit._asdict())
        if found.unit != unit:
            raise RefusedError(f"{self.name} answered with other rows than it was asked for")
        return found

    def digests(self, meter: str, unit: Unit, fresh: bool) -> dict[Unit, str]:
        """The digests of the units in a span of time; `fresh`: of what is on disk now. Raises PeerError."""
        asked = {**unit._asdict(), "fresh": "yes" if fresh else "no"}
        return self._ask("GET", f"{quote(meter)}/digests", lambda said: read_digests(said, MOST_UNITS), None, **asked)

    def sample(self, text: str) -> bool:
        """Send a power sample to a server of the system that PowerPi replaces; whether it was taken.

        The address is that of the server, or of its get.php. Raises PeerError.
        """
        address = self._base if self._base.endswith(".php") else f"{self._base}/get.php"
        headers = {"Accept-Encoding": "identity"}
        with self._line.exchange():
            response = self._answered(
                lambda: self._session.request("POST", address, data={"val": text}, headers=headers, **self._how())
            )
            with response:
                said = self._body(response).strip()
        if said not in (b"0", b"1"):
            raise RefusedError(f"{self.name} answered {shown(said.decode('latin-1'))}: wanted 0 or 1, as get.php says")
        return said == b"0"

    def _ask(
        self,
        method: str,
        path: str,
        read: Callable[[Mapping[str, Any]], Value],
        message: Mapping[str, Any] | None = None,
        **query: object,
    ) -> Value:
        """One request and what `read` makes of its answer. Raises PeerError."""
        body, headers = None, {}
        if message is not None:
            body, headers = pack(message), {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        address = f"{self._base}{API}{path}"
        query_texts = {name: str(value) for name, value in query.items()}
        with self._line.exchange():
            response = self._answered(
                lambda: self._session.request(
                    method, address, params=query_texts, data=body, headers=headers, **self._how()
                )
            )
            with response:
                self._check_kind(response)
                said = self._body(response)
        try:
            return read(unpack(said, packed=_is_packed(response)))
        except WireError as error:
            raise RefusedError(f"{self.name} does not answer as a mirror would: {error}") from error

    def _how(self) -> dict[str, Any]:
        return {"timeout": self._timeout, "allow_redirects": False, "stream": True}

    def _answered(self, request: Callable[[], Response]) -> Response:
        """The answer to a request, if it is a good one. Raises PeerError."""
        self._check_route()
        try:
            response = request()
        except FAILURES as error:
            raise self._unanswered(error) from error
        if response.status_code != HTTPStatus.OK:
            with response:
                raise self._failure(response)
        return response

    def _unanswered(self, error: Exception) -> PeerError:
        """The error for a request that failed."""
        certificate, ca_file = certificate_fault(error), self._settings.ca_file
        if ca_file and self._settings.url.scheme == "https" and (fault := authority_fault(ca_file)):
            return CertificateError(f"[push] ca_file = {ca_file} cannot be used: {fault}")
        if self._line.was_cut:
            return SlowPeerError(f"{self.name} does not come to the end of its answer")
        if certificate:
            return CertificateError(f"the certificate of {self.name} will not do: {certificate}")
        if is_slow(error):
            return SlowPeerError(f"{self.name} does not answer in time")
        return PeerError(f"{self.name} cannot be reached: {reason(error)}")

    def _check_route(self) -> None:
        """Without TLS a name is only good for as long as it leads to the local network. Raises PeerError."""
        if self._settings.url.scheme == "https" or self._settings.allow_http:
            return
        try:
            found = socket.getaddrinfo(self.name, self._settings.url.port or 80, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise PeerError(f"{self.name} cannot be reached: {reason(error)}") from error
        foreign = [str(address[0]) for *_, address in found if not is_local(str(address[0]).partition("%")[0])]
        if foreign:
            raise RefusedError(
                f"{self.name} leads to {foreign[0]}, which is not in the local network: wanted https://, or allow_http"
            )

    def _check_kind(self, response: Response) -> None:
        """A mirror answers in JSON; a login page of some router does not. Raises RefusedError."""
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if not kind:
            raise PeerError(f"{self.name} broke off in the middle of an answer: the connection broke")
        if kind != "application/json":
            raise RefusedError(f"{self.name} answers with {shown(kind)}, not as a mirror would: is [push] url right?")

    def _body(self, response: Response) -> bytes:
        """The bytes of an answer as they came, not unpacked, and not more than are ever wanted. Raises PeerError."""
        body = bytearray()
        try:
            # not stream(): it reads a chunk's first line without a bound
            while len(body) <= PLAIN_BYTES and (piece := response.raw.read(CHUNK_BYTES, decode_content=False)):
                body += piece
        except FAILURES as error:
            if is_slow(error) or self._line.was_cut:
                raise SlowPeerError(f"{self.name} stopped in the middle of an answer") from error
            raise PeerError(f"{self.name} broke off in the middle of an answer: {reason(error)}") from error
        if self._line.was_cut:
            raise SlowPeerError(f"{self.name} stopped in the middle of an answer")
        if len(body) > PLAIN_BYTES:
            raise RefusedError(f"{self.name} answered with more than {PLAIN_BYTES} bytes")
        wanted = response.headers.get("Content-Length", "")
        if wanted.isdecimal() and len(body) < int(wanted[:20]):  # nobody else looks whether all is there
            raise PeerError(f"{self.name} broke off in the middle of an answer: the connection broke")
        return bytes(body)

    def _failure(self, response: Response) -> PeerError:
        """The error for an answer that is none."""
        status, sentence = response.status_code, self._sentence(response)
        said = f"{self.name} answered {status}{sentence}"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return LoginError(f"{self.name} does not take this user and password; it answered {status}{sentence}")
        if status == HTTPStatus.CONFLICT:
            return OutOfStepError(said)
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return TooLargeError(said)
        if 300 <= status < 400:
            there = shown(response.headers.get("Location", "elsewhere"))
            return RefusedError(f"{self.name} sends to {there}: write the right address into [push] url")
        if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500:
            return PeerError(said)
        return RefusedError(said)

    def _sentence(self, response: Response) -> str:
        """What the other side says about it, if that is plain text; else what the status means (RFC 9110)."""
        status = response.status_code
        phrase = f" {HTTPStatus(status).phrase}" if status in list(HTTPStatus) else ""
        if not response.headers.get("Content-Type", "").startswith("text/plain"):
            return phrase
        try:
            text = response.raw.read(4 * SAID_CHARACTERS, decode_content=False)
            if _is_packed(response):
                text = zlib.decompressobj(wbits=GZIP).decompress(text, 4 * SAID_CHARACTERS)
        except (*FAILURES, zlib.error):
            return phrase
        line = " ".join(text.decode("utf-8", "replace").split())[:SAID_CHARACTERS].rstrip(".")
        return f": {line}" if line.isprintable() and line else phrase


def _is_packed(response: Response) -> bool:
    """Whether an answer is gzipped; it is unpacked here, where a little that becomes a lot is stopped in time."""
    return bool(response.headers.get("Content-Encoding", "").lower() == "gzip")
