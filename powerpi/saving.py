"""All that is kept of the meters to a sealed zip: README, "A backup's format", has the parts.

Rows are read as they lie on the disk, the oldest first, because the ring moves on while a PowerPi runs; each stretch of
them while nobody is writing.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from zipfile import ZipFile

from powerpi import anchors, facts, files, gaps, layout, register, saved
from powerpi.config import RESERVED_NAMES, MeterSettings, Settings
from powerpi.digests import Unit, digest, units
from powerpi.errors import DamagedError, StoreError
from powerpi.facts import Facts
from powerpi.folder import storing
from powerpi.layout import MEAN_SECONDS
from powerpi.ledger import Ledger, Span
from powerpi.messages import MOST_RATE, Standing
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.ring import NAN
from powerpi.saved import Saved
from powerpi.values import NAME

FORMAT, FORMAT_VERSION = "PowerPi backup", 1
HEAD, CONFIGURATION, EXPLANATION = "powerpi.json", "powerpi.conf", "README.txt"
ARCHIVE_NAMES = {STEP_SECONDS: "rows.f64", MEAN_SECONDS: "means.f64"}
MOST_METERS = 300  # in one backup: whoever reads it holds what it says of all of them
FILE_SUFFIXES = (".rrd", ".register")  # either of them makes a meter
EXPLAINED = f"""A backup of PowerPi, which counts the pulses of electricity meters.

{HEAD} says when it was made, by what, and of which meters. Of each meter NAME:

meters/NAME/meter.json   the lifetime counter in pulses, what is known of the meter, gaps, readings of its display, and
                         the span of each archive, by the seconds of its steps: the times after the first one, up to
                         the second (Unix seconds, UTC); digests are of PowerPi's own use
meters/NAME/rows.f64     a row for each 10 seconds of the span, its time is the END of its step: doubles (IEEE 754,
                         8 bytes, little-endian) in pulses per second, NaN where unknown
meters/NAME/means.f64    the same of means of 15 minutes

Power in watts is a row times 3 600 000 / imp_per_kwh, energy of a row in Wh its power times its seconds / 3600.
{CONFIGURATION} is the configuration without passwords. The zip's comment, which is the last 64 bytes of the file, is
the SHA-256 of all bytes before it.
"""


class Made(NamedTuple):
    """What was added of a meter."""

    saved: Saved
    rows: int  # that are known
    means: int  # likewise
    impossible_rows: int  # which no meter can have: the disk has changed them, and they are unknown in the backup
    fault: str = ""  # why none of its rows could be saved


class Origin(NamedTuple):
    """Where a meter comes from, as the configuration says."""

    facts: Facts | None
    received_from: str | None


def host_name() -> str:
    """What this machine is called in backups: a-z, A-Z, 0-9 and - alone."""
    return re.sub(r"[^A-Za-z0-9]+", "-", os.uname().nodename).strip("-")[:64] or "powerpi"


def meters(settings: Settings) -> dict[str, Origin]:
    """Every meter that has files in the state folder, those that the configuration has no more among them.

    Raises StoreError.
    """
    state = settings.state
    known = {meter.name: Origin(_configured(meter), None) for meter in settings.meters}
    known |= {
        own: Origin(facts.read(state / f"{own}.mirrored", own), sender.name)
        for sender in settings.senders
        for _, own in sender.meters
    }
    with storing(state):
        there = {path.stem for path in state.iterdir() if path.suffix in FILE_SUFFIXES and is_name(path.stem)}
    others = sorted(name for name in there - known.keys() if _is_ours(state / f"{name}.rrd"))
    names = [*(name for name in known if name in there), *others]
    return {name: known.get(name) or Origin(facts.read(state / f"{name}.mirrored", name), None) for name in names}


def _is_ours(rrd: Path) -> bool:
    """Whether files without a section in the configuration are a meter's: other RRDs may lie there as well."""
    with storing(rrd):
        try:
            layout.read(rrd)
        except FileNotFoundError:
            return register.read(rrd.with_suffix(".register")) is not None
        except DamagedError:
            return False
    return True


def is_name(text: str) -> bool:
    """Whether a meter may be called so: it is part of paths."""
    return NAME.fullmatch(text) is not None and text not in RESERVED_NAMES


def _configured(meter: MeterSettings) -> Facts:
    return Facts(meter.name, meter.label, meter.imp_per_kwh, meter.offset_kwh)


def begin(archive: ZipFile, configuration: str) -> None:
    """The parts that are no meter's: what this is, and the configuration. Raises OSError."""
    archive.writestr(EXPLANATION, EXPLAINED)
    archive.writestr(CONFIGURATION, configuration)


def end(
    archive: ZipFile, names: Sequence[str], time: int, version: str, *, identity: str = "", whole: bool = True
) -> None:
    """The part that says of what the others are, last; `whole`: with the rows of all meters. Raises OSError."""
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "time": time, "powerpi_version": version}
    head |= {"host": host_name(), "identity": identity or None, "whole": whole}
    archive.writestr(HEAD, _json({**head, "meters": list(names)}))


def save(
    archive: ZipFile, folder: Path, name: str, origin: Origin, progress: Callable[[float], None] = lambda _: None
) -> Made:
    """Add the parts of one meter whose files are in `folder`; returns what was added beside the rows.

    `progress` hears which share of it is done. Raises StoreError, BusyError, OSError.
    """
    rrd = folder / f"{name}.rrd"
    row, rows, fault = None, _Rows({}, {}, {}, 0), ""
    if rrd.exists():
        inode = rrd.stat().st_ino
        try:
            row, spans = Ledger(rrd, Lock()).held()
        except DamagedError as error:  # what runs sets it aside with its next row
            fault, spans = str(error), {}
        rows = _save_rows(archive, rrd, spans if row else {}, progress)
        if rrd.stat().st_ino != inode:
            raise StoreError(f"{rrd} was replaced while it was being saved; make the backup again")
        files.sync_file(rrd, forget=True)
    told, _ = gaps.read(rrd.with_suffix(".gaps"))
    readings, _ = anchors.read(anchors.path_of(rrd))
    standing = _standing(rrd, row, rows.spans, told, origin.facts)
    made = Saved(name, origin.facts, origin.received_from, standing, rows.digests, readings[-saved.MOST_READINGS :])
    archive.writestr(f"meters/{name}/meter.json", _json(saved.message(made)))
    return Made(made, rows.known.get(STEP_SECONDS, 0), rows.known.get(MEAN_SECONDS, 0), rows.impossible, fault)


class _Rows(NamedTuple):
    """What was saved of rows."""

    spans: dict[int, Span]
    digests: dict[Unit, str]
    known: dict[int, int]  # how many are, by the seconds of their steps
    impossible: int


def _save_rows(archive: ZipFile, rrd: Path, spans: Mapping[int, Span], progress: Callable[[float], None]) -> _Rows:
    """Add the rows of all archives, without the units before anything was known."""
    ledger, kept, found, known, impossible = Ledger(rrd, Lock()), {}, {}, dict.fromkeys(spans, 0), 0
    todo = [unit for step, span in spans.items() for unit in units(step, *span)]
    total, done = sum(unit.until - unit.after for unit in todo) or 1, 0
    for step, span in spans.items():
        kept[step] = Span(span.until, span.until)
        with archive.open(part_of(rrd.stem, step), "w") as out:
            for unit in units(step, *span):
                rates, count, strange = _possible(ledger.rows(unit))
                impossible += strange
                known[step] += count
                done += unit.until - unit.after
                progress(done / total)
                if not known[step]:
                    continue
                kept[step] = Span(min(kept[step].after, unit.after), span.until)
                out.write(_little(rates).tobytes())
                found[unit] = digest(rates)
    return _Rows(kept, found, known, impossible)


def _possible(rates: array[float]) -> tuple[array[float], int, int]:
    """The rows with those unknown that none can be; how many are known then, and how many cannot be."""
    known = [rate for rate in rates if rate == rate]  # noqa: PLR0124 (NaN: unknown)
    strange = 0 if not known or 0 <= min(known) <= max(known) <= MOST_RATE else sum(map(_is_strange, known))
    if strange:
        rates = array("d", (NAN if _is_strange(rate) else rate for rate in rates))
    return rates, len(known) - strange, strange


def _is_strange(rate: float) -> bool:
    return not (math.isnan(rate) or 0 <= rate <= MOST_RATE)


def part_of(name: str, step_seconds: int) -> str:
    """What the part with the rows of a meter is called."""
    return f"meters/{name}/{ARCHIVE_NAMES[step_seconds]}"


def _little(rates: array[float]) -> array[float]:
    """The same, with the bytes in the order of the file."""
    if sys.byteorder == "big":
        rates = array("d", rates)
        rates.byteswap()
    return rates


def _standing(
    rrd: Path, row: Row | None, spans: Mapping[int, Span], told: tuple[gaps.Gap, ...], known: Facts | None
) -> Standing:
    pulses, time = counter(rrd, row)
    return Standing(
        newest=row.time if row else None,
        newest_pulses=row.pulses if row else None,
        pulses=pulses,
        pulses_time=time,
        spans={step: (span.after, span.until) for step, span in spans.items()},
        offset_kwh=known.offset_kwh if known else 0.0,
        gaps=told,
    )


def counter(rrd: Path, newest: Row | None) -> tuple[int, int]:
    """The lifetime counter of a meter and its time, as a start would restore them. Raises StoreError."""
    with storing(rrd):
        stored = register.read(rrd.with_suffix(".register"))
    pulses, time = (stored.pulses, stored.time) if stored else (0, 0)
    if newest and time < newest.time:  # never below that of the newest row
        return max(pulses, math.ceil(newest.pulses)), newest.time
    return pulses, time


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
