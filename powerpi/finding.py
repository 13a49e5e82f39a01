"""One line of `powerpi check`: what was looked at, its state, and what to do."""

from __future__ import annotations

from typing import NamedTuple

SIGNS = {True: "ok  ", None: "look", False: "BAD "}


class Finding(NamedTuple):
    """What was looked at, whether it is right (None: it works, but look), and what was found or is to be done."""

    what: str
    right: bool | None
    said: str

    @property
    def line(self) -> str:
        """The finding as it is printed."""
        return f"{SIGNS[self.right]}  {self.what}: {self.said}"
