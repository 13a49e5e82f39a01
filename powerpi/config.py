"""The configuration file (INI) to frozen settings; every fault at once, or none and a start."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult
from zoneinfo import ZoneInfo

from powerpi import ini
from powerpi.errors import ConfigError, DataError, shown
from powerpi.hosts import is_local
from powerpi.keys import GET_PHP, SECTIONS, Key
from powerpi.passwords import PasswordHash
from powerpi.values import NAME

DEFAULT_PATH = Path("/etc/powerpi.conf")
RESERVED_NAMES = ("api", "health", "help", "lock", "static")  # paths and files of our own
HIDDEN = "********"
URL_CREDENTIALS = re.compile("//.*@")  # a password may hold any of the signs in between
CREDENTIALS = ("user", "password")
EXAMPLES = {"meter": "meter house", "sender": "mirror pi-hq", "viewer": "viewer anna"}  # of sections with a name
NAMED = {"meter": "meter", "mirror": "sender", "viewer": "viewer"}  # first word of a section to its kind


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


def load(path: Path) -> Settings:
    """The settings in the file at `path`. Raises ConfigError with every fault."""
    try:
        return parse(path.read_text(encoding="utf-8-sig"))  # Windows' editor puts a mark before the text
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path} is not UTF-8 text: {error.reason} at byte {error.start}"], str(path)) from error
    except OSError as error:
        said = f"{path} cannot be read: {error.strerror}; a sample is init/powerpi.conf"
        raise ConfigError([said], str(path)) from error
    except ConfigError as error:
        raise ConfigError(error.faults, str(path)) from error


def parse(text: str) -> Settings:
    """The settings in the text of a configuration file. Raises ConfigError with every fault."""
    sections, faults = ini.read(text)
    kinds = {name: kind_of(name) for name in sections}
    faults += _unknown_sections(name for name, kind in kinds.items() if kind not in SECTIONS)
    single = {kind: _values(kind, sections.get(kind, {}), faults) for kind in ("powerpi", "store", "backup", "mirror")}
    many = {
        kind: [_named(name, kind, sections[name], faults) for name in sections if kinds[name] == kind]
        for kind in NAMED.values()
    }
    push = _values("push", sections["push"], faults) if "push" in sections else None
    accepting = single["mirror"].get("accept", False)
    faults += _together(many, push, accepting)
    if many["sender"] and "accept" not in sections.get("mirror", {}):
        faults.append(
            f"[mirror {many['sender'][0]['name']}]: wanted accept = yes (or no) in a section [mirror] as well"
        )
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


def kind_of(section: str) -> str:
    """The kind of a section: its first word, but [mirror NAME] is one of its own; "" where there is none such."""
    first, *name = section.split(maxsplit=1)
    if name or first in ("meter", "viewer"):
        return NAMED.get(first, "")
    return section if section in SECTIONS and section != "sender" else ""  # a blank behind the name is none of it


def _push(values: Mapping[str, Any], meters: Iterable[MeterSettings]) -> PushSettings:
    return PushSettings(**{**values, "meters": values["meters"] or tuple(meter.name for meter in meters)})


def _named(section: str, kind: str, given: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    """The values of one section that has a name."""
    name = section.partition(" ")[2].strip()
    if not NAME.fullmatch(name) or (kind == "meter" and name in RESERVED_NAMES):
        reserved = f" (it is part of URLs and file names), not {', '.join(RESERVED_NAMES)}" if kind == "meter" else ""
        faults.append(f"[{section}] name {name!r}: wanted 1 to 32 of a-z, 0-9, - and _{reserved}")
    return {**_values(kind, given, faults, section), "name": name}


def _values(kind: str, given: Mapping[str, str], faults: list[str], section: str = "") -> dict[str, Any]:
    """Read every key of a section; faults are appended, and their values left out."""
    section = section or kind
    keys = {key.name: key for key in SECTIONS[kind]}
    faults += [f"[{section}] {name}: unknown key{_suggestion(name, keys)}" for name in given if name not in keys]
    values = {}
    for key in keys.values():
        text = given.get(key.name, key.default)
        try:
            values[key.name] = key.read(text)
        except ValueError:
            stated = f" = {_shown(key, text)}" if key.name in given else " is missing"
            faults.append(f"[{section}] {key.name}{stated}: wanted {key.wanted}")
    return values


def _shown(key: Key, text: str) -> str:
    """A value as it may stand in a sentence that others read."""
    return HIDDEN if key.secret and text else URL_CREDENTIALS.sub(f"//{HIDDEN}@", text)


def _unknown_sections(names: Iterable[str]) -> list[str]:
    known = [EXAMPLES.get(kind, kind) for kind in SECTIONS]
    return [f"[{name}]: unknown section{_suggestion(name, known)}" for name in names]


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _together(many: Mapping[str, list[dict[str, Any]]], push: dict[str, Any] | None, accepting: bool) -> list[str]:
    """The faults of values that do not go together."""
    faults, meters, senders = [], many["meter"], many["sender"]
    if not meters and not accepting:
        faults.append("no meter is configured: wanted at least one section such as [meter house] with gpio = 24")
    if accepting and not senders:
        faults.append("[mirror] accept = yes: wanted at least one section such as [mirror pi-hq] for who may send")
    for kind, sections in many.items():
        faults += _shared(sections, kind, "name", f"{kind} name")
    faults += _shared(meters, "meter", "gpio", "GPIO")
    faults += _senders_faults(meters, senders)
    return faults + (_push_faults(meters, push) if push is not None else [])


def _shared(sections: Iterable[Mapping[str, Any]], kind: str, key: str, noun: str) -> list[str]:
    """A fault for each section of a kind whose value of `key` another one has too."""
    owners = Counter(section[key] for section in sections if key in section)
    first = next(word for word, named in NAMED.items() if named == kind)
    return [
        f"[{first} {section['name']}] {key} = {section[key]}: wanted a {noun} of its own, another {kind} has this one"
        for section in sections
        if owners[section.get(key)] > 1
    ]


def _senders_faults(meters: Iterable[Mapping[str, Any]], senders: Iterable[Mapping[str, Any]]) -> list[str]:
    """Meters whose name here is taken, and more than one meter where the protocol knows one only."""
    here = [own for sender in senders for _, own in sender.get("meters", ())]
    owners = Counter([*here, *(meter["name"] for meter in meters)])
    faults = []
    for sender in senders:
        received = sender.get("meters", ())
        for theirs, own in received:
            if owners[own] > 1 or own in RESERVED_NAMES:
                faults.append(
                    f"[mirror {sender['name']}] meters = {own}: wanted a name that no other meter here has, nor"
                    f" {', '.join(RESERVED_NAMES)}; `{theirs} as {sender['name']}-{theirs}` keeps it under another"
                )
        if sender.get("protocol") == GET_PHP and len(received) > 1:
            faults.append(f"[mirror {sender['name']}] meters: wanted one with {GET_PHP}, not {len(received)}")
    return faults


def _push_faults(meters: Iterable[Mapping[str, Any]], push: Mapping[str, Any]) -> list[str]:
    """A meter that is not there, a password in clear text over foreign networks, more meters than get.php knows."""
    names = [meter["name"] for meter in meters]
    wanted = push.get("meters") or names
    faults = [f"[push] meters = {name}: wanted one of {', '.join(names)}" for name in wanted if name not in names]
    if not names:
        faults = ["[push]: there is no meter here to send; what a mirror receives is not sent on"]
    if push.get("protocol") != GET_PHP:  # its servers may let everybody in
        missing = [key for key in CREDENTIALS if push.get(key) == ""]
        faults += [f"[push] {key} is missing: wanted what the mirror knows this Pi by" for key in missing]
    url = push.get("url")
    if url and url.scheme == "http" and not is_local(url.hostname) and not push.get("allow_http"):
        faults.append(
            f"[push] url = {url.geturl()}: wanted https:// (or allow_http = yes, and everybody in between can read the"
            " password)"
        )
    if push.get("protocol") == GET_PHP and len(wanted) > 1:
        faults.append(f"[push] meters: wanted one of {', '.join(names)}, because {GET_PHP} knows one only")
    return faults
