"""The text of a configuration without its secrets, for a backup: what it needs to be whole again stands in it.

A section that has lost a password is a comment as a whole, so that the rest can be read; comments that may tell of one
are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from powerpi import ini
from powerpi.keys import HIDDEN, SECTIONS, kind_of

SECRETIVE = re.compile(r"(?i)passw|passphrase|kennwort|secret|geheim|token|scrypt\$|\bpw\b|\bpin\s*[:=]")
SHORT = 3  # characters of a secret that may be a part of any word
URL_CREDENTIALS = re.compile("//.*@")  # a password may hold any of the signs in between
LEFT_OUT = "# Its {keys} did not go into the backup: give it another one, and remove the # before the lines below."
COMMENTED = re.compile(re.escape(LEFT_OUT).replace(r"\{keys\}", "(.+?)") + r"\n#\s*\[(.+)\]")
NO_SENDER = "# Without a section for a sender there is nobody to receive from: remove the # once there is one again."


class _Section(NamedTuple):
    """The lines of a section, its heading first but for those before any; and the keys it has lost."""

    name: str
    lines: list[str]
    lost: list[str]


def plain(text: str) -> str:
    """The same configuration without secrets."""
    sections = list(_sections(text))
    senders = [section for section in sections if _kind(section.name) == "sender"]
    alone = bool(senders) and all(section.lost for section in senders)
    lines = [
        line
        for section in sections
        for line in _shown(section, NO_SENDER if alone and _kind(section.name) == "mirror" else "")
    ]
    return "\n".join(lines) + "\n"


def left_out(copy: str) -> list[tuple[str, str]]:
    """The sections that are comments in a copy, and the keys that each of them lacks."""
    return [(name, keys) for keys, name in COMMENTED.findall(copy)]


def _sections(text: str) -> Iterator[_Section]:
    """The sections, without the values of secret keys. A key goes on in indented lines, up to the next empty one."""
    section, goes_on, dropped, told = _Section("", [], []), False, None, _telling(text)
    for line in text.splitlines():
        words = line.strip()
        heading = ini.HEADING.match(words)
        if not words or words[0] in "#;":
            goes_on = goes_on and bool(words)
            if not (SECRETIVE.search(words) or told.search(words)):
                section.lines.append(_open(line))
        elif goes_on and line[0].isspace():
            if dropped is not None:
                _lose(section, dropped)
            elif not SECRETIVE.search(words):
                section.lines.append(_open(line))
        elif heading:
            yield section
            name = heading[1].partition("]")[0]  # what stands behind it is as good as a comment
            section, goes_on = _Section(heading[1], [f"[{name}]"], []), False
        else:
            goes_on, dropped = True, _added(section, line)
    yield section


def _kind(section: str) -> str:
    return kind_of(section) if section.strip() else ""


def _is_secret(section: str, line: str) -> bool:
    found = ini.KEY.match(line)
    name = found[1].lower() if found else ""
    secret = {key.name for key in SECTIONS.get(_kind(section), ()) if key.secret}
    return name in secret or SECRETIVE.search(line) is not None


def _added(section: _Section, line: str) -> str | None:
    """Add a line with a key; of a secret one its name alone, and where it has no value it has lost none yet.

    Returns the name of a secret one, "" where it has none: what follows is not to be kept. None: it is no secret.
    """
    found = ini.KEY.match(line)
    if not _is_secret(section.name, line.strip()):
        section.lines.append(_open(line))
        return None
    if found and line[found.end() :].strip():
        _lose(section, found[1])
    return found[1] if found else ""


def _lose(section: _Section, key: str) -> None:
    """Note that a key has lost its value, once."""
    if key and key not in section.lost:
        section.lines.append(f"{key} =")
        section.lost.append(key)


def _open(line: str) -> str:
    """A line without name and password within an address."""
    return URL_CREDENTIALS.sub(f"//{HIDDEN}@", line)


def _shown(section: _Section, why: str) -> list[str]:
    """The lines as they stand in the copy; as comments where there is a reason."""
    if section.lost:
        why = LEFT_OUT.format(keys=" and ".join(section.lost))
    if not why:
        return section.lines
    return [why, *(line if not line.strip() or line.lstrip()[0] in "#;" else f"#{line}" for line in section.lines)]


def _telling(text: str) -> re.Pattern[str]:
    """What no comment may hold: the values of secret keys, in part too. An ordinary word may stand elsewhere.

    Were it hidden in headings, keys and their values as well, it would be told by what is left of these.
    """
    values = [
        part.strip()
        for name, section in ini.read(text)[0].items()
        for key, value in section.items()
        if _is_secret(name, f"{key} =")
        for part in value.splitlines()
        if part.strip()
    ]
    words = (re.escape(value) if len(value) > SHORT else rf"(?<!\w){re.escape(value)}(?!\w)" for value in values)
    return re.compile("|".join(words) or r"(?!)")
