"""One meter here and at its mirror: send what is missing there, compare, put right. No thread, no clock, no waiting.

The RRD is the queue: what the mirror does not hold yet is read from it, oldest first, a day at most in one message.
"""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import compress, count, filterfalse
from typing import TYPE_CHECKING, NamedTuple

from powerpi.digests import UNIT_ROWS, Unit, digest, units
from powerpi.errors import OutOfStepError, TooLargeError
from powerpi.layout import ARCHIVES_SECONDS, LOSSLESS_DAYS, MEAN_SECONDS, quarter_end
from powerpi.ledger import Ledger, merged
from powerpi.messages import Push, Rows, Standing, State
from powerpi.pulses import STEP_SECONDS, Row

if TYPE_CHECKING:
    from powerpi.peer import Peer

LEAST_ROWS = 360  # an hour, some 3 kB: who does not take that takes nothing
ASK_TRIES = 3  # two who send at once, or a mirror restored this very minute


class Progress(NamedTuple):
    """How far the mirror has come."""

    behind_rows: int  # on disk here, not yet there
    acknowledged: int | None = None  # the newest row there, Unix seconds
    watched: bool = False  # somebody looks at the graphs there
    counter_ahead: int = 0  # by how many pulses the counter there is above the one here


class Verdict(NamedTuple):
    """What a comparison of all rows that both ends hold has found."""

    until: int | None = None  # Unix seconds of the newest row compared; None: nothing is held by both
    repaired_rows: int = 0  # were unknown or different there, and were sent again
    healed_rows: int = 0  # had changed on the disk here, and were fetched from there
    damaged_rows: int = 0  # belong to days that have changed on the disk here, and the mirror cannot help
    only_there_rows: int = 0  # are unknown here and known there: `powerpi restore` brings them back


class Twin:
    """A meter on both ends: `ledger` holds its rows here, `meter` is its name at the mirror."""

    def __init__(self, meter: str, ledger: Ledger, peer: Peer) -> None:
        self.meter = meter
        self._ledger = ledger
        self._peer = peer
        self._standing: Standing | None = None  # as the mirror last said; None: to be asked for
        self._most_rows = UNIT_ROWS  # in one message
        self._explained: dict[Unit, tuple[str, str | None, int]] = {}  # digests here and there, rows known only there

    def catch_up(
        self, state: Callable[[], State | None], surprised: Callable[[], None] = lambda: None
    ) -> Iterator[Progress]:
        """Send the rows on disk that the mirror lacks, oldest first, and the present state with the last of them.

        Yields after every message. `surprised` is called where the mirror holds something else than it last said: it is
        another one, or came back from a backup. Raises PeerError, StoreError: the next call asks anew what it holds.
        """
        standing, self._standing = self._standing or self._peer.standing(self.meter), None
        knew_nothing = standing.newest is None
        newest, told, behind, tries = self._ledger.newest(), _Told(state), 0, 0
        while tries < ASK_TRIES:
            tries += 1
            try:
                for said in self._send(standing, newest, told):
                    tries = 1 if (said.newest or 0) > (standing.newest or 0) else tries
                    standing = said
                    behind = rows_between(standing.newest or 0, newest.time) if newest else 0
                    yield Progress(behind, standing.newest, standing.watched, told.ahead(standing))
            except OutOfStepError:
                if tries == ASK_TRIES:
                    raise
                surprised()
                knew_nothing = True
                standing, behind = self._peer.standing(self.meter), 1
            if not behind:  # otherwise the mirror was restored from a backup since it last said what it holds
                break
        if behind:
            raise OutOfStepError(f"{self._peer.name} does not hold what it was sent")
        if knew_nothing:
            self._send_means(standing, newest)
        self._standing = standing
        self._most_rows = UNIT_ROWS  # in step: what was in the way of long messages may be over when there are more

    def _send(self, standing: Standing, newest: Row | None, state: Callable[[], State | None]) -> Iterator[Standing]:
        """What the mirror says to each message."""
        first = self._first_missing(standing, newest)
        if newest is None or first is None or first >= newest.time:
            yield self._peer.push(self.meter, Push(_no_rows(standing, newest), None, state(), standing.newest))
            return
        held, ahead = standing.newest, _pulses(self._rows(Unit(STEP_SECONDS, first, newest.time)))
        while first < newest.time:
            rows = self._known(first, min(newest.time, first + self._most_rows * STEP_SECONDS), newest.time)
            if not rows.rates:
                first = rows.after
                continue
            until = rows.unit.until
            left = ahead - _pulses(iter([rows.rates]))
            message = Push(rows, max(0.0, newest.pulses - left), None, held)
            if until == newest.time:
                message = message._replace(pulses=newest.pulses, state=state())
            try:
                answer = self._peer.push(self.meter, message)
            except TooLargeError:
                if not self._less():
                    raise
                continue
            first, ahead, held = until, left, answer.newest
            yield answer
            if held != until:  # it is not as it was thought to be: look anew
                return

    def _send_means(self, standing: Standing, newest: Row | None) -> None:
        """Send the means of the time before the rows begin: no rows will ever tell them."""
        span = self._shared(MEAN_SECONDS, standing, newest)
        for unit in units(*span) if span else ():
            rates = self._ledger.rows(unit)
            if not all(map(math.isnan, rates)):
                self._peer.repair(self.meter, Rows(MEAN_SECONDS, unit.after, rates))

    def _less(self) -> bool:
        """Send shorter messages from now on; False where they are as short as can be."""
        shorter = self._most_rows // 2
        if shorter < LEAST_ROWS:
            return False
        self._most_rows = shorter
        return True

    def slow(self) -> None:
        """The last message took too long: a line this slow gets shorter ones."""
        self._less()

    def _first_missing(self, standing: Standing, newest: Row | None) -> int | None:
        """The time after which rows are missing at the mirror; None where there are none here."""
        if newest is None:
            return None
        oldest = self._ledger.spans()[STEP_SECONDS].after
        return oldest if standing.newest is None else max(oldest, standing.newest)

    def _rows(self, span: Unit) -> Iterator[array[float]]:
        return (self._ledger.rows(unit) for unit in units(*span))

    def _known(self, after: int, until: int, newest: int) -> Rows:
        """The rows in (after, until] without the unknown ones at their beginning; at worst none, after `until`.

        The newest of all is never left out: the mirror learns how far the time is known to be unknown.
        """
        rates = self._ledger.rows(Unit(STEP_SECONDS, after, until))
        unknown = next(compress(count(), map(operator.eq, rates, rates)), len(rates))  # NaN differs from itself
        unknown = min(unknown, len(rates) - (until == newest))
        return Rows(STEP_SECONDS, after + unknown * STEP_SECONDS, rates[unknown:])

    # ------------------------------------------------------------ comparing

    def verify(self, fresh: bool) -> Verdict:
        """Compare all rows that both ends hold, by digests, and put right what differs. Raises PeerError, StoreError.

        Known rows from here take the place of what the mirror has. `fresh`: both ends look at the disk again.
        """
        standing, newest = self._peer.standing(self.meter), self._ledger.newest()
        if newest is None or standing.newest is None:
            return Verdict()
        verdict = Verdict(min(newest.time, standing.newest))
        for step in ARCHIVES_SECONDS:
            span = self._shared(step, standing, newest)
            verdict = self._compare(span, fresh, verdict) if span else verdict
        return verdict

    def _shared(self, step_seconds: int, standing: Standing, newest: Row | None) -> Unit | None:
        """The rows that both ends hold. The means of the last year follow from these and are left out."""
        spans = self._ledger.spans()
        if newest is None or standing.newest is None or step_seconds not in spans.keys() & standing.spans.keys():
            return None
        after, until = (
            max(spans[step_seconds].after, standing.spans[step_seconds][0]),
            min(newest.time, standing.newest),
        )
        if step_seconds != STEP_SECONDS:  # a quarter hour that has lost some of its rows stands for itself already
            until = min(quarter_end(spans[STEP_SECONDS].after), until // step_seconds * step_seconds)
        return Unit(step_seconds, after, until) if after < until else None

    def _compare(self, span: Unit, fresh: bool, verdict: Verdict) -> Verdict:
        here, there = self._ledger.digests(*span, fresh=fresh), self._peer.digests(self.meter, span, fresh)
        for unit, text in here.digests.items():
            other = there.get(unit)
            if text == other:
                if unit in here.changed:
                    self._ledger.forget(unit)  # it says nothing any more: both ends hold the same
            elif self._explained.get(unit, ())[:2] == (text, other):
                verdict = _more(verdict, only_there_rows=self._explained[unit][2])
            else:
                verdict = self._put_right(unit, here.changed.get(unit, text), verdict)
        return verdict

    def _put_right(self, unit: Unit, kept: str, verdict: Verdict) -> Verdict:
        """Rows that are no longer those whose digest was kept are healed and never sent, all others are sent."""
        ours, theirs = self._ledger.rows(unit), self._peer.rows(self.meter, unit).rates
        return (self._repair if digest(ours) == kept else self._heal)(unit, kept, ours, theirs, verdict)

    def _heal(self, unit: Unit, kept: str, ours: array[float], theirs: array[float], verdict: Verdict) -> Verdict:
        """Fetch rows that have changed on the disk here from the mirror, if it holds them as they once were."""
        if digest(theirs) != kept:
            return _more(verdict, damaged_rows=len(ours))
        self._ledger.put(unit, theirs)
        return _more(verdict, healed_rows=_different(ours, theirs))

    def _repair(self, unit: Unit, text: str, ours: array[float], theirs: array[float], verdict: Verdict) -> Verdict:
        """Send the rows of a unit again, but for those that only the mirror knows."""
        whole = merged(ours, theirs)
        different = _different(whole, theirs)
        if different:
            self._peer.repair(self.meter, Rows(unit.step_seconds, unit.after, whole))
        only_there = _different(whole, ours)
        self._explained[unit] = (text, digest(whole), only_there)
        return _more(verdict, repaired_rows=different, only_there_rows=only_there)


class _Told:
    """The states of a meter, as they are asked for; remembers the last one."""

    def __init__(self, state: Callable[[], State | None]) -> None:
        self._state = state
        self._last: State | None = None

    def __call__(self) -> State | None:
        said = self._state()
        self._last = said or self._last
        return said

    def ahead(self, standing: Standing) -> int:
        """By how many pulses the counter there is above the one that was told."""
        return max(0, standing.pulses - self._last.pulses) if self._last else 0


def added(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on several meters: compared up to where all were."""
    untils = [verdict.until for verdict in verdicts]
    until = None if None in untils else min((until for until in untils if until is not None), default=None)
    return Verdict(until, *(sum(counts) for counts in zip(*(verdict[1:] for verdict in verdicts), strict=True)))


def rows_between(acknowledged: int, newest: int) -> int:
    """How many rows lie between two of them, unknown ones included: of those that are held here, a year at most."""
    return max(0, min(newest - acknowledged, LOSSLESS_DAYS * 86400) // STEP_SECONDS)


def _no_rows(standing: Standing, newest: Row | None) -> Rows:
    return Rows(STEP_SECONDS, newest.time if newest else standing.newest or 0, array("d"))


def _pulses(parts: Iterator[array[float]]) -> float:
    """How many pulses the known rows hold."""
    return STEP_SECONDS * sum(sum(filterfalse(math.isnan, part)) for part in parts)


def _different(some: array[float], others: array[float]) -> int:
    """How many rows differ; two unknowns do not."""
    return sum(a != b and (a == a or b == b) for a, b in zip(some, others, strict=True))  # noqa: PLR0124 (NaN)


def _more(verdict: Verdict, **counts: int) -> Verdict:
    return verdict._replace(**{name: getattr(verdict, name) + count for name, count in counts.items()})
