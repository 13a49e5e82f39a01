"""What a scenario found, and the table of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Result(NamedTuple):
    """One line: what PowerPi promises, what was measured, whether it was kept (None: a figure without a promise)."""

    promise: str
    measured: str
    kept: bool | None = None


VERDICTS = {True: "ok", False: "FAILED", None: ""}


def kept(results: Sequence[Result]) -> bool:
    """Whether no promise was broken."""
    return all(result.kept is not False for result in results)


def table(found: Sequence[tuple[str, Result]]) -> str:
    """Scenarios and their results as a Markdown table."""
    heads = ("scenario", "promise", "measured", "")
    lines = [(name, result.promise, result.measured, VERDICTS[result.kept]) for name, result in found]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, ("---",) * len(heads), *lines))
