"""The push thread: forwards new rows to the mirror, backs off while it is away, compares both ends now and then.

It never gives up, and nothing waits for it: the RRD holds a year of what the mirror does not know yet.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from powerpi.errors import (
    OutOfStepError,
    PowerPiError,
    RefusedError,
    SlowPeerError,
    StoreError,
)
from powerpi.messages import State
from powerpi.push_status import LATER, PushStatus, why_of
from powerpi.sync import Progress, Verdict, added, rows_between
from powerpi.telling import Telling
from powerpi.worker import Worker

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 5.0  # after a failure; twice as long after each further one ...
LONGEST_PAUSE_SECONDS = 300.0  # ... up to this
RARELY_SECONDS = 900.0  # what somebody has to put right first is not tried all the time
CLOCK_PAUSE_SECONDS = 5.0
VERIFY_SECONDS = 3600.0
FRESH_SECONDS = 86400.0  # both ends look at their disks again: a year is read there and here
STOP_SECONDS = 2.0  # a request that is under way then ends with the process


class Course(Protocol):
    """One meter on its way: `sync.Twin`, or samples for an old server."""

    meter: str

    def catch_up(
        self, state: Callable[[], State | None], surprised: Callable[[], None] = lambda: None
    ) -> Iterator[Progress]:
        """Send what is missing there; yields after every message. `surprised`: the mirror is not as it was."""
        ...

    def verify(self, fresh: bool) -> Verdict:
        """Compare both ends and put right what differs."""
        ...

    def slow(self) -> None:
        """Send shorter messages."""
        ...


class Sending(NamedTuple):
    """A meter that is sent: how, what is told along, and the time of its newest row on disk (0: there is none)."""

    course: Course
    telling: Telling
    newest: Callable[[], int]


class Rest(NamedTuple):
    """That a meter is not sent, until when (CLOCK_MONOTONIC seconds), and why."""

    until: float
    error: PowerPiError


class Push(Worker):
    """The thread. `trusted` says whether the clock is, `flush` brings new rows to the disk, `hang_up` ends a round."""

    def __init__(
        self,
        host: str,
        sendings: Sequence[Sending],
        interval_seconds: float,
        *,
        trusted: Callable[[], bool],
        flush: Callable[[], object],
        hang_up: Callable[[], None],
        monotonic: Callable[[], float],
        now: Callable[[], float],
        on_death: Callable[[str, BaseException], None],
        always_flush: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`always_flush`: new rows are wanted at every interval, and not only while somebody looks there."""
        super().__init__("push", CLOCK_PAUSE_SECONDS, on_death)
        self._status = PushStatus(host)
        self._sendings = sendings
        self._interval_seconds = interval_seconds
        self._trusted, self._flush, self._hang_up = trusted, flush, hang_up
        self._monotonic, self._now, self._chance = monotonic, now, chance
        self._due = monotonic()
        self._is_news_here = False  # since the last round began
        self._verify_due = self._fresh_due = self._due
        self._failures = 0  # in a row
        self._logged: tuple[str | None, str] = (None, "")  # the state in the last line of the log
        self._always_flush = always_flush
        self._watched = False
        self._acknowledged: dict[str, int] = {}  # the newest row there, by meter; none: not asked yet
        self._ahead: dict[str, int] = {}
        self._resting: dict[str, Rest] = {}  # meters that are not sent for a while

    @property
    def status(self) -> PushStatus:
        """How the mirror stands now; any thread may ask."""
        status = self._status  # once: the thread may put another one in its place
        return status._replace(behind_rows=0 if status.in_step else self._behind())

    def _behind(self) -> int | None:
        """How many rows on disk here are not there, as far as is known; None: the mirror never said what it holds."""
        acknowledged = self._acknowledged
        if len(acknowledged) < len(self._sendings):
            return None
        newest = {sending.course.meter: sending.newest() for sending in self._sendings}
        return sum(rows_between(time, newest[meter]) for meter, time in acknowledged.items())

    def turn(self) -> None:
        """Do what is due, and sleep until the next thing is."""
        if self._is_news_here or self._monotonic() >= self._due:
            self._is_news_here = False
            self._due = self._monotonic() + self._attempt()
        self.wake_seconds = max(0.1, self._due - self._monotonic())

    def send_soon(self) -> None:
        """Let a round begin now, or after the present one: there is news. While rounds fail it waits for its time.

        Any thread may call it.
        """
        if not self._failures:
            self._is_news_here = True
            self.wake()

    def _attempt(self) -> float:
        """One round; how many seconds to wait for the next."""
        if not self._trusted():
            self._note("clock", "the clock is not synchronised yet; nothing is sent with times that may be wrong")
            return CLOCK_PAUSE_SECONDS
        try:
            self._round()
        except PowerPiError as error:
            return self._failed(why_of(error), str(error))
        except Exception:  # the top of this thread: counting and the page must not end with it
            if self._status.why != "failed":
                log.exception("pushing failed")
            return self._failed("failed", "PowerPi failed; its log says why")
        finally:
            self._hang_up()
        self._failures = 0
        if self._status.in_step and self._is_news("in step"):
            log.info("push: the mirror %s is in step", self._status.host)
        return self._interval_seconds

    def _round(self) -> None:
        """Send what is new, and compare if that is due. Raises PeerError, StoreError."""
        if self._watched or self._always_flush:
            self._flush()
        self._watched = False
        now = self._monotonic()
        self._resting = {meter: rest for meter, rest in self._resting.items() if rest.until > now}
        for sending in self._sendings:
            meter = sending.course.meter
            if meter in self._resting:
                continue
            try:
                self._send(sending)
            except (RefusedError, OutOfStepError, StoreError) as error:  # of this meter: the others go their way
                sending.telling.forget()
                self._resting[meter] = Rest(now + (self._rarely() if isinstance(error, RefusedError) else 0.0), error)
            if self.stopping.is_set():
                return
        if len(self._resting) == len(self._sendings):
            raise next(iter(self._resting.values())).error
        self._told_of_round()
        if now >= self._verify_due:
            self._verify()

    def _send(self, sending: Sending) -> None:
        """One meter. Raises PeerError, StoreError."""
        course, telling = sending.course, sending.telling
        try:
            for progress in course.catch_up(telling.state, telling.forget):
                self._follow(course.meter, progress)
                if self.stopping.is_set():
                    return
        except PowerPiError as error:
            telling.forget()
            if isinstance(error, SlowPeerError):
                course.slow()
            raise
        telling.told()

    def _told_of_round(self) -> None:
        """What a round says of the mirror that has come to its end."""
        if self._resting:
            error = next(iter(self._resting.values())).error
            self._note(why_of(error), str(error))
        elif len(self._acknowledged) == len(self._sendings):  # an old server has said nothing before its first sample
            self._status = self._status._replace(in_step=True, since=self._now(), why=None, said=None)

    def _follow(self, meter: str, progress: Progress) -> None:
        """Take note of the answer to a message."""
        self._watched = self._watched or progress.watched
        if (progress.acknowledged or 0) > self._acknowledged.get(meter, progress.acknowledged or 0):
            self._failures = 0  # it takes rows: what breaks a long catch-up off next is another failure
        self._acknowledged = {**self._acknowledged, meter: progress.acknowledged or 0}
        self._ahead[meter] = progress.counter_ahead
        if progress.behind_rows and not self._status.in_step:
            self._note(None, None)
        self._status = self._status._replace(counter_ahead=sum(self._ahead.values()))

    def _failed(self, why: str, said: str) -> float:
        """A round failed; how many seconds to wait for the next."""
        self._note(why, said)
        if why in ("login", "refused"):
            return self._rarely()
        self._failures += 1
        return pause_seconds(self._failures, self._chance())

    def _rarely(self) -> float:
        return RARELY_SECONDS * (0.9 + 0.2 * self._chance())

    def _note(self, why: str | None, said: str | None) -> None:
        """Remember why it is not in step; one line in the log for each change."""
        if self._is_news(why, "" if why in LATER else said or ""):  # in how many ways it is away is no news
            if said:
                log.warning("push: %s; it is tried again", said)
            else:
                log.info("push: the mirror %s answers, %d rows behind", self._status.host, self._behind() or 0)
        tried = self._now() if self._status.tried is None and why != "clock" else self._status.tried
        self._status = self._status._replace(in_step=False, why=why, said=said, tried=tried)

    def _is_news(self, state: str | None, said: str = "") -> bool:
        """Whether the last line of the log said something else; other figures in the same sentence are no news."""
        before, self._logged = self._logged, (state, re.sub(r"[0-9]+", "", said))
        return self._logged != before

    def _verify(self) -> None:
        """Compare all rows of all meters. Raises PeerError, StoreError."""
        fresh = self._monotonic() >= self._fresh_due
        found = []
        for course, telling, _ in self._sendings:
            if course.meter in self._resting:
                continue
            found.append(course.verify(fresh))
            _tell(self._status.host, course.meter, found[-1])
            if found[-1].repaired_rows:  # the mirror may be restored from a backup that knows less of the gaps, too
                telling.forget()
        total = added(found)
        self._status = self._status._replace(
            identical_until=None if total.damaged_rows or total.only_there_rows else total.until,
            repaired_rows=self._status.repaired_rows + total.repaired_rows,
            healed_rows=self._status.healed_rows + total.healed_rows,
            damaged_rows=total.damaged_rows,
            only_there_rows=total.only_there_rows,
        )
        self._verify_due = self._monotonic() + VERIFY_SECONDS
        if fresh:
            self._fresh_due = self._monotonic() + FRESH_SECONDS

    def stop(self) -> None:
        """End the thread; one that waits for the mirror just now ends with the process."""
        self.stop_soon()
        if self.is_alive():
            self.join(STOP_SECONDS)


def pause_seconds(failures: int, chance: float) -> float:
    """How long to wait after so many failures in a row: doubled each time, and between half and all of that.

    `chance` (0 to 1) spreads many senders that lost the same mirror: "full jitter" would let some try at once.
    """
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
    return longest * (0.5 + 0.5 * chance)


def _tell(host: str, meter: str, verdict: Verdict) -> None:
    """Log what had to be put right."""
    if verdict.repaired_rows:
        log.warning(
            "push: %d rows of %s were missing or different at %s and were sent again",
            verdict.repaired_rows,
            meter,
            host,
        )
    if verdict.healed_rows:
        log.warning(
            "push: %d rows of %s had changed on the disk here and were fetched again", verdict.healed_rows, meter
        )
    if verdict.damaged_rows:
        log.error(
            "push: a day of %s has changed on the disk here, and the mirror holds something else: %d rows",
            *(meter, verdict.damaged_rows),
        )
