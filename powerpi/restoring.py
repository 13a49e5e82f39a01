"""`powerpi restore FILE`: a backup comes back, on any machine, and is held against what is here afterwards."""

from __future__ import annotations

import math
import os
import pwd
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from powerpi import anchors, backup, config, config_copy, facts, files, ini, restore
from powerpi.anchors import Anchor
from powerpi.backup_file import BackupFile
from powerpi.clock import OLDEST_TIME, SystemClock
from powerpi.comparing import Comparison, compare
from powerpi.digests import Unit
from powerpi.errors import ConfigError, StoreError
from powerpi.folder import FolderLock, is_locked, locked_folder, storing
from powerpi.keys import SECTIONS, key_of, kind_of
from powerpi.layout import MEAN_SECONDS
from powerpi.ledger import Ledger
from powerpi.new_file import NewFile
from powerpi.notify import service_command
from powerpi.progress import Progress
from powerpi.restore import Restored
from powerpi.saved import Saved
from powerpi.store import Store
from powerpi.units import WATT_HOURS_PER_KWH
from powerpi.user import ROOT, become_owner

SERVICE_USER = "powerpi"
BESIDE = "powerpi.conf.backup"  # in the state folder: the configuration of a backup, where there is another one

MOST_TOLD = 20  # readings that came back
NOT_NEEDED = SECTIONS.keys() - {"powerpi", "store"}
STAND_IN = ("[meter x]", "gpio = 2")  # there must be one


class Place(NamedTuple):
    """What has to be known of the configuration to put meters back."""

    state: Path
    archive_years: int
    timezone: ZoneInfo
    network_time: bool
    names: frozenset[str]  # of the meters that it knows


def from_file(conf: Path, file: Path) -> int:
    """Bring back what is not known here any more; without a configuration at `conf` that of the backup too.

    Returns the exit code: 1 when anything that was unknown here is not as in the backup. Raises BackupError,
    ConfigError, StoreError, RefusedError for times that cannot be.
    """
    with backup.opened(file) as opened, backup.named(file):
        with Progress(f"Checking {file.name}", 1) as bar:
            source = BackupFile(opened, lambda done, total: bar.to(done / total))
        place = _prepared(conf, file, source)
        with locked_folder(place.state) as lock:
            whole = [_restored(source, name, place, lock) for name in source.meters]
    return 0 if all(whole) else 1


def _prepared(conf: Path, file: Path, source: BackupFile) -> Place:
    """Have a configuration and a state folder, and go on as the owner of that. Raises ConfigError, StoreError."""
    missing = not os.path.lexists(conf)
    text = source.configuration if missing else _read(conf)
    place = _place(text)
    print(f"{file}: {backup.told(source, place.timezone)}")
    if is_locked(place.state):
        raise StoreError(
            f"a PowerPi runs on {place.state}: stop it first ({service_command('stop')}), and start it afterwards"
        )
    _make_state(place.state)
    if missing:
        _write_configuration(conf, text, place.state)
    become_owner(place.state)
    if not missing:
        _keep_configuration(conf, text, source, place.state)
    return place


def _read(conf: Path) -> str:
    """The text of a configuration whose sections for the state folder are right; what else it lacks is told.

    The one that a restore wrote may lack much, and the same command can be given again. Raises ConfigError.
    """
    try:
        config.load(conf)
    except ConfigError as error:
        try:
            text = conf.read_text(encoding="utf-8-sig")
            config.parse(_needed(text))
        except (OSError, UnicodeDecodeError, ConfigError):
            raise error from None
        for fault in error.faults:
            print(f"powerpi: {conf} is not complete: {fault}", file=sys.stderr)
        return text
    return conf.read_text(encoding="utf-8-sig")


def _needed(text: str) -> str:
    """A configuration without the sections that a restore does not need; all that may have been meant for one stays."""
    kept, keeps = [], True
    for line in text.splitlines():
        heading = ini.HEADING.match(line)
        if heading:
            keeps = kind_of(heading[1]) not in NOT_NEEDED
        kept.append(line if keeps else "")
    return "\n".join([*kept, *STAND_IN])


def _place(text: str) -> Place:
    """What a configuration says, even one that needs a look: what is wrong there has its default."""
    sections, _ = ini.read(text)
    names: frozenset[str] = frozenset()
    with suppress(ConfigError):
        names = frozenset(config.parse(text).names)
    return Place(
        _value("powerpi", "state", sections),
        _value("store", "archive_years", sections),
        _value("powerpi", "timezone", sections),
        _value("powerpi", "network_time", sections),
        names,
    )


def _value(section: str, name: str, sections: Mapping[str, Mapping[str, str]]) -> Any:
    key = key_of(section, name)
    try:
        return key.read(sections.get(section, {}).get(name, key.default))
    except ValueError:
        return key.read(key.default)


def _make_state(state: Path) -> None:
    """Make a state folder where there is none; root makes one that the service can use. Raises StoreError."""
    if state.exists():
        return
    with storing(state):
        state.mkdir(mode=0o750, parents=True)
        if os.geteuid() == ROOT:
            with suppress(KeyError):  # installed without the service
                account = pwd.getpwnam(SERVICE_USER)
                os.chown(state, account.pw_uid, account.pw_gid)


def _write_configuration(conf: Path, text: str, state: Path) -> None:
    """Put the configuration of a backup where there is none, and say what it lacks. Raises StoreError."""
    with storing(conf), NewFile(conf) as new:
        new.file.write(text.encode())
    if os.geteuid() == ROOT:
        with storing(conf):  # those who run it may read it, and nobody else
            os.chown(conf, ROOT, state.stat().st_gid)
    print(f"wrote {conf} as it was, without passwords")
    for line in _wanting(text):
        print(f"  {line}")


def _wanting(text: str) -> list[str]:
    """What has to be written into a configuration before all is as it was."""
    lines = [f"[{name}] is a comment until it has a new {keys}" for name, keys in config_copy.left_out(text)]
    if any(name.startswith("viewer ") for name, _ in config_copy.left_out(text)):
        lines.append("without viewers everybody who reaches the page may look")
    try:
        config.parse(text)
    except ConfigError as error:
        lines += [f"it is not complete: {fault}" for fault in error.faults]
    return lines


def _keep_configuration(conf: Path, text: str, source: BackupFile, state: Path) -> None:
    """Put the configuration of a backup beside the meters where another one is in use. Raises StoreError."""
    if source.configuration in (text, config_copy.plain(text)):
        return
    kept = state / BESIDE
    with storing(kept):
        files.replace(kept, source.configuration)
    print(f"{conf} stays as it is; that of the backup is another one and lies in {kept}")


# ---------------------------------------------------------------- one meter


def _restored(source: BackupFile, name: str, place: Place, lock: FolderLock) -> bool:
    """Bring one meter back, compare, and say how it went; whether what was unknown here is as in the backup."""
    gate = Lock()
    store = Store(place.state, name, place.archive_years, gate, lock.hold)
    ledger = Ledger(store.rrd, gate, lock.hold)
    before = Comparison()
    if store.rrd.exists():
        for note in store.open(OLDEST_TIME)[1]:
            print(f"{name}: {note}", file=sys.stderr)
        before = compare(source, name, ledger)
    means = _known_means(ledger)
    with Progress(f"Restoring {name}", 1) as bar:
        found = restore.restore(
            name, store, ledger, source, _now(source, place), progress=lambda done, total: bar.to(done / max(total, 1))
        )
    means = _known_means(ledger) - means
    readings = _bring_rest(store.rrd, source.meters[name])
    with Progress(f"Comparing {name}", 1) as bar:
        after = compare(source, name, ledger if store.rrd.exists() else None, bar.to)
    if store.rrd.exists():
        with storing(store.rrd):
            files.sync_file(store.rrd, forget=True)
    print(f"{name}: {_told(found, means, after, place.timezone)}")
    if readings:
        print(f"{name}: {_readings_told(name, readings, place.timezone)}")
    if name not in place.names:
        print(f"{name}: the configuration has no meter of that name; its files are complete for the day it has")
    return not after.missing and after.different <= before.different


def _now(source: BackupFile, place: Place) -> float:
    """Unix seconds; a clock that nobody vouches for is no earlier than the backup."""
    trusted = SystemClock(place.network_time).trusted()
    return time.time() if trusted else max(time.time(), source.head.time)


def _told(found: Restored | None, means: int, after: Comparison, zone: ZoneInfo) -> str:
    if found is None:
        return "the backup has neither rows nor a counter of it"
    return "; ".join(
        [
            f"{found.rows} rows and {found.means} means came back{_more(means - found.means)}",
            f"the counter stands at {found.pulses} pulses (before: {found.pulses_before})",
            *found.notes,
            *backup.differences(after, zone, "the backup"),
        ]
    )


def _more(means: int) -> str:
    """That most means need not come back."""
    return f" ({means} more means follow from these rows)" if means > 0 else ""


def _known_means(ledger: Ledger) -> int:
    """How many means are known; 0 where there is no RRD."""
    span = ledger.spans().get(MEAN_SECONDS) if ledger.rrd.exists() else None
    return sum(not math.isnan(mean) for mean in ledger.rows(Unit(MEAN_SECONDS, *span))) if span else 0


def _readings_told(name: str, readings: Sequence[Anchor], zone: ZoneInfo) -> str:
    """Which readings came back: one that had been taken away here is among them again."""
    told = [
        f"{anchor.watt_hours / WATT_HOURS_PER_KWH:.{anchors.decimals([anchor])}f} kWh of"
        f" {datetime.fromtimestamp(anchor.time, zone):%F %T}"
        for anchor in reversed(readings)
    ]
    if len(told) > MOST_TOLD:
        told[MOST_TOLD:] = [f"and {len(told) - MOST_TOLD} older ones"]
    way = f"`powerpi reading {name} --remove TIME` takes away one that is wrong"
    return f"readings of the display came back: {', '.join(told)}; {way}"


def _bring_rest(rrd: Path, saved: Saved) -> list[Anchor]:
    """Bring back readings of the display that are not known here, and what the sender of a received meter said.

    Returns these readings, oldest first. Raises StoreError.
    """
    path = anchors.path_of(rrd)
    own, damaged = anchors.read(path)
    whole = anchors.merged([*saved.readings, *own])
    if whole != own:
        with storing(path):
            anchors.write(path, whole, damaged)
    told = rrd.with_suffix(".mirrored")
    if saved.received_from and saved.facts and not told.exists():
        facts.write(told, saved.facts)
    return [anchor for anchor in whole if anchor not in own]
