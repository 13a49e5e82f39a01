"""Noting what a meter's display shows: which readings can be, and where the counter stood then.

The same for a PowerPi that runs and for the command that does without one: they differ in where the counter stands now.
Times are Unix seconds, energies Wh. What cannot be raises RefusedError, what is doubtful is asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from powerpi import anchors
from powerpi.anchors import LEAST_UNKNOWN_SECONDS, Anchor, Anchors, Noted
from powerpi.config import MeterSettings
from powerpi.errors import RefusedError
from powerpi.folder import storing
from powerpi.gaps import Gap
from powerpi.hindsight import stand
from powerpi.ledger import Ledger
from powerpi.periods import span_text
from powerpi.pulses import Knot
from powerpi.units import WATT_HOURS_PER_KWH

DOUBTFUL_SHARE = 0.1  # of what went through the meter ...
DOUBTFUL_WATT_HOURS = 5000.0  # ... and so much: a reading this far off what was counted may be a slip
MINUTE_SECONDS = 60
MOST_WATT_HOURS = 1e11  # a display of 8 digits in kWh


class Wish(NamedTuple):
    """What is wanted: a reading noted, one taken away, or neither, to see those that there are."""

    watt_hours: float | None = None
    time: int | None = None  # of the reading; None: now
    new_meter: bool = False
    remove: int | None = None  # the time of the one to be taken away; a whole minute stands for any second of it
    sure: bool = False  # what is doubtful was asked about


class Answer(NamedTuple):
    """How it stands then."""

    anchors: Anchors
    gaps: tuple[Gap, ...]
    imp_per_kwh: float
    display_watt_hours: float  # what the display shows now
    time: int  # of the reading that was noted or taken away, or would be
    question: str = ""  # nothing was done: it is to be asked first
    unknown_seconds: int = 0  # since the time of the reading
    replaced: Anchor | None = None


class Present(NamedTuple):
    """A meter at this moment."""

    now: Knot
    gaps: tuple[Gap, ...]  # the last one may be open


class Place(NamedTuple):
    """Where the readings of a meter are noted."""

    settings: MeterSettings
    zone: ZoneInfo
    noted: Noted
    ledger: Ledger
    present: Callable[[bool], Present]  # True: with all that was counted on disk
    publish: Callable[[], object]  # shows what was noted
    hold: Callable[[], None]  # makes sure that the folder is still this process's


def fulfil(place: Place, wish: Wish) -> Answer:
    """Do what is wanted. Raises RefusedError, StoreError; then nothing has changed."""
    present = place.present(wish.watt_hours is not None)
    if wish.remove is not None:
        return _remove(place, present, wish, wish.remove)
    if wish.watt_hours is None:
        return _answer(place, present, int(present.now.time))
    return _note(place, present, wish, wish.watt_hours)


def _answer(place: Place, present: Present, time: int, **more: Any) -> Answer:
    noted, settings = place.noted.all, place.settings
    display = anchors.watt_hours(noted, present.now.pulses, settings.imp_per_kwh, settings.offset_kwh)
    return Answer(noted, present.gaps, settings.imp_per_kwh, display, time, **more)


# ---------------------------------------------------------------- a new one


def _note(place: Place, present: Present, wish: Wish, watt_hours: float) -> Answer:
    now = present.now
    if not 0 <= watt_hours <= MOST_WATT_HOURS:  # NaN is neither
        raise RefusedError(f"{watt_hours:g} Wh is no reading: wanted 0 to {MOST_WATT_HOURS:g}")
    time = int(now.time) if wish.time is None else wish.time
    if time > now.time:
        raise RefusedError(f"{_when(time, place.zone)} is still to come: it is {_when(int(now.time), place.zone)} now")
    found = stand(place.ledger, now, time if wish.time is not None else int(now.time) + 1)
    if found is None:
        raise RefusedError(f"nothing had been counted yet at {_when(time, place.zone)}: wanted a later time")
    anchor = Anchor(time, watt_hours, found.pulses, wish.new_meter)
    replaced = next((other for other in place.noted.all if other.place == anchor.place), None)
    whole = anchors.merged([*place.noted.all, anchor])
    doubts = list(_doubts(place, present.gaps, whole, whole.index(anchor)))
    if replaced and wish.time is None and watt_hours < replaced.watt_hours:  # who corrects one names its time
        doubts.append(f"{_kwh(anchor)} is less than the {_kwh(replaced)} of this second, and takes its place")
    if doubts and not wish.sure:
        return _answer(place, present, time, question="; ".join(doubts))
    _keep(place, whole)
    waiting = anchors.unknown_seconds([gap for gap in present.gaps if gap.end is None], time, int(now.time))
    unknown_seconds = found.unknown_seconds + waiting
    return _answer(place, present, time, unknown_seconds=unknown_seconds, replaced=replaced)


def _doubts(place: Place, gaps: Sequence[Gap], whole: Anchors, index: int) -> list[str]:
    """What is doubtful about a reading beside those before and after it. Raises RefusedError for what cannot be."""
    anchor, doubts = whole[index], []
    before = whole[index - 1] if index and not anchor.new_meter else None
    after = next((other for other in whole[index + 1 : index + 2] if not other.new_meter), None)
    if before and anchor.watt_hours < before.watt_hours:
        raise RefusedError(
            f"{_kwh(anchor)} is less than the {_kwh(before)} of {_when(before.time, place.zone)}: wanted at least that,"
            f" or --new-meter where the meter was replaced, or if that one was a slip: {_removal(place, before)}"
        )
    if after and anchor.watt_hours > after.watt_hours:
        raise RefusedError(
            f"{_kwh(anchor)} is more than the {_kwh(after)} of {_when(after.time, place.zone)}, which is later: wanted"
            f" at most that, or if that one was a slip: {_removal(place, after)}"
        )
    if not whole[:index] and not anchor.new_meter and place.settings.offset_kwh:
        before = Anchor(anchor.time, place.settings.offset_kwh * WATT_HOURS_PER_KWH, 0.0)  # as configured until now
    for first, last in ((before, anchor), (anchor, after)):
        if first and last:
            doubts += _doubt(place, gaps, first, last, anchor)
    return doubts


def _doubt(place: Place, gaps: Sequence[Gap], first: Anchor, last: Anchor, typed: Anchor) -> list[str]:
    """What is doubtful about two neighbours, of which one was `typed` now."""
    if anchors.is_lost(first, last):  # there is nothing to compare it with
        return []
    found = anchors.interval(first, last, place.settings.imp_per_kwh, gaps)
    off = found.shown_watt_hours - found.counted_watt_hours
    most = DOUBTFUL_SHARE * max(found.shown_watt_hours, found.counted_watt_hours)
    if abs(off) <= max(DOUBTFUL_WATT_HOURS, most):
        return []
    expected = first.watt_hours + found.counted_watt_hours
    text = f"{_number(abs(off))} kWh {'more' if off > 0 else 'less'} than was counted"
    if typed is first:
        later = f"the later reading {_kwh(last)} of {_when(last.time, place.zone)}"
        text = f"with {_kwh(first)} then, {later} would be {text}"
    else:
        text = f"{_kwh(last)} is {text}, by which it would be {_number(expected)} kWh"
    if found.unknown_seconds < LEAST_UNKNOWN_SECONDS:
        return [text]
    return [f"{text}; {span_text(found.unknown_seconds)} in between are unknown"]


# ---------------------------------------------------------------- one less


def _remove(place: Place, present: Present, wish: Wish, time: int) -> Answer:
    index = _meant(place, wish, time)
    noted = place.noted.all
    gone, rest = noted[index], [*noted[:index], *noted[index + 1 :]]
    if not wish.sure:
        question = f"the reading {_kwh(gone)} of {_when(gone.time, place.zone)} will be taken away"
        return _answer(place, present, gone.time, question=question)
    before, after = noted[index - 1 : index], rest[index : index + 1]
    if gone.new_meter and before and after and after[0].watt_hours < before[0].watt_hours:
        rest[index] = after[0]._replace(new_meter=True)  # whose series it now begins
    _keep(place, tuple(rest))
    return _answer(place, present, gone.time, replaced=gone)


def _meant(place: Place, wish: Wish, time: int) -> int:
    """The index of the reading that is to be taken away. Raises RefusedError."""
    until = time + (1 if time % MINUTE_SECONDS else MINUTE_SECONDS)
    found = [(index, anchor) for index, anchor in enumerate(place.noted.all) if time <= anchor.time < until]
    exact = [(index, anchor) for index, anchor in found if anchor.time == time]
    found = exact or found
    if len(found) > 1 and len({anchor.time for _, anchor in found}) == 1:  # the last of a meter, the first of the next
        found = [(index, anchor) for index, anchor in found if anchor.new_meter == wish.new_meter]
    if not found:
        raise RefusedError(f"no reading of {_when(time, place.zone)} is noted for {place.settings.name}")
    if len(found) > 1:
        times = ", ".join(_when(anchor.time, place.zone) for _, anchor in found)
        raise RefusedError(f"{len(found)} readings were noted in that minute: wanted one of {times}")
    return found[0][0]


def _keep(place: Place, whole: Anchors) -> None:
    """Have these readings and no others. Raises StoreError."""
    place.hold()
    with storing(place.noted.path):
        place.noted.put(whole)
    place.publish()


# ---------------------------------------------------------------- words


def _when(time: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(time, zone):%F %T}"


def _removal(place: Place, anchor: Anchor) -> str:
    """The command that takes a reading away."""
    moment = datetime.fromtimestamp(anchor.time, place.zone)
    twice = moment.utcoffset() != moment.replace(fold=1 - moment.fold).utcoffset()  # the clocks were set back
    time = moment.isoformat() if twice else f"{moment:%FT%T}"
    return f"powerpi reading {place.settings.name} --remove {time}{' --new-meter' if anchor.new_meter else ''}"


def _kwh(anchor: Anchor) -> str:
    return f"{anchor.watt_hours / WATT_HOURS_PER_KWH:.{anchors.decimals([anchor])}f} kWh"


def _number(watt_hours: float) -> str:
    return f"{watt_hours / WATT_HOURS_PER_KWH:.1f}"


# ---------------------------------------------------------------- through the door


def told(answer: Answer) -> dict[str, Any]:
    """An answer as JSON can carry it."""
    return answer._asdict()


def heard(answer: Mapping[str, Any]) -> Answer:
    """An answer as JSON has carried it. Raises KeyError, TypeError, ValueError for one of another version."""
    replaced = answer["replaced"]
    return Answer(
        **{
            **answer,
            "anchors": tuple(Anchor(*anchor) for anchor in answer["anchors"]),
            "gaps": tuple(Gap(*gap) for gap in answer["gaps"]),
            "replaced": Anchor(*replaced) if replaced else None,
        }
    )


def asked(request: Mapping[str, Any]) -> Wish:
    """The wish in a request at the door, which came from this user's own command."""
    return Wish(**{name: request[name] for name in Wish._fields if name in request})
