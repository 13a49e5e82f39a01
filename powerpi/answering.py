"""What the PowerPi that runs answers at its door, to commands on this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from powerpi import draft
from powerpi.counting import Counting
from powerpi.door import Handler
from powerpi.errors import shown

log = logging.getLogger(__name__)

FLUSH_SECONDS = 10.0


def handlers(counting: Counting, **others: Handler) -> dict[str, Handler]:
    """The handlers of the door, by what is asked."""

    def flush(_: Mapping[str, Any]) -> bool:
        """Have all rows made so far written; whether they are."""
        return counting.flush(FLUSH_SECONDS)

    def adopt(request: Mapping[str, Any]) -> bool:
        """Let the copy of a meter's RRD, whose past was changed, take its place."""
        meter = counting.meters.get(request["meter"])
        if meter is None:
            raise ValueError(f"this PowerPi counts no meter called {shown(str(request['meter']))}")
        meter.store.adopt(draft.path_of(meter.store.rrd))
        log.info("meter %s: rows of the past were imported", meter.name)
        return True

    return {"flush": flush, "adopt": adopt, **others}
