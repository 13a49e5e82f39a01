"""Builds what sends: the push thread, or the same without a thread for the command line.

The only one to import `peer`, and with it requests, and only where something is to be sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from powerpi.config import PushSettings, Settings
from powerpi.counting import Counting
from powerpi.errors import MissingError
from powerpi.keys import GET_PHP
from powerpi.ledger import Ledger
from powerpi.meter import Meter
from powerpi.push import Course, Push, Sending
from powerpi.sample_course import SampleCourse
from powerpi.sync import Twin
from powerpi.telling import Telling

if TYPE_CHECKING:
    from powerpi.peer import Peer

FLUSH_WAIT_SECONDS = 5.0


def open_peer(settings: PushSettings) -> Peer:
    """The mirror. Raises MissingError where the package requests is not installed."""
    try:
        from powerpi.peer import Peer  # noqa: PLC0415 (takes 10 MB: only where something is sent)
    except ImportError as error:
        raise MissingError("[push] takes the Python package requests: apt-get install python3-requests") from error
    return Peer(settings)


def course(settings: Settings, name: str, ledger: Ledger, peer: Peer) -> Course:
    """How a meter is sent."""
    push = settings.push
    assert push  # noqa: S101 (nothing is sent without)
    if push.protocol == GET_PHP:
        [imp_per_kwh] = [meter.imp_per_kwh for meter in settings.meters if meter.name == name]
        return SampleCourse(name, ledger, peer, imp_per_kwh, push.interval_seconds)
    return Twin(name, ledger, peer)


def build_push(
    settings: Settings,
    counting: Counting,
    ledgers: Mapping[str, Ledger],
    on_death: Callable[[str, BaseException], None],
) -> Push | None:
    """The push thread; None where nothing is to be sent. Raises MissingError."""
    push = settings.push
    if push is None:
        return None
    peer, clock = open_peer(push), counting.clock

    def sending(name: str) -> Sending:
        counted: Meter = counting.meters[name]
        [facts] = [meter for meter in settings.meters if meter.name == name]

        def stored_pulses() -> int:
            return counted.store.stored_pulses

        telling = Telling(facts, counted, stored_pulses, clock.monotonic, push.interval_seconds)
        return Sending(course(settings, name, ledgers[name], peer), telling, lambda: counted.store.last_time)

    return Push(
        peer.name,
        [sending(name) for name in push.meters],
        push.interval_seconds,
        trusted=lambda: counting.trusted,
        flush=lambda: counting.flush(FLUSH_WAIT_SECONDS),
        hang_up=peer.close,
        monotonic=clock.monotonic,
        now=lambda: clock.monotonic() + clock.offset(),
        on_death=on_death,
        always_flush=push.protocol == GET_PHP,  # such a server gets each interval when it is over
    )
