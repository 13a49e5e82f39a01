"""How the mirror of this machine stands, and what of that somebody has to look at."""

from __future__ import annotations

from typing import NamedTuple

from powerpi.errors import (
    CertificateError,
    LoginError,
    PeerError,
    PowerPiError,
    RefusedError,
    SlowPeerError,
    StoreError,
)
from powerpi.readings import Notice

STUCK_SECONDS = 4500.0  # the longest interval, and what a message may take
LATE_SECONDS = 600.0  # a mirror that is away for no longer is not worth a notice
AT_ONCE = ("certificate", "login", "refused", "store", "failed")  # does not go away by itself
LATER = ("away", "slow")

KINDS: tuple[tuple[type[PowerPiError], str], ...] = (
    (CertificateError, "certificate"),
    (LoginError, "login"),
    (RefusedError, "refused"),
    (SlowPeerError, "slow"),
    (PeerError, "away"),
    (StoreError, "store"),
)


class PushStatus(NamedTuple):
    """How the mirror stands; times are Unix seconds."""

    host: str
    in_step: bool = False
    behind_rows: int | None = None  # on disk here, not there; None: the mirror has not said yet what it holds
    since: float | None = None  # when it was last in step; None: not since the start ...
    tried: float | None = None  # ... and then this is since when it fails
    why: str | None = None  # clock, away, slow, certificate, login, refused, store or failed; None: it is under way
    said: str | None = None  # why, in a sentence of English
    identical_until: int | None = None  # newest row up to which both ends are known to hold the same
    repaired_rows: int = 0  # since the start
    healed_rows: int = 0
    damaged_rows: int = 0  # as last seen
    only_there_rows: int = 0
    counter_ahead: int = 0  # by how many pulses the mirror's counter is above the one here


def push_notices(status: PushStatus, now: float) -> list[Notice]:
    """What somebody has to look at; `now` is Unix seconds. That the clock is not set is told elsewhere."""
    notices = []
    since = status.tried if status.since is None else status.since
    late = since is not None and now - since > LATE_SECONDS
    if status.in_step and since is not None and now - since > STUCK_SECONDS:
        notices.append(Notice("push_slow", None, None))  # a message is under way for longer than any may take
    if status.why in AT_ONCE or (status.why in LATER and late):
        notices.append(Notice(f"push_{status.why}", None, status.said))
    for key, count in (
        ("push_damaged", status.damaged_rows),
        ("push_only_there", status.only_there_rows),
        ("push_counter", status.counter_ahead),
    ):
        if count:
            notices.append(Notice(key, None, str(count)))
    return notices


def why_of(error: PowerPiError) -> str:
    """Why a round failed, as PushStatus tells it."""
    return next((why for kind, why in KINDS if isinstance(error, kind)), "failed")
