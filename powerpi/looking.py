"""What the PowerPi that runs tells `powerpi check` at its door: what its contacts do, and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from powerpi import __version__
from powerpi.as_json import health_json
from powerpi.config import Settings
from powerpi.contacts import Sights, message, sight
from powerpi.counting import Counting
from powerpi.door import Handler
from powerpi.house import House
from powerpi.pulse_health import Seen


def handlers(settings: Settings, counting: Counting, house: House) -> dict[str, Handler]:
    """The handlers of the door, by what is asked."""

    def contacts(request: Mapping[str, Any]) -> dict[str, Any]:
        """What the contacts do; `after`: the ends of the closings that are known. Has the thread look again soon."""
        after = {str(name): float(time) for name, time in dict(request["after"]).items()}
        counting.wake()
        meters = {
            name: sight(live.begun, live.contact, live.pulses, live.seen or Seen(), after.get(name, 0.0))
            for name, live in ((name, meter.live) for name, meter in counting.meters.items())
        }
        return message(Sights(counting.clock.monotonic(), counting.offset, meters))

    def health(_: Mapping[str, Any]) -> dict[str, Any]:
        """How it is, as /health tells it, and since when and as which version it runs."""
        now = counting.clock.monotonic() + counting.clock.offset()
        told = health_json(house.health(), house.labels(), house.push_status(), settings.timezone, now)
        clock = {"trusted": counting.trusted, "waiting": counting.offset is None}
        return {**told, "version": __version__, "clock": clock}

    return {"contacts": contacts, "health": health}
