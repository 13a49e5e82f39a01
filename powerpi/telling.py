"""What a PowerPi tells its mirror of a meter beside the rows: the counter, the live figures, new gaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from powerpi import anchors
from powerpi.config import MeterSettings
from powerpi.gaps import Gap
from powerpi.messages import State
from powerpi.meter import Live


class Counted(Protocol):
    """A meter that is counted here."""

    live: Live


class Telling:
    """Makes the states of one meter; `stored_pulses` gives the counter that is on disk, as nothing else is told."""

    def __init__(
        self,
        settings: MeterSettings,
        meter: Counted,
        stored_pulses: Callable[[], int],
        monotonic: Callable[[], float],
        push_seconds: int,
    ) -> None:
        self._settings = settings
        self._meter = meter
        self._stored_pulses = stored_pulses
        self._monotonic = monotonic
        self._push_seconds = push_seconds
        self._telling: tuple[Gap, ...] | None = None
        self._told: tuple[Gap, ...] | None = None  # None: nobody knows what the mirror knows

    def state(self) -> State:
        """What is known now; the gaps only if they have changed since the mirror was told."""
        live, settings, now = self._meter.live, self._settings, self._monotonic()

        def age(time: float | None) -> float | None:
            return None if time is None else max(0.0, now - time)

        contact, pulses = live.contact, self._stored_pulses()
        closed_since = (live.begun if contact.since is None else contact.since) if contact.closed else None
        self._telling = live.gaps
        return State(
            label=settings.label,
            imp_per_kwh=settings.imp_per_kwh,
            offset_kwh=anchors.offset_kwh(live.anchors, pulses, settings.imp_per_kwh, settings.offset_kwh),
            pulses=pulses,
            interval_seconds=live.interval_seconds,
            last_pulse_age_seconds=age(live.last_pulse),
            begun_age_seconds=max(0.0, now - live.begun),
            contact_closed_age_seconds=age(closed_since),
            edges_rejected=contact.rejected,
            edges_lost=contact.lost,
            lost_edge_age_seconds=age(live.lost_edge),
            push_seconds=self._push_seconds,
            gaps=None if live.gaps == self._told else live.gaps,
        )

    def told(self) -> None:
        """The mirror has taken what was last made."""
        self._told = self._telling

    def forget(self) -> None:
        """It is not known what the mirror knows: it may be another one, or restored from a backup."""
        self._told = self._telling = None
