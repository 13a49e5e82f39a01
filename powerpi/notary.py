"""Readings that are noted while PowerPi counts: it knows the counter of this moment, and shows them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from powerpi import noting
from powerpi.config import Settings
from powerpi.counting import Counting
from powerpi.door import Handler
from powerpi.errors import RefusedError
from powerpi.ledger import Ledger
from powerpi.meter import Live
from powerpi.noting import Place, Present, fulfil
from powerpi.pulses import Knot
from powerpi.push import Push

FLUSH_SECONDS = 10.0


def notary(
    settings: Settings,
    counting: Counting,
    ledgers: Mapping[str, Ledger],
    hold: Callable[[], None],
    push: Push | None,
) -> Handler:
    """What answers wishes of `noting` at the door, of all meters that are counted here; `push` hears of news."""

    def publish() -> None:
        counting.flush(FLUSH_SECONDS)  # every turn shows what there is
        if push:
            push.send_soon()

    places = {
        meter.name: Place(
            meter,
            settings.timezone,
            counting.meters[meter.name].noted,
            ledgers[meter.name],
            _presence(counting, meter.name),
            publish,
            hold,
        )
        for meter in settings.meters
    }

    def answer(request: Mapping[str, Any]) -> dict[str, Any]:
        if request["meter"] not in places:
            known = ", ".join(places)
            raise RefusedError(f"the PowerPi that runs counts {known or 'no meter'}: wanted it restarted")
        return noting.told(fulfil(places[request["meter"]], noting.asked(request)))

    return answer


def _presence(counting: Counting, name: str) -> Callable[[bool], Present]:
    def present(exact: bool) -> Present:
        """The meter now. `exact`: with rows and counter on disk first, so that no kill takes any of it back."""
        if exact and counting.offset is None:
            raise RefusedError("the clock is not set yet, and a reading needs its time: wanted once it is")
        meter = counting.meters[name]
        if exact and not (counting.flush(FLUSH_SECONDS, counters=True) and "register" not in meter.faults):
            raise RefusedError("what was counted cannot be written just now, and so no reading; the page says why")
        live = meter.live
        offset = counting.clock.offset() if counting.offset is None else counting.offset
        return Present(Knot(live.taken + offset, pulses_now(live)), live.gaps)

    return present


def pulses_now(live: Live) -> float:
    """The counter with the part of a pulse that is under way, as far as the last interval tells: at most one."""
    if live.last_pulse is None or not live.interval_seconds:
        return live.pulses
    return live.pulses + min(1.0, max(0.0, live.taken - live.last_pulse) / live.interval_seconds)
