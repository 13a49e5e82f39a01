"""`powerpi export`: the rows of a meter as CSV, on standard output or in a file, whether PowerPi runs or not.

Only read, so everybody may who may read the state folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from zoneinfo import ZoneInfo

from powerpi import door, export, facts, moments, undo
from powerpi.clock import OLDEST_TIME
from powerpi.config import Settings
from powerpi.errors import DataError, NobodyError, RefusedError, StoreError, shown
from powerpi.folder import is_locked, locked_folder, storing
from powerpi.ledger import Ledger
from powerpi.new_file import NewFile
from powerpi.progress import Progress
from powerpi.store import Store
from powerpi.user import as_owner

LINES_AT_ONCE = 1000


class Wanted(NamedTuple):
    """What the command line asks."""

    meter: str
    step: str  # one of moments.STEPS
    start: str | None
    end: str | None
    output: Path | None  # None: standard output


def run(settings: Settings, wanted: Wanted) -> int:
    """Write the lines; returns the exit code. Raises DataError, StoreError."""
    start = _time("--from", wanted.start, settings.timezone)
    end = _time("--to", wanted.end, settings.timezone)
    if start is not None and end is not None and start >= end:
        raise DataError(f"--from {wanted.start} --to {wanted.end}: wanted an end after the beginning")
    rrd = settings.state / f"{wanted.meter}.rrd"
    try:
        imp_per_kwh = imp_per_kwh_of(settings, wanted.meter)
        if not rrd.exists():
            raise StoreError(f"nothing is stored of {wanted.meter} yet: there is no {rrd}")
        _bring_to_rest(settings, wanted.meter)
    except PermissionError as error:
        raise StoreError(f"{error.filename} may not be read by this user; try it with sudo") from error
    ledger = Ledger(rrd, Lock())
    with ExitStack() as stack:
        stack.enter_context(storing(wanted.output or Path("standard output")))
        write = _writer(wanted.output, settings.state, stack)
        progress = _progress(wanted, ledger, stack)
        found = export.lines(
            ledger, imp_per_kwh, settings.timezone, wanted.step, start=start, end=end, progress=progress
        )
        if not _write_all(found, write):
            print(f"powerpi export: nothing is known of {wanted.meter} in that time", file=sys.stderr)
        return os.EX_OK


def imp_per_kwh_of(settings: Settings, name: str) -> float:
    """The constant of a meter, counted here or received. Raises DataError for one that is not."""
    for meter in settings.meters:
        if meter.name == name:
            return meter.imp_per_kwh
    if name not in settings.names:
        raise DataError(f"there is no meter {shown(name)} here: wanted one of {', '.join(settings.names)}")
    told = facts.read(settings.state / f"{name}.mirrored", name)
    if told is None:
        raise DataError(f"nothing has come of {name} yet: its sender tells its constant")
    return told.imp_per_kwh


def _time(option: str, text: str | None, zone: ZoneInfo) -> int | None:
    """The moment that an option names. Raises DataError."""
    if text is None:
        return None
    try:
        return int(moments.Clocks(zone).unix(moments.read(text.strip())))
    except ValueError:
        raise DataError(f"{option} {shown(text)}: wanted a time such as {moments.EXAMPLES}") from None


def _bring_to_rest(settings: Settings, name: str) -> None:
    """Have what was counted so far written; without a PowerPi that runs put right what a killed one left behind."""
    try:
        door.ask(settings.state, "flush")
    except RefusedError:
        return  # one of another version: what is on disk is exported
    except NobodyError:
        if undo.read(settings.state / f"{name}.undo") and not is_locked(settings.state):
            with as_owner(settings.state), locked_folder(settings.state) as lock:
                Store(settings.state, name, settings.store.archive_years, Lock(), lock.hold).open(OLDEST_TIME)


def _writer(output: Path | None, state: Path, stack: ExitStack) -> Callable[[bytes], object]:
    """Where lines go. Raises StoreError."""
    if output is None:
        return sys.stdout.buffer.write
    return stack.enter_context(NewFile(output, force=True, closed=state)).file.write


def _progress(wanted: Wanted, ledger: Ledger, stack: ExitStack) -> Callable[[int], None]:
    """A bar, unless the lines themselves are on the terminal, or nobody sees it."""
    if wanted.output is None and (sys.stdout.isatty() or not sys.stderr.isatty()):
        return lambda _: None
    held = export.held(ledger)
    bar = stack.enter_context(Progress(f"Exporting {wanted.meter}", held.until - held.after))
    return lambda time: bar.to(time - held.after)


def _write_all(found: Iterator[str], write: Callable[[bytes], object]) -> bool:
    """Write headings and lines; whether there were any."""
    write(f"{export.HEADINGS}\n".encode())
    lines = False
    while chunk := "".join(islice(found, LINES_AT_ONCE)):
        write(chunk.encode())
        lines = True
    sys.stdout.flush()
    return lines
