"""What is wrong with a configuration: a sentence for its owner, and one that everybody may see, for each fault.

Whoever breaks a line breaks that of a password as easily: what stands in a line that may hold a secret, or goes on
with one, is told by its number alone. The public sentence quotes nothing that is not a word of PowerPi's own, but for
the names of meters.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from powerpi import ini
from powerpi.keys import HIDDEN, NAMED, SECTIONS, Key, kind_of
from powerpi.values import NAME

SECRETIVE = re.compile(r"(?i)pass|pwd|secret|token|key|scrypt\$")
CREDENTIALS = re.compile(r"^(\w+://)?.*@")  # a password may hold any of the signs in between
EXAMPLES = {"meter": "meter house", "sender": "mirror pi-hq", "viewer": "viewer anna"}  # of sections with a name


class Fault(str):
    """A sentence for the owner of a configuration; `public` is the one that everybody may see."""

    public: str

    def __new__(cls, text: str, public: str) -> Fault:
        """Both are whole sentences."""
        fault = super().__new__(cls, text)
        fault.public = public
        return fault


class Faults(list[Fault]):
    """The faults found so far in a text, which is looked into for the lines that they stand in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._lines = text.splitlines()
        self._places = ini.places(text)

    def unknown_section(self, section: str) -> None:
        """A heading that is none."""
        said = f"unknown section{_suggestion(section, [EXAMPLES.get(kind, kind) for kind in SECTIONS])}"
        public = f"{self._line(section)}{said}"
        self.append(Fault(f"[{section}]: {said}" if self._may_be_quoted(section) else public, public))

    def unknown_key(self, section: str, name: str, known: Iterable[str]) -> None:
        """A key that this section does not have."""
        said, line = f"unknown key{_suggestion(name, known)}", self._line(section, name)
        heading = self._heading(section)
        quoted = f"{heading} {name}: {said}" if self._may_be_quoted(section, name) else f"{line}{heading} {said}"
        self.append(Fault(quoted, f"{line}{public_heading(section)} {said}"))

    def wrong_name(self, section: str, name: str, wanted: str) -> None:
        """A section whose name will not do."""
        public = f"{self._line(section)}{public_heading(section)} name: wanted {wanted}"
        quoted = f"[{section}] name {name!r}: wanted {wanted}"
        self.append(Fault(quoted if self._may_be_quoted(section) else public, public))

    def wrong_value(self, section: str, key: Key, text: str | None) -> None:
        """A value that will not do; None: it is missing."""
        line = "" if text is None else self._line(section, key.name)
        stated = " is missing" if text is None else f" = {value_shown(key, text)}"
        missing = stated if text is None else ""
        public = f"{line}{public_heading(section)} {key.name}{missing}: wanted {key.wanted}"
        self.append(Fault(f"{self._heading(section)} {key.name}{stated}: wanted {key.wanted}", public))

    def _heading(self, section: str) -> str:
        return _heading(section) if _is_plain(section) or self._may_be_quoted(section) else public_heading(section)

    def _line(self, section: str, key: str = "") -> str:
        place = self._places.get((section, key))
        return f"line {place}: " if place else ""

    def _may_be_quoted(self, section: str, key: str = "") -> bool:
        """Whether neither the line nor what it may be the rest of tells of a secret.

        A key may go on with any of those before it in its section, a heading with the line before it.
        """
        place = self._places.get((section, key))
        if place is None:
            return False
        first = self._places.get((section, ""), place) if key else max(1, place - 1)
        return not any(SECRETIVE.search(line) for line in self._lines[first - 1 : place])


def fault(section: str, said: str, public: str | None = None) -> Fault:
    """A fault of a whole section: what is said behind its heading, and what of that everybody may see."""
    return Fault(f"{_heading(section)}{said}", f"{public_heading(section)}{said if public is None else public}")


def public_heading(section: str) -> str:
    """The heading of a section as everybody may see it: of those with a name, only meters keep it."""
    kind = kind_of(section)
    if kind not in NAMED.values():
        return f"[{section if kind else HIDDEN}]"
    first, name = [*section.split(maxsplit=1), ""][:2]
    return f"[{first} {name.strip() if kind == 'meter' and NAME.fullmatch(name.strip()) else HIDDEN}]"


def _heading(section: str) -> str:
    """The heading as its owner may see it."""
    return f"[{section}]" if _is_plain(section) or not SECRETIVE.search(section) else public_heading(section)


def _is_plain(section: str) -> bool:
    """Whether a section that is known has a name that will do, or needs none."""
    return " " not in section or NAME.fullmatch(section.partition(" ")[2].strip()) is not None


def value_shown(key: Key, text: str) -> str:
    """A value as its owner may see it."""
    if text and (key.secret or "\n" in text or SECRETIVE.search(text)):
        return HIDDEN
    return CREDENTIALS.sub(rf"\1{HIDDEN}@", text)


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
