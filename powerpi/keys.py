"""Every key of the configuration file: name, default as written in the file, how to read it, what is wanted, meaning.

`SECTIONS` is the one table of all keys. Tests compare the keys and defaults of the sample file and the README with it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from powerpi.passwords import normalised, read_hash

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
URL = re.compile(r"(?i:https?)://[\w.:%\[\]-]+(/[\w.~%!$&'()*+,;=:/-]*)?")  # RFC 3986, without credentials and query
HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")  # RFC 1123; IPv4 too
THOUSANDS = re.compile(r"[-+]?[1-9][0-9]{0,2}(\.[0-9]{3})+")
S0_PULSE_MS = 30  # EN 62053-31: the shortest pulse a meter may send
ALL = ()  # of [push] meters
POWERPI, GET_PHP = "powerpi", "get.php"  # protocols


class Key(NamedTuple):
    """One key of the file; `read` turns its text into a value and raises ValueError for anything else."""

    name: str
    default: str
    read: Callable[[str], Any]
    wanted: str
    meaning: str
    secret: bool = False  # its value is never shown


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


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]


def _host_names(text: str) -> tuple[str, ...]:
    names = tuple(name.lower() for name in _words(text))
    if not all(HOST_NAME.fullmatch(name) for name in names):
        raise ValueError(text)
    return names


def _url(text: str) -> SplitResult:
    """An address with http or https, a host, and neither credentials nor anything behind the path."""
    parts = urlsplit(text)
    if not URL.fullmatch(text) or not parts.hostname:
        raise ValueError(text)
    parts.port  # noqa: B018 (raises ValueError where it is none)
    return parts


def _user(text: str) -> str:
    if len(text) > 64 or ":" in text or not text.isprintable():  # RFC 7617 forbids the colon
        raise ValueError(text)
    return text


def _password(text: str) -> str:
    if text and not normalised(text).isprintable():
        raise ValueError(text)
    return text


def _optional_path(text: str) -> Path | None:
    return _absolute(text) if text else None


def _pushed_meters(text: str) -> tuple[str, ...]:
    return ALL if text.lower() == "all" else _distinct(text, _words(text))


def _received_meters(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a meter's name as its sender calls it, and as it is called here."""
    pairs = [tuple(part.split(" as ")) if " as " in part else (part, part) for part in re.split(r"\s*,\s*", text)]
    names = [name.strip() for pair in pairs for name in pair]
    _distinct(text, [pair[0].strip() for pair in pairs])
    if len(names) != 2 * len(pairs) or not all(map(NAME.fullmatch, names)):
        raise ValueError(text)
    return tuple(zip(names[::2], names[1::2], strict=True))


def _distinct(text: str, names: list[str]) -> tuple[str, ...]:
    if not names or len(set(names)) < len(names) or not all(map(NAME.fullmatch, names)):
        raise ValueError(text)
    return tuple(names)


YES_NO = _one_of({"yes": True, "no": False})
PROTOCOL = _one_of({POWERPI: POWERPI, GET_PHP: GET_PHP})
CONSTANT = _decimal(0.001, 100_000)
CONSTANT_WANTED = "a number above 0, at most 100000, with a point for decimals and none for thousands"
HASH = Key(
    "password_hash", "", read_hash, "what `powerpi password` prints, such as scrypt$14$8$1$...",
    "The password, as `powerpi password` prints it: nobody can read it back from there.", True,
)  # fmt: skip

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
            "host_names", "", _host_names, "host names, separated by commas",
            "Further names under which browsers may ask for the page; addresses and local names always may.",
        ),
    ),
    "meter": (
        Key("label", "", _label, "at most 40 characters in one line", "What the page calls the meter (else its name)."),
        Key("gpio", "", _number(0, 27), "a GPIO number from 0 to 27", "GPIO (not the pin's place) of the S0 contact."),
        Key(
            "imp_per_kwh", "1000", CONSTANT, CONSTANT_WANTED,
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
    "push": (
        Key(
            "url", "", _url, "https:// and the mirror's host, with a path if need be, without user and password",
            "Address of the mirror: another PowerPi that receives.",
        ),
        Key("user", "", _user, "at most 64 characters without a colon", "This Pi's name at the mirror."),
        Key("password", "", _password, "at most 1000 characters in one line", "Its password there.", True),
        Key(
            "ca_file", "", _optional_path, "an absolute path without colons, quotes and backslashes",
            "Certificates (PEM) of a certification authority of your own; without it those of the system count.",
        ),
        Key(
            "interval_seconds", "60", _number(10, 3600), "a whole number of seconds from 10 to 3600",
            "How often new rows are sent.",
        ),
        Key(
            "meters", "all", _pushed_meters, "all, or names of this file's meters, separated by commas",
            "Which meters are sent.",
        ),
        Key(
            "protocol", POWERPI, PROTOCOL, f"{POWERPI} or {GET_PHP}",
            "get.php: the server is of the system that PowerPi replaces; it gets one power sample per interval.",
        ),
        Key(
            "allow_http", "no", YES_NO, "yes or no",
            "yes: send without encryption over foreign networks too; everybody in between can read and change it.",
        ),
    ),
    "mirror": (
        Key("accept", "no", YES_NO, "yes or no", "yes: receive the rows of the senders below, and show them."),
    ),
    "sender": (
        HASH,
        Key(
            "meters", "", _received_meters, "names of meters, separated by commas, such as house, workshop as garage",
            "Which meters it may send; `house as hut` keeps its meter house here as hut.",
        ),
        Key(
            "protocol", POWERPI, PROTOCOL, f"{POWERPI} or {GET_PHP}",
            "get.php: a Pi of the system that PowerPi replaces, which sends power samples of one meter.",
        ),
        Key(
            "imp_per_kwh", "1000", CONSTANT, CONSTANT_WANTED,
            "With get.php: the meter constant, in impulses per kWh; a PowerPi tells its own.",
        ),
        Key(
            "sample_seconds", "60", _number(1, 3600), "a whole number of seconds from 1 to 3600",
            "With get.php: for how long a sample may stand where the time of one pulse at its power is shorter.",
        ),
    ),
    "viewer": (HASH,),
}  # fmt: skip
HEADINGS = {"meter": "meter NAME", "sender": "mirror NAME", "viewer": "viewer NAME"}  # of sections there may be many of


def heading(kind: str) -> str:
    """How a section of that kind is headed, without brackets."""
    return HEADINGS.get(kind, kind)
