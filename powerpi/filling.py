"""Values put into the text of a sample configuration, at the places where their keys stand; its comments stay.

In a sample a key or heading that is not used begins with # and no blank after it; # and a blank begin words for people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

HEADING = re.compile(r"#?\[(.+)\]\s*")
KEY = re.compile(r"#?([a-z_]+) *=.*")


def filled(
    sample: str, section: str, values: Mapping[str, str], notes: Sequence[str] = (), *, used: bool = True
) -> str:
    """The sample with the values in a section of it, and notes as comments below its heading.

    `used`: the section counts, also where it was a comment; else all that is put in is a comment. What the sample does
    not have is added: keys below the heading, a section at the end.
    """
    lines = sample.splitlines()
    start, end = _span(lines, section)
    if start is None:
        lines += ["", f"[{section}]"]
        start, end = len(lines) - 1, len(lines)
    mark = "" if used else "#"
    body, missing = _replaced(lines[start + 1 : end], values, mark)
    added = [f"{mark}{key} = {value}" for key, value in missing.items()]
    lines[start:end] = [f"{mark}[{section}]", *(f"# {note}" for note in notes), *added, *body]
    return "\n".join(lines) + "\n"


def _span(lines: Sequence[str], section: str) -> tuple[int | None, int]:
    """The line of a section's heading, and the one after its last; None: it is not there."""
    headings = [(number, found[1]) for number, line in enumerate(lines) if (found := HEADING.fullmatch(line))]
    starts = [number for number, name in headings if name == section]
    if not starts:
        return None, len(lines)
    return starts[0], min((number for number, _ in headings if number > starts[0]), default=len(lines))


def _replaced(lines: Sequence[str], values: Mapping[str, str], mark: str) -> tuple[list[str], dict[str, str]]:
    """The lines with the values in them, and the values that found no place."""
    left, body = dict(values), []
    for line in lines:
        key = KEY.fullmatch(line)
        given = key and key[1] in left
        body.append(f"{mark}{key[1]} = {left.pop(key[1])}" if key and given else line)
    return body, left
