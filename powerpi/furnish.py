"""Builds what is read and drawn: the reading child, and the rooms of meters, counted here or received."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from zoneinfo import ZoneInfo

from powerpi.config import Settings
from powerpi.house import Room
from powerpi.locales import locale_environment
from powerpi.meter import Meter
from powerpi.mirrored import MirroredMeter
from powerpi.reader import Reader
from powerpi.readings import Energies, Facts, MeterReadings
from powerpi.totals import Span, Total, total_arguments, totals


def build_reader(settings: Settings, gate: Lock) -> tuple[Reader, Callable[[str], bool]]:
    """The reading child, in the configured time zone, and whether it names weekdays in a language."""

    @cache
    def locale(language: str) -> tuple[Mapping[str, str], bool]:
        return locale_environment(language, settings.state / "locale")

    def environment(language: str) -> Mapping[str, str]:
        own = {"TZ": settings.timezone.key, "XDG_CACHE_HOME": str(settings.state / "cache")}
        return {**own, **locale(language)[0]}

    return Reader(gate, environment), lambda language: locale(language)[1]


def counted_room(facts: Facts, counted: Meter, reader: Reader, zone: ZoneInfo) -> Room:
    """The room of a meter that is counted here."""
    return Room(counted, _readings(facts, counted.store.rrd, reader, zone))


def received_room(received: MirroredMeter, reader: Reader, zone: ZoneInfo) -> Room:
    """The room of a meter that is sent here, once its facts are known."""
    assert received.facts  # noqa: S101 (there is no room before)
    return Room(received, _readings(received.facts, received.store.rrd, reader, zone), received)


def _readings(facts: Facts, rrd: Path, reader: Reader, zone: ZoneInfo) -> MeterReadings:
    def read(rrd: Path, spans: Sequence[Span], step_seconds: int) -> list[Total]:
        return totals(reader.graph(total_arguments(rrd, spans, step_seconds)).prints)

    return MeterReadings(facts, Energies(rrd, facts.imp_per_kwh, read), zone)
