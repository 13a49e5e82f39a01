"""What can be taken over from the system that PowerPi replaces: its INI file to texts for keys of the configuration.

Its sections are [smartmeter] impkwh, [gpio] port and mintime, [server] url, ssl, basicauth, user, password, sslself and
timestamp. Nothing of it is changed, and nothing that it says is believed before it was read as a value of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from powerpi import ini
from powerpi.keys import GET_PHP, key_of

FOLDER = Path("/srv/powerpi")
ENDINGS = (".ini", ".conf", ".cfg")
MOST_BYTES = 65536  # a longer file is no configuration
MOST_FILES = 10_000  # of a folder that is looked through ...
MOST_DEPTH = 4  # ... and so many levels of it
OWN_SECTIONS = ("smartmeter", "gpio", "server")
INLINE_COMMENT = re.compile(r"\s+[#;].*")
YES = ("yes", "true", "on", "1")
SCHEME = re.compile(r"(?i:https?)://")

Sections = Mapping[str, Mapping[str, str]]


class Predecessor(NamedTuple):
    """What one INI file of it gave: texts by our keys, and a sentence for each thing that was taken or left."""

    source: Path
    meter: dict[str, str]  # keys of [meter NAME]
    push: dict[str, str]  # keys of [push]; none: it sent to nobody
    notes: tuple[str, ...]  # for whoever reads [push]
    said: tuple[str, ...]


def find(folder: Path) -> Predecessor | None:
    """What the INI file below a folder gives that has most of the predecessor's sections; None: there is none."""
    found = [(path, sections) for path in _files(folder, ENDINGS) if (sections := _sections(path))]
    if not found:
        return None
    path, sections = max(found, key=lambda pair: sum(name in pair[1] for name in OWN_SECTIONS))
    said: list[str] = []
    meter = dict(_meter(sections, said))
    push, notes = _push(sections.get("server", {}), said)
    return Predecessor(path, meter, push, tuple(notes), tuple(map(_line, said)))


def _line(text: str) -> str:
    """A text as one line that does a terminal no harm, whatever was quoted in it."""
    return "".join(character if character.isprintable() else "?" for character in text)


def archives(folder: Path) -> list[Path]:
    """The RRDs below a folder."""
    return list(_files(folder, (".rrd",)))


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Ordinary files below a folder by the ends of their names; what may not be looked at is left out."""
    levels = (folder.glob("/".join("*" * depth)) for depth in range(1, MOST_DEPTH + 1))
    for path in islice(chain.from_iterable(map(sorted, levels)), MOST_FILES):
        named = path.suffix.lower() in endings and str(path).isprintable()  # the name is to be told
        if named and path.is_file() and not path.is_symlink():
            yield path


def _sections(path: Path) -> Sections | None:
    """The predecessor's own sections in a file, names in small letters; None: it has none of them."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    sections, _ = ini.read(text)
    own = {name.lower(): values for name, values in sections.items() if name.lower() in OWN_SECTIONS}
    return own if "smartmeter" in own or ("gpio" in own and "port" in own["gpio"]) else None


def _plain(text: str) -> str:
    """A value without quotes and without a comment behind it."""
    return INLINE_COMMENT.sub("", text).strip().strip("\"'")


def _is_yes(text: str) -> bool:
    return _plain(text).lower() in YES


def _fault(section: str, name: str, text: str) -> str | None:
    """What is wanted of a key of ours, where the text is something else."""
    key = key_of(section, name)
    try:
        key.read(text)
    except ValueError:
        return key.wanted
    return None


def _meter(sections: Sections, said: list[str]) -> Iterator[tuple[str, str]]:
    """The keys of the meter that can be taken."""
    wanted = (("gpio", "port", "gpio"), ("smartmeter", "impkwh", "imp_per_kwh"), ("gpio", "mintime", "min_pulse_ms"))
    for section, theirs, ours in wanted:
        text = _plain(sections.get(section, {}).get(theirs, ""))
        if not text:
            continue
        value = _milliseconds(text) if theirs == "mintime" else text
        fault = _fault("meter", ours, value)
        if fault:
            said.append(f"not taken: [{section}] {theirs} = {text}; {ours} wants {fault}")
        else:
            said.append(f"taken: [{section}] {theirs} = {text}, as {ours} = {value}")
            yield ours, value


def _milliseconds(text: str) -> str:
    """A shortest pulse in milliseconds; a number below 1 can only be meant in seconds, for a pulse lasts 30 ms."""
    try:
        seconds = float(text)
    except ValueError:
        return text
    return f"{seconds * 1000:g}" if 0 < seconds < 1 else text


def _push(server: Mapping[str, str], said: list[str]) -> tuple[dict[str, str], list[str]]:
    """The keys of [push], and notes for those who read it; both empty where it sent to nobody."""
    text = _plain(server.get("url", ""))
    if not text:
        return {}, []
    url = _address(text, server.get("ssl", ""))
    fault = _fault("push", "url", url)
    if fault:
        said.append(f"not taken: [server] url; [push] url wants {fault}")  # not shown: it may hold a password
        return {}, []
    said.append(f"taken: [server] url = {text}, as [push] url = {url} with protocol = {GET_PHP}")
    push = {"url": url, **dict(_login(server, said)), "protocol": GET_PHP}
    notes = [f"Taken over from the system that PowerPi replaces: one power sample per interval to {GET_PHP}."]
    if _is_yes(server.get("sslself", "")) and urlsplit(url).scheme == "https":
        notes.append("Its certificate was made by itself (sslself), and certificates are always verified here:")
        notes.append("put that certificate (PEM) into a file and name the file in ca_file below.")
        said.append("to do: sslself = yes; put the server's certificate into a file, and name it in [push] ca_file")
    return push, notes


def _address(text: str, ssl: str) -> str:
    """The server's address with its scheme: https where the URL or `ssl` says so."""
    rest = SCHEME.sub("", text, count=1)
    if "://" in rest:  # of no kind that we speak: to be refused as it is
        return text
    secure = _is_yes(ssl) or text.lower().startswith("https://")
    return f"{'https' if secure else 'http'}://{rest}"


def _login(server: Mapping[str, str], said: list[str]) -> Iterator[tuple[str, str]]:
    """Name and password, where they were used; the password is never said."""
    if "basicauth" in server and not _is_yes(server["basicauth"]):
        return
    for name, text in (("user", _plain(server.get("user", ""))), ("password", server.get("password", ""))):
        fault = text and _fault("push", name, text)
        if fault:
            said.append(f"not taken: [server] {name}; [push] {name} wants {fault}")
        elif text:
            said.append(f"taken: [server] {name}")
            yield name, text
