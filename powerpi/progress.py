"""A progress bar on standard error: a moving line on a terminal, a line at the end elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

WIDTH = 32
PAUSE_SECONDS = 0.1


class Progress:
    """Shows how far a piece of work has come; a context manager."""

    def __init__(self, title: str, total: float, stream: TextIO | None = None) -> None:
        self._title = title
        self._total = total
        self._stream = stream or sys.stderr
        self._began = time.monotonic()
        self._shown = 0.0

    def __enter__(self) -> Progress:
        return self

    def to(self, done: float) -> None:
        """Say how much of the total is done."""
        now = time.monotonic()
        if self._stream.isatty() and now - self._shown >= PAUSE_SECONDS:
            self._shown = now
            self._draw(min(1.0, done / self._total) if self._total else 1.0)

    def _draw(self, share: float) -> None:
        bar = "█" * round(WIDTH * share)
        self._stream.write(f"\r{self._title} {bar:░<{WIDTH}} {share:4.0%}")
        self._stream.flush()

    def __exit__(self, *problem: object) -> None:
        if problem[0] is None:
            if self._stream.isatty():
                self._draw(1.0)
                self._stream.write(f" {time.monotonic() - self._began:.1f} s\n")
            else:
                self._stream.write(f"{self._title}: done in {time.monotonic() - self._began:.1f} s\n")
        elif self._stream.isatty():
            self._stream.write("\n")
