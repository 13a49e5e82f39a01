"""`powerpi reading`: what the meter's display shows, noted; how well was counted between two readings.

While PowerPi runs it does the work, asked through its door; without it the command does, alone in the state folder.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import NamedTuple
from zoneinfo import ZoneInfo

from powerpi import anchors, door, gaps, typed
from powerpi.anchors import LEAST_UNKNOWN_SECONDS, Anchor, Interval, Noted
from powerpi.clock import OLDEST_TIME, SystemClock
from powerpi.config import MeterSettings, Settings
from powerpi.errors import NobodyError, RefusedError, StoreError
from powerpi.folder import is_locked, locked_folder
from powerpi.gaps import Gap
from powerpi.ledger import Ledger
from powerpi.noting import Answer, Place, Present, Wish, fulfil, heard
from powerpi.page_noted import interval_text
from powerpi.periods import span_text
from powerpi.pulses import Knot
from powerpi.store import Store
from powerpi.texts import texts
from powerpi.units import WATT_HOURS_PER_KWH

WORDS = {**texts("en"), "group_sign": ""}  # as it can be typed again
YES = ("y", "yes")


class Typed(NamedTuple):
    """What was typed, as text."""

    meter: str
    kwh: str | None = None
    at: str | None = None
    remove: str | None = None
    new_meter: bool = False
    yes: bool = False


def run(settings: Settings, asked: Typed) -> int:
    """Note a reading, take one away, or list all; returns the exit code. Raises NobodyError, StoreError."""
    try:
        meter = settings.counted(asked.meter, "its readings are noted where it is counted")
        wish = _wish(settings.timezone, asked)
        answer = _answered(settings, meter, wish)
        if answer.question:
            if not _agreed(answer.question):
                print("nothing was changed", file=sys.stderr)
                return os.EX_DATAERR
            sure = wish._replace(sure=True)
            answer = _answered(settings, meter, sure._replace(remove=answer.time) if asked.remove else sure)
    except (ValueError, RefusedError) as error:
        print(f"powerpi: {error}", file=sys.stderr)
        return os.EX_DATAERR
    for line in _report(meter.name, wish, answer, settings.timezone):
        print(line)
    return os.EX_OK


def _wish(zone: ZoneInfo, asked: Typed) -> Wish:
    """What is wanted. Raises ValueError."""
    if asked.remove is not None:
        if asked.kwh is not None or asked.at is not None:
            raise ValueError("--remove takes a reading away: wanted neither kWh nor --at beside it")
        return Wish(remove=typed.unix_time(asked.remove, zone), new_meter=asked.new_meter, sure=asked.yes)
    if asked.kwh is None:
        if asked.at is not None or asked.new_meter:
            raise ValueError(f"{'--at' if asked.at else '--new-meter'} goes with a reading: wanted kWh as well")
        return Wish()
    at = None if asked.at is None else typed.unix_time(asked.at, zone)
    return Wish(typed.reading(asked.kwh), at, asked.new_meter, sure=asked.yes)


def _agreed(question: str) -> bool:
    """Whether somebody at the keyboard says yes; nobody there says no."""
    if not sys.stdin.isatty():
        print(f"powerpi: {question}: wanted --yes if that is right", file=sys.stderr)
        return False
    try:
        return input(f"{question}. Is that right? [y/N] ").strip().lower() in YES
    except EOFError:
        return False


# ---------------------------------------------------------------- who does it


def _answered(settings: Settings, meter: MeterSettings, wish: Wish) -> Answer:
    """What the PowerPi that runs answers, or this command itself. Raises RefusedError, NobodyError, StoreError."""
    try:
        return heard(door.ask(settings.state, "reading", meter=meter.name, **wish._asdict()))
    except NobodyError:
        if is_locked(settings.state):
            raise
    except (KeyError, TypeError) as error:
        raise RefusedError("the PowerPi that runs is of another version: wanted it restarted") from error
    if not settings.state.is_dir():  # made by this user, it might not be the service's
        raise StoreError(f"there is no folder {settings.state} yet: wanted PowerPi started once before")
    if wish.watt_hours is not None and not SystemClock(settings.network_time).trusted():
        raise RefusedError("the clock is not synchronised, and a reading needs its time: wanted once it is")
    with locked_folder(settings.state) as lock:
        return fulfil(_place(settings, meter, lock.hold), wish)


def _place(settings: Settings, meter: MeterSettings, hold: Callable[[], None]) -> Place:
    """Where readings are noted while no PowerPi runs. Raises StoreError."""
    gate = Lock()
    store = Store(settings.state, meter.name, settings.store.archive_years, gate, hold)
    pulses, notes = store.open(OLDEST_TIME) if store.rrd.exists() else store.open_counter()
    noted = Noted(anchors.path_of(store.rrd))
    for note in (*notes, *noted.notes, *anchors.lost_notes(noted.all, pulses)):
        print(f"{meter.name}: {note}", file=sys.stderr)
    known, _ = gaps.read(store.rrd.with_suffix(".gaps"))
    waiting = (Gap(store.known_until, None, gaps.STOPPED),) if store.known_until else ()

    def present(exact: bool) -> Present:  # noqa: ARG001 (nothing moves while nobody counts)
        return Present(Knot(time.time(), pulses), (*known, *waiting))

    return Place(meter, settings.timezone, noted, Ledger(store.rrd, gate, hold), present, lambda: None, hold)


# ---------------------------------------------------------------- what is said


def _report(name: str, wish: Wish, answer: Answer, zone: ZoneInfo) -> list[str]:
    """What was done, and how it stands; the list of all readings where nothing was to be done."""
    decimals = max(1, anchors.decimals(answer.anchors))
    display = f"{name}: the display shows {_number(answer.display_watt_hours, decimals)} kWh now"
    if wish.remove is not None and answer.replaced:
        return [f"{name}: {_reading(answer.replaced, zone)} was taken away", display]
    if wish.watt_hours is None:
        return [*_listed(name, answer, zone), display]
    found = anchors.intervals(answer.anchors, answer.imp_per_kwh, answer.gaps)
    place = (answer.time, wish.new_meter)
    index = next(index for index, anchor in enumerate(answer.anchors) if anchor.place == place)
    lines = [f"{name}: {_reading(answer.anchors[index], zone)} is noted{_instead(answer.replaced)}"]
    since = found[index]
    if since:
        lines.append(_said(since, _series(answer, index), zone))
        lines += _in_all(answer, index, zone)
    if answer.unknown_seconds >= LEAST_UNKNOWN_SECONDS:
        span = span_text(answer.unknown_seconds)
        lines.append(f"of the time since then {span} are unknown: what the display shows now lacks what was used then")
    return [*lines, display]


def _instead(replaced: Anchor | None) -> str:
    if replaced is None:
        return ""
    return f" in the place of {_number(replaced.watt_hours, anchors.decimals([replaced]))} kWh"


def _listed(name: str, answer: Answer, zone: ZoneInfo) -> list[str]:
    """A line for each reading, with how well was counted since the one before."""
    if not answer.anchors:
        return [f"{name}: no reading is noted; `powerpi reading {name} KWH` notes what the display shows"]
    lines = []
    found = anchors.intervals(answer.anchors, answer.imp_per_kwh, answer.gaps)
    for index, (anchor, since) in enumerate(zip(answer.anchors, found, strict=True)):
        said = f"  {_said(since, _series(answer, index), zone)}" if since else ""
        lost = index > 0 and anchors.is_lost(answer.anchors[index - 1], anchor)
        mark = "  new meter" if anchor.new_meter else "  the counter was lost before" if lost else ""
        lines.append(f"{_reading(anchor, zone)}{mark}{said}")
    return [*lines, *_in_all(answer, len(answer.anchors) - 1, zone)]


def _series(answer: Answer, index: int) -> tuple[Anchor, ...]:
    """The readings of the meter that the one at `index` is of."""
    ends = (number for number in range(index + 1, len(answer.anchors)) if answer.anchors[number].new_meter)
    return anchors.series(answer.anchors[: next(ends, None)])[-1]


def _in_all(answer: Answer, index: int, zone: ZoneInfo) -> list[str]:
    """How well was counted from the first to the last reading of a meter, where there are others in between."""
    series = _series(answer, index)
    if len(series) <= 2:  # which have been told
        return []
    whole = anchors.whole_interval(series, answer.imp_per_kwh, answer.gaps)
    return [f"in all: {_said(whole, series, zone)}"] if whole else []


def _said(interval: Interval, series: tuple[Anchor, ...], zone: ZoneInfo) -> str:
    return interval_text(interval, anchors.decimals(series), WORDS, zone).replace("\u00a0", " ")


def _reading(anchor: Anchor, zone: ZoneInfo) -> str:
    """A reading with its time; with the seconds where there are any, as `--remove` takes it."""
    time_format = "%F %T" if anchor.time % 60 else "%F %H:%M"
    when = f"{datetime.fromtimestamp(anchor.time, zone):{time_format}}"
    return f"{when}  {_number(anchor.watt_hours, anchors.decimals([anchor]))} kWh"


def _number(watt_hours: float, decimals: int) -> str:
    return f"{watt_hours / WATT_HOURS_PER_KWH:.{decimals}f}"
