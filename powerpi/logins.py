"""Who asks: HTTP basic authentication (RFC 7617) for a handful of names, on a small computer that others attack.

In: the value of an Authorization header. Out: the name that logged in, or the error to answer. scrypt makes each guess
costly for this machine too, so guesses are slowed down for each name, one scrypt runs at a time, and few requests wait
for it: at one Desk, which several Logins may share. A password that was right once is known again without scrypt, so
nobody can lock out a sender that logged in. Times are seconds of a monotonic clock. Nothing here logs, and no error
holds a password or a header.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from powerpi.errors import AnsweredError
from powerpi.passwords import PasswordHash, from_base64, matches, normalised

log = logging.getLogger(__name__)

MOST_HEADER_CHARACTERS = 2000
FREE_FAILURES = 3  # in a row, for one name; each later attempt waits
FIRST_PAUSE_SECONDS = 1  # doubles with each further failure
LONGEST_PAUSE_SECONDS = 60
MOST_WAITING = 4
BUSY_SECONDS = 2  # after which to try again when too many wait: about the time of a few scrypts on a Pi Zero

# The scheme is the same in capitals (RFC 9110, section 11.1); ASCII, or else the long s of "Baſic" is an s as well.
HEADER = re.compile(r"(?i:basic) +([A-Za-z0-9+/]+={0,2})", re.ASCII)

MARK_BYTES = 32
STRANGER = None  # stands for all names that are not known
NOBODY = PasswordHash(10, 8, 1, bytes(16), bytes(32))  # its parameters are those to use when no name is known


class LoginWantedError(AnsweredError):
    """No name and password, or not the right ones: answer 401 with the challenge."""


class LoginSlowError(AnsweredError):
    """Too many attempts, nothing was looked at: answer 429; try again after `retry_after_seconds`."""

    def __init__(self, key: str, retry_after_seconds: int) -> None:
        super().__init__(key, seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class _Failures(NamedTuple):
    """How often in a row a name failed, and until when (monotonic seconds) no attempt for it is looked at."""

    number: int = 0
    until: float = -math.inf


class Desk:
    """Where passwords are hashed one after the other; any thread may come.

    At most `most_waiting` requests wait while the password of another is hashed, so up to `most_waiting + 1` threads
    are held here: choose it so that the web server has more.
    """

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._places = threading.BoundedSemaphore(1 + most_waiting)
        self._one = threading.Lock()  # who has it may run scrypt

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other scrypt runs. Raises LoginSlowError at once if too many wait already."""
        if not self._places.acquire(blocking=False):
            raise LoginSlowError("login_slow", BUSY_SECONDS)
        try:
            with self._one:
                yield
        finally:
            self._places.release()


class Logins:
    """Tells who asks, from names and the hashes of their passwords; every thread may call `check`.

    `monotonic` gives seconds. Who has a turn at `desk` alone writes the tables of failures and of right passwords.
    """

    def __init__(
        self,
        known: Mapping[str, PasswordHash],
        monotonic: Callable[[], float] = time.monotonic,
        desk: Desk | None = None,
    ) -> None:
        self._known = dict(known)
        self._dummy = _dummy(self._known)
        self._monotonic = monotonic
        self._desk = desk or Desk()
        self._failures: dict[str | None, _Failures] = {}  # by known name, or STRANGER
        self._marks: dict[str, bytes] = {}  # of the passwords that were right, by known name
        self._secret = secrets.token_bytes(MARK_BYTES)

    def check(self, header: str) -> str:
        """The name that logged in with this value of an Authorization header; '' if there was no such header.

        Raises LoginWantedError when there is none, or it is malformed, or name or password is wrong; LoginSlowError
        while attempts for that name are slowed down, or too many requests wait.
        """
        read = _read(header)
        if read is None:
            raise LoginWantedError("login_wanted")
        name, password = read
        if self._remembered(name, password):
            return name
        self._refuse_hasty(name)  # here too, or else who waits for a pause to end takes the place of another
        with self._desk.turn():
            # while this request waited, another one with the same name may have come to an end
            if not self._remembered(name, password):
                self._refuse_hasty(name)
                self._look(name, password)
        return name

    def _look(self, name: str, password: str) -> None:
        """Compare with the hash, in the same time for a name that is not known. Raises LoginWantedError."""
        is_right = matches(password, self._known.get(name, self._dummy))
        if not is_right or name not in self._known:
            self._failed(self._counted_as(name))
            raise LoginWantedError("login_wanted")
        self._marks[name] = self._mark(name, password)
        self._failures.pop(name, None)

    def _remembered(self, name: str, password: str) -> bool:
        """Whether this password of this name was right before. It ends no row of failures: they are another's."""
        return hmac.compare_digest(self._mark(name, password), self._marks.get(name, bytes(MARK_BYTES)))

    def _mark(self, name: str, password: str) -> bytes:
        """What is kept of a right password: worth nothing outside of this process. No name has a colon in it."""
        return hashlib.blake2b(f"{name}:{password}".encode(), key=self._secret, digest_size=MARK_BYTES).digest()

    def _refuse_hasty(self, name: str) -> None:
        """Raise LoginSlowError while no attempt for this name is looked at."""
        seconds = self._failures.get(self._counted_as(name), _Failures()).until - self._monotonic()
        if seconds > 0:
            raise LoginSlowError("login_slow", math.ceil(seconds))

    def _failed(self, counted_as: str | None) -> None:
        number = self._failures.get(counted_as, _Failures()).number + 1
        self._failures[counted_as] = _Failures(number, self._monotonic() + _pause(number))
        if number in (1, FREE_FAILURES):
            who = "somebody unknown" if counted_as is STRANGER else counted_as
            log.warning("login of %s failed%s", who, "; it is slowed down from now on" if number > 1 else "")

    def _counted_as(self, name: str) -> str | None:
        return name if name in self._known else STRANGER


def challenge(realm: str) -> tuple[str, str]:
    """The header that an answer 401 carries. Raises ValueError for a realm that is not printable ASCII."""
    if not (realm.isascii() and realm.isprintable()):
        raise ValueError(f"A realm must be printable ASCII, not {realm!a}.")
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    return "WWW-Authenticate", f'Basic realm="{quoted}", charset="UTF-8"'


def basic(name: str, password: str) -> str:
    """The value of the Authorization header for a name and a password.

    Raises ValueError for a name with a colon, and for what `passwords.normalised` refuses.
    """
    if ":" in name:
        raise ValueError(f"A name to log in with has no colon: {name!a}.")
    return "Basic " + base64.b64encode(name.encode() + b":" + normalised(password).encode()).decode()


def _read(header: str) -> tuple[str, str] | None:
    """Name and normalised password of a header; None for anything else, so that no error carries them along."""
    match = HEADER.fullmatch(header) if len(header) <= MOST_HEADER_CHARACTERS else None
    if not match:
        return None
    try:
        name, _, password = from_base64(match[1]).decode().partition(":")
        return name, normalised(password)  # which refuses the empty one that is left where there is no colon
    except ValueError:
        return None


def _dummy(known: Mapping[str, PasswordHash]) -> PasswordHash:
    """A hash that no password has, as costly as those that are known; as the costliest if they differ."""
    costliest = max(known.values(), key=lambda one: one.p * one.r << one.log2_n, default=NOBODY)
    salt, key = secrets.token_bytes(len(costliest.salt)), secrets.token_bytes(len(costliest.key))
    return costliest._replace(salt=salt, key=key)


def _pause(failures: int) -> int:
    """For how many seconds nothing is looked at after so many failures in a row."""
    if failures < FREE_FAILURES:
        return 0
    doublings = min(failures - FREE_FAILURES, LONGEST_PAUSE_SECONDS.bit_length())  # no power grows without bound
    return min(FIRST_PAUSE_SECONDS << doublings, LONGEST_PAUSE_SECONDS)
