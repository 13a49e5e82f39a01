"""The text of an INI file to sections and keys, with a sentence for every line that is none; nothing is known of keys.

The only importer of configparser, which stops at the first fault: lines at fault are reported and left out before.
"""

from __future__ import annotations

import configparser
import re

HEADING = re.compile(r"\[(.+)\]")
SECRET = re.compile(r"(?i)(password\w*\W+)\S.*")  # in a line that is quoted
KEY = re.compile(r"\s*([^=:\s][^=:]*?)\s*[=:]")

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
        return {}, [*checker.faults, _hidden(" ".join(str(error).split()))]
    return {name: dict(parser[name]) for name in parser.sections() if name.strip()}, checker.faults


def _hidden(line: str) -> str:
    """The line without a password that may stand in it."""
    return SECRET.sub(r"\1********", line)


class _Checker:
    """Looks at one line after the other; `faults` are those found so far."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._section: str | None = None
        self._given: set[tuple[str, str]] = set()

    def accepts(self, number: int, line: str) -> bool:
        """Whether a line may stay; a continued line (indented) is part of a value and judged there."""
        if not line.strip() or line.lstrip()[0] in "#;" or line[0] in " \t":
            return True
        heading = HEADING.match(line)
        if heading:
            self._section = heading[1]
            return self._new(number, f"[{self._section}]", "section", keep=True)
        key = KEY.match(line)
        if not key:
            return self._fault(
                number, f"{_hidden(line.strip())[:60]!r} is neither a [section], a key = value, nor a # comment"
            )
        if self._section is None:
            return self._fault(number, f"{key[1]} stands before any section; wanted [powerpi] or [meter NAME] above it")
        return self._new(number, f"[{self._section}] {key[1].lower()}", "key", keep=False)

    def _new(self, number: int, name: str, kind: str, keep: bool) -> bool:
        if (kind, name) in self._given:
            self._fault(number, f"{name} is given a second time; wanted every {kind} once")
            return keep
        self._given.add((kind, name))
        return True

    def _fault(self, number: int, sentence: str) -> bool:
        self.faults.append(f"line {number}: {sentence}")
        return False
