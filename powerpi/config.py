"""The configuration file (INI) to frozen settings; every fault at once, or none and a start.

`SECTIONS` is the one table of all keys: name, default as written in the file, how to read it, what is wanted, and
what it means. Tests compare the keys and defaults of the sample file and the README with it."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from powerpi import ini
from powerpi.errors import ConfigError

DEFAULT_PATH = Path("/etc/powerpi.conf")
METER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
RESERVED_NAMES = ("api", "health", "help", "lock", "static")  # paths and files of our own
HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")  # RFC 1123; IPv4 too
THOUSANDS = re.compile(r"[-+]?[1-9][0-9]{0,2}(\.[0-9]{3})+")
S0_PULSE_MS = 30  # EN 62053-31: the shortest pulse a meter may send


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


class Key(NamedTuple):
    """One key of the file; `read` turns its text into a value and raises ValueError for anything else."""

    name: str
    default: str
    read: Callable[[str], Any]
    wanted: str
    meaning: str


def _number(low: float, high: float, kind: type = int) -> Callable[[str], Any]:
    """A reader of numbers from `low` to `high`, both allowed."""

    def read(text: str) -> Any:
        value = kind(text)
        if not (low <= value <= high and text.isascii() and "_" not in text):
            raise ValueError(text)
        return value

    return read


def _decimal(low: float, high: float) -> Callable[[str], Any]:
    """A reader of decimal numbers; 1.000 is refused, because half the world means a thousand by it."""
    read = _number(low, high, float)

    def read_decimal(text: str) -> Any:
        if THOUSANDS.fullmatch(text):
            raise ValueError(text)
        return read(text)

    return read_decimal


def _one_of(words: Mapping[str, Any]) -> Callable[[str], Any]:
    """A reader of fixed words."""

    def read(text: str) -> Any:
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]

    return read


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or not text.isprintable() or set('":\\') & set(text):  # signs of rrdtool's language
        raise ValueError(text)
    return path


def _label(text: str) -> str:
    if len(text) > 40 or not text.isprintable():
        raise ValueError(text)
    return text


def read_listen(text: str) -> tuple[str, int]:
    """`ADDRESS:PORT`, an IPv6 address in brackets; port 0 is any free one. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = str(IPv6Address(host[1:-1]))
    elif not HOST_NAME.fullmatch(host):
        raise ValueError(text)
    return host, int(_number(0, 65535)(port))


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text) if text else system_zone()
    except (KeyError, OSError) as error:  # an unknown name, or one that is a folder or unreadable
        raise ValueError(text) from error


def system_zone(localtime: Path = Path("/etc/localtime"), timezone: Path = Path("/etc/timezone")) -> ZoneInfo:
    """The system's time zone: $TZ, else where /etc/localtime points, else the name in /etc/timezone, else UTC."""
    for name in _zone_names(localtime, timezone):
        with suppress(KeyError, OSError, ValueError):  # empty, or not the name of a zone: the next one may be
            return ZoneInfo(name)
    return ZoneInfo("UTC")


def _zone_names(localtime: Path, timezone: Path) -> Iterator[str]:
    yield os.environ.get("TZ", "").lstrip(":")
    yield str(localtime.resolve()).partition("zoneinfo/")[2]
    with suppress(OSError, UnicodeDecodeError):
        yield timezone.read_text(encoding="utf-8").strip()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.lower() for name in re.split(r"[\s,]+", text) if name)
    if not all(HOST_NAME.fullmatch(name) for name in names):
        raise ValueError(text)
    return names


YES_NO = _one_of({"yes": True, "no": False})
SECTIONS: dict[str, tuple[Key, ...]] = {
    "powerpi": (
        Key(
            "state", "/var/lib/powerpi", _absolute, "an absolute path without colons, quotes and backslashes",
            "Folder of everything that is written.",
        ),
        Key("listen", "0.0.0.0:8080", read_listen, "ADDRESS:PORT", "Where browsers find the page; [::]:8080 for IPv6."),
        Key("timezone", "", _zone, "a name such as Europe/Berlin", "Where days begin; empty: the system's time zone."),
        Key(
            "network_time", "yes", YES_NO, "yes or no",
            "yes: rows wait until the clock is synchronised; no: there is no network time, take the clock as it is.",
        ),
        Key(
            "clock_wait_seconds", "900", _number(0, 86400), "a whole number of seconds from 0 to 86400",
            "How long rows wait for a synchronised clock before they are written by the clock as it is.",
        ),
        Key(
            "host_names", "", _names, "host names, separated by commas",
            "Further names under which browsers may ask for the page; addresses and local names always may.",
        ),
    ),
    "meter": (
        Key("label", "", _label, "at most 40 characters in one line", "What the page calls the meter (else its name)."),
        Key("gpio", "", _number(0, 27), "a GPIO number from 0 to 27", "GPIO (not the pin's place) of the S0 contact."),
        Key(
            "imp_per_kwh", "1000", _decimal(0.001, 100_000),
            "a number above 0, at most 100000, with a point for decimals and none for thousands",
            "The meter constant as printed on the meter, in impulses per kWh.",
        ),
        Key(
            "pull", "up", _one_of({"up": "up", "down": "down"}), "up or down",
            "up: the contact closes to ground; down: it closes to 3.3 V.",
        ),
        Key(
            "min_pulse_ms", "10", _number(0.1, math.nextafter(S0_PULSE_MS, 0), float),
            "milliseconds from 0.1 to below 30 (S0 sends 30 or more)", "Shorter closings of the contact are rejected.",
        ),
        Key(
            "offset_kwh", "0", _decimal(-1e9, 1e9),
            "a number of kWh, with a point for decimals (not exactly three) and none for thousands",
            "What the meter's display showed when PowerPi's own counter stood at 0.",
        ),
    ),
    "store": (
        Key(
            "flush_seconds", "300", _number(10, 3600), "a whole number of seconds from 10 to 3600",
            "How often rows are written when nobody looks: what a power cut can cost of the curve.",
        ),
        Key(
            "register_seconds", "60", _number(1, 3600), "a whole number of seconds from 1 to 3600",
            "How often the counter is written: what a power cut can cost of the meter reading.",
        ),
        Key(
            "archive_years", "20", _number(0, 50), "a whole number of years from 0 to 50",
            "How long 15-minute means are kept; 0: only the 366 days of every 10 seconds.",
        ),
    ),
}  # fmt: skip


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
    meter_names = [name for name in sections if name.split()[0] == "meter"]
    faults += _unknown_sections(name for name in sections if name not in ("powerpi", "store", *meter_names))
    powerpi = _values("powerpi", sections.get("powerpi", {}), faults)
    store = _values("store", sections.get("store", {}), faults)
    meters = [_meter(name, sections[name], faults) for name in meter_names]
    if not meters:
        faults.append("no meter is configured: wanted at least one section such as [meter house] with gpio = 24")
    faults += _shared(meters, "name", "meter name") + _shared(meters, "gpio", "GPIO")
    if faults:
        raise ConfigError(faults)
    return Settings(**powerpi, store=StoreSettings(**store), meters=tuple(MeterSettings(**values) for values in meters))


def _meter(section: str, given: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    """The values of one [meter NAME] section."""
    name = section.removeprefix("meter").strip()
    if not METER_NAME.fullmatch(name) or name in RESERVED_NAMES:
        faults.append(
            f"[{section}] name {name!r}: wanted 1 to 32 of a-z, 0-9, - and _ (it is part of URLs and file names),"
            f" not {', '.join(RESERVED_NAMES)}"
        )
    values = _values("meter", given, faults, section)
    return {**values, "name": name, "label": values.get("label") or name}


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
            stated = f" = {text}" if key.name in given else " is missing"
            faults.append(f"[{section}] {key.name}{stated}: wanted {key.wanted}")
    return values


def _unknown_sections(names: Iterable[str]) -> list[str]:
    known = [*SECTIONS, "meter house"]
    return [f"[{name}]: unknown section{_suggestion(name, known)}" for name in names]


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _shared(meters: Iterable[Mapping[str, Any]], key: str, noun: str) -> list[str]:
    """A fault for each meter whose value of `key` another one has too."""
    owners = Counter(meter[key] for meter in meters if key in meter)
    return [
        f"[meter {meter['name']}] {key} = {meter[key]}: wanted a {noun} of its own, another meter has this one"
        for meter in meters
        if owners[meter.get(key)] > 1
    ]
