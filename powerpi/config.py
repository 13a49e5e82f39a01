"""The configuration file (INI) to frozen settings; every fault at once, or none and a start."""

from __future__ import annotations

import os
import pwd
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult
from zoneinfo import ZoneInfo

from powerpi import ini
from powerpi.errors import ClosedConfigError, ConfigError, DataError, shown
from powerpi.faults import Fault, Faults, fault, value_shown
from powerpi.hosts import is_local
from powerpi.keys import GET_PHP, NAMED, SECTIONS, key_of, kind_of
from powerpi.passwords import PasswordHash
from powerpi.values import NAME

DEFAULT_PATH = Path("/etc/powerpi.conf")
RESERVED_NAMES = ("api", "health", "help", "lock", "static")  # paths and files of our own
CREDENTIALS = ("user", "password")


@dataclass(frozen=True)
class MeterSettings:
    """One [meter NAME] section."""

    name: str
    label: str
    gpio: int
    imp_per_kwh: float
    pull: str
    min_pulse_ms: float
    offset_kwh: float


@dataclass(frozen=True)
class StoreSettings:
    """The [store] section."""

    flush_seconds: int
    register_seconds: int
    archive_years: int


@dataclass(frozen=True)
class BackupSettings:
    """The [backup] section."""

    folder: Path | None = None  # None: in the state folder
    keep: int = 8


@dataclass(frozen=True)
class PushSettings:
    """The [push] section."""

    url: SplitResult
    user: str
    password: str = field(repr=False)
    ca_file: Path | None
    interval_seconds: int
    meters: tuple[str, ...]  # all of them named
    protocol: str  # POWERPI or GET_PHP of keys
    allow_http: bool


@dataclass(frozen=True)
class SenderSettings:
    """One [mirror NAME] section: who may send what."""

    name: str
    password_hash: PasswordHash = field(repr=False)
    meters: tuple[tuple[str, str], ...]  # as the sender calls it, as it is called here
    protocol: str  # POWERPI or GET_PHP of keys
    imp_per_kwh: float
    sample_seconds: int


@dataclass(frozen=True)
class ViewerSettings:
    """One [viewer NAME] section: who may look, where not everybody may."""

    name: str
    password_hash: PasswordHash = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """The whole configuration."""

    state: Path
    listen: tuple[str, int]
    timezone: ZoneInfo
    network_time: bool
    clock_wait_seconds: int
    host_names: tuple[str, ...]
    meters: tuple[MeterSettings, ...]
    store: StoreSettings
    backup: BackupSettings = BackupSettings()
    push: PushSettings | None = None  # None: nothing is sent
    senders: tuple[SenderSettings, ...] = ()  # none unless this is a mirror
    viewers: tuple[ViewerSettings, ...] = ()  # none: everybody may look

    @property
    def names(self) -> list[str]:
        """All meters that have files here, counted or received."""
        return [*(meter.name for meter in self.meters), *(own for sender in self.senders for _, own in sender.meters)]

    def counted(self, name: str, instead: str) -> MeterSettings:
        """The meter of that name, counted here. Raises DataError, for a received one with what to do `instead`."""
        for meter in self.meters:
            if meter.name == name:
                return meter
        for sender in self.senders:
            if name in (own for _, own in sender.meters):
                raise DataError(f"{name} is received from {sender.name}: {instead}")
        known = ", ".join(meter.name for meter in self.meters) or "none"
        raise DataError(f"there is no meter {shown(name)} here: wanted one that is counted here ({known})")


def user_name() -> str:
    """Whom this process works as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a number without a name
        return f"user {os.geteuid()}"


def load(path: Path) -> Settings:
    """The settings in the file at `path`. Raises ConfigError with every fault."""
    try:
        return parse(path.read_text(encoding="utf-8-sig"))  # Windows' editor puts a mark before the text
    except UnicodeDecodeError as error:
        said = f" is not UTF-8 text: {error.reason} at byte {error.start}"
        raise ConfigError([Fault(f"{path}{said}", f"{path.name}{said}")], str(path)) from error
    except PermissionError as error:
        said = f" may not be read by {user_name()}: try it with sudo"
        raise ClosedConfigError([Fault(f"{path}{said}", f"{path.name} may not be read")], str(path)) from error
    except OSError as error:
        said = f" cannot be read: {error.strerror}; a sample is init/powerpi.conf"
        raise ConfigError([Fault(f"{path}{said}", f"{path.name}{said}")], str(path)) from error
    except ConfigError as error:
        raise ConfigError(error.faults, str(path)) from error


def parse(text: str) -> Settings:
    """The settings in the text of a configuration file. Raises ConfigError with every fault."""
    sections, wrong_lines = ini.read(text)
    faults = Faults(text)
    faults += [Fault(line, line) for line in wrong_lines]
    kinds = {name: kind_of(name) for name in sections}
    for name in [name for name, kind in kinds.items() if kind not in SECTIONS]:
        faults.unknown_section(name)
    single = {kind: _values(kind, sections.get(kind, {}), faults) for kind in ("powerpi", "store", "backup", "mirror")}
    many = {
        kind: [_named(name, kind, sections[name], faults) for name in sections if kinds[name] == kind]
        for kind in NAMED.values()
    }
    push = _values("push", sections["push"], faults) if "push" in sections else None
    accepting = single["mirror"].get("accept", False)
    faults += _together(many, push, accepting)
    if many["sender"] and "accept" not in sections.get("mirror", {}):
        said = ": wanted accept = yes (or no) in a section [mirror] as well"
        faults.append(fault(f"mirror {many['sender'][0]['name']}", said))
    if faults:
        raise ConfigError(faults)
    meters = tuple(MeterSettings(**{**values, "label": values["label"] or values["name"]}) for values in many["meter"])
    return Settings(
        **single["powerpi"],
        store=StoreSettings(**single["store"]),
        backup=BackupSettings(**single["backup"]),
        meters=meters,
        push=_push(push, meters) if push else None,
        senders=tuple(SenderSettings(**values) for values in many["sender"]) if accepting else (),
        viewers=tuple(ViewerSettings(**values) for values in many["viewer"]),
    )


def _push(values: Mapping[str, Any], meters: Iterable[MeterSettings]) -> PushSettings:
    return PushSettings(**{**values, "meters": values["meters"] or tuple(meter.name for meter in meters)})


def _named(section: str, kind: str, given: Mapping[str, str], faults: Faults) -> dict[str, Any]:
    """The values of one section that has a name."""
    name = section.partition(" ")[2].strip()
    if not NAME.fullmatch(name) or (kind == "meter" and name in RESERVED_NAMES):
        reserved = f" (it is part of URLs and file names), not {', '.join(RESERVED_NAMES)}" if kind == "meter" else ""
        faults.wrong_name(section, name, f"1 to 32 of a-z, 0-9, - and _{reserved}")
    return {**_values(kind, given, faults, section), "name": name}


def _values(kind: str, given: Mapping[str, str], faults: Faults, section: str = "") -> dict[str, Any]:
    """Read every key of a section; faults are appended, and their values left out."""
    section = section or kind
    keys = {key.name: key for key in SECTIONS[kind]}
    for name in [name for name in given if name not in keys]:
        faults.unknown_key(section, name, keys)
    values = {}
    for key in keys.values():
        text = given.get(key.name, key.default)
        try:
            values[key.name] = key.read(text)
        except ValueError:
            faults.wrong_value(section, key, given.get(key.name))
    return values


def _together(many: Mapping[str, list[dict[str, Any]]], push: dict[str, Any] | None, accepting: bool) -> list[Fault]:
    """The faults of values that do not go together."""
    faults, meters, senders = [], many["meter"], many["sender"]
    if not meters and not accepting:
        said = "no meter is configured: wanted at least one section such as [meter house] with gpio = 24"
        faults.append(Fault(said, said))
    if accepting and not senders:
        said = " accept = yes: wanted at least one section such as [mirror pi-hq] for who may send"
        faults.append(fault("mirror", said))
    for kind, sections in many.items():
        faults += _shared(sections, kind, "name", f"{kind} name")
    faults += _shared(meters, "meter", "gpio", "GPIO")
    faults += _senders_faults(meters, senders)
    return faults + (_push_faults(meters, push) if push is not None else [])


def _shared(sections: Iterable[Mapping[str, Any]], kind: str, key: str, noun: str) -> list[Fault]:
    """A fault for each section of a kind whose value of `key` another one has too."""
    owners = Counter(section[key] for section in sections if key in section)
    first = next(word for word, named in NAMED.items() if named == kind)
    wanted = f": wanted a {noun} of its own, another {kind} has this one"
    return [
        fault(f"{first} {section['name']}", f" {key} = {section[key]}{wanted}", f" {key}{wanted}")
        for section in sections
        if owners[section.get(key)] > 1
    ]


def _senders_faults(meters: Iterable[Mapping[str, Any]], senders: Iterable[Mapping[str, Any]]) -> list[Fault]:
    """Meters whose name here is taken, and more than one meter where the protocol knows one only."""
    here = [own for sender in senders for _, own in sender.get("meters", ())]
    owners = Counter([*here, *(meter["name"] for meter in meters)])
    faults = []
    for sender in senders:
        heading, received = f"mirror {sender['name']}", sender.get("meters", ())
        for theirs, own in received:
            if owners[own] > 1 or own in RESERVED_NAMES:
                wanted = f": wanted a name that no other meter here has, nor {', '.join(RESERVED_NAMES)}"
                way = f"; `{theirs} as {sender['name']}-{theirs}` keeps it under another"
                faults.append(fault(heading, f" meters = {own}{wanted}{way}", f" meters{wanted}"))
        if sender.get("protocol") == GET_PHP and len(received) > 1:
            faults.append(fault(heading, f" meters: wanted one with {GET_PHP}, not {len(received)}"))
    return faults


def _push_faults(meters: Iterable[Mapping[str, Any]], push: Mapping[str, Any]) -> list[Fault]:
    """A meter that is not there, a password in clear text over foreign networks, more meters than get.php knows."""
    names = [meter["name"] for meter in meters]
    wanted = push.get("meters") or names
    ours = " meters: wanted names of this file's meters"
    here = ", ".join(names)
    faults = [fault("push", f" meters = {name}: wanted one of {here}", ours) for name in wanted if name not in names]
    if not names:
        faults = [fault("push", ": there is no meter here to send; what a mirror receives is not sent on")]
    if push.get("protocol") != GET_PHP:  # its servers may let everybody in
        missing = [key for key in CREDENTIALS if push.get(key) == ""]
        faults += [fault("push", f" {key} is missing: wanted what the mirror knows this Pi by") for key in missing]
    url = push.get("url")
    if url and url.scheme == "http" and not is_local(url.hostname) and not push.get("allow_http"):
        way = ": wanted https:// (or allow_http = yes, and everybody in between can read the password)"
        faults.append(fault("push", f" url = {value_shown(key_of('push', 'url'), url.geturl())}{way}", f" url{way}"))
    if push.get("protocol") == GET_PHP and len(wanted) > 1:
        one = f", because {GET_PHP} knows one only"
        faults.append(fault("push", f" meters: wanted one of {here}{one}", f" meters: wanted one{one}"))
    return faults
