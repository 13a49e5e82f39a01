"""What the PowerPi that runs answers at its door, to commands on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from powerpi.counting import Counting
from powerpi.door import Handler

FLUSH_SECONDS = 10.0


def handlers(counting: Counting) -> dict[str, Handler]:
    """The handlers of the door, by what is asked."""

    def flush(_: Mapping[str, Any]) -> bool:
        """Have all rows made so far written; whether they are."""
        return counting.flush(FLUSH_SECONDS)

    return {"flush": flush}
