"""The text of an INI file to sections and keys, with a sentence for every line that is none; nothing is known of keys.

No line is quoted, for it may hold a password: its number will do.

The only importer of configparser, which stops at the first fault: lines at fault are reported and left out before.
"""

from __future__ import annotations

import configparser
import re

HEADING = re.compile(r"\[(.+)\]")
KEY = re.compile(r"\s*([^=:\s][^=:]*?)\s*[=:]")
NO_LINE = "this is neither a [section], a key = value, nor a # comment"

Sections = dict[str, dict[str, str]]


def read(text: str) -> tuple[Sections, list[str]]:
    """The sections, and a sentence for each line at fault: no key, a key before any section, anything given twice."""
    checker = _Checker()
    lines = [line if checker.accepts(number, line) else "" for number, line in enumerate(text.splitlines(), 1)]
    parser = configparser.ConfigParser(
        interpolation=None, default_section="\0", empty_lines_in_values=False, strict=False
    )
    try:
        parser.read_string("\n".join(lines))
    except configparser.Error as error:
        return {}, [*checker.faults, *_sentences(error)]
    return {name: dict(parser[name]) for name in parser.sections() if name.strip()}, checker.faults


def places(text: str) -> dict[tuple[str, str], int]:
    """In which line, counted from 1, a section and key stand first; those of the section itself with "" for a key."""
    found: dict[tuple[str, str], int] = {}
    section = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        heading, key = HEADING.match(words), KEY.match(line)
        if not words or words[0] in "#;":
            continue
        if heading:
            section = heading[1]
            found.setdefault((section, ""), number)
        elif key and section is not None:
            found.setdefault((section, key[1].lower()), number)
    return found


def _sentences(error: configparser.Error) -> list[str]:
    """What configparser found, without the lines that it quotes."""
    numbers = [number for number, _ in getattr(error, "errors", ())] or [getattr(error, "lineno", None)]
    return [f"line {number or 'unknown'}: {NO_LINE}" for number in numbers]


class _Checker:
    """Looks at one line after the other; `faults` are those found so far."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._section: str | None = None
        self._given: dict[tuple[str, str], int] = {}  # section, and key or "", to its line

    def accepts(self, number: int, line: str) -> bool:
        """Whether a line may stay; a continued line (indented) is part of a value and judged there."""
        if not line.strip() or line.lstrip()[0] in "#;" or line[0] in " \t":
            return True
        heading = HEADING.match(line)
        if heading:
            self._section = heading[1]
            return self._new(number, (self._section, ""), "section", keep=True)
        key = KEY.match(line)
        if not key:
            return self._fault(number, NO_LINE)
        if self._section is None:
            return self._fault(number, "a key stands before any section; wanted [powerpi] or [meter NAME] above it")
        return self._new(number, (self._section, key[1].lower()), "key", keep=False)

    def _new(self, number: int, name: tuple[str, str], kind: str, keep: bool) -> bool:
        if name in self._given:
            first = self._given[name]
            self._fault(number, f"the {kind} of line {first} is given a second time; wanted every {kind} once")
            return keep
        self._given[name] = number
        return True

    def _fault(self, number: int, sentence: str) -> bool:
        self.faults.append(f"line {number}: {sentence}")
        return False
