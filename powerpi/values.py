"""The text of one value, in the configuration or on the command line, to the value; ValueError for anything else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from powerpi.passwords import normalised

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
URL = re.compile(r"(?i:https?)://[\w.:%\[\]-]+(/[\w.~%!$&'()*+,;=:/-]*)?")  # RFC 3986, without credentials and query
HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")  # RFC 1123; IPv4 too
THOUSANDS = re.compile(r"[-+]?[1-9][0-9]{0,2}(\.[0-9]{3})+")
ALL = ()  # of [push] meters


def number(low: float, high: float, kind: type = int) -> Callable[[str], Any]:
    """A reader of numbers from `low` to `high`, both allowed."""

    def read(text: str) -> Any:
        value = kind(text)
        if not (low <= value <= high and text.isascii() and "_" not in text):
            raise ValueError(text)
        return value

    return read


def decimal(low: float, high: float) -> Callable[[str], Any]:
    """A reader of decimal numbers; 1.000 is refused, because half the world means a thousand by it."""
    read = number(low, high, float)

    def read_decimal(text: str) -> Any:
        if THOUSANDS.fullmatch(text):
            raise ValueError(text)
        return read(text)

    return read_decimal


def one_of(words: Mapping[str, Any]) -> Callable[[str], Any]:
    """A reader of fixed words."""

    def read(text: str) -> Any:
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]

    return read


def absolute(text: str) -> Path:
    """An absolute path that rrdtool can be told."""
    path = Path(text)
    if not path.is_absolute() or not text.isprintable() or set('":\\') & set(text):  # signs of rrdtool's language
        raise ValueError(text)
    return path


def label(text: str) -> str:
    """A name for people, in one line."""
    if len(text) > 40 or not text.isprintable():
        raise ValueError(text)
    return text


def listen(text: str) -> tuple[str, int]:
    """`ADDRESS:PORT`, an IPv6 address in brackets; port 0 is any free one. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = str(IPv6Address(host[1:-1]))
    elif not HOST_NAME.fullmatch(host):
        raise ValueError(text)
    return host, int(number(0, 65535)(port))


def zone(text: str) -> ZoneInfo:
    """A time zone by its name; empty: that of the system."""
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


def host_names(text: str) -> tuple[str, ...]:
    """Names of hosts, in small letters, separated by commas or blanks."""
    names = tuple(name.lower() for name in _words(text))
    if not all(HOST_NAME.fullmatch(name) for name in names):
        raise ValueError(text)
    return names


def url(text: str) -> SplitResult:
    """An address with http or https, a host, and neither credentials nor anything behind the path."""
    parts = urlsplit(text)
    if not URL.fullmatch(text) or not parts.hostname:
        raise ValueError(text)
    parts.port  # noqa: B018 (raises ValueError where it is none)
    return parts


def user(text: str) -> str:
    """A name for HTTP basic auth."""
    if len(text) > 64 or ":" in text or not text.isprintable():  # RFC 7617 forbids the colon
        raise ValueError(text)
    return text


def password(text: str) -> str:
    """A password in one line."""
    if text and not normalised(text).isprintable():
        raise ValueError(text)
    return text


def optional_path(text: str) -> Path | None:
    """An absolute path, or nothing."""
    return absolute(text) if text else None


def pushed_meters(text: str) -> tuple[str, ...]:
    """Names of meters, or ALL."""
    return ALL if text.lower() == "all" else _distinct(text, _words(text))


def received_meters(text: str) -> tuple[tuple[str, str], ...]:
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
