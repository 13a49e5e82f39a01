"""Pis that send to a mirror: the messages and their packing are PowerPi's, the connections cost little.

Each Pi is a task that sends 6 new rows and its state at a pace, from a random moment on, by a connection of its own
each time, as the push thread does. It has one request at a time, and what it waits counts from when the request was
due: a mirror that falls behind cannot hide it. After an error it asks what the mirror holds, as the push thread does.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from powerpi.logins import basic
from powerpi.messages import Push, Rows, State, push_message, read_standing
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.push import pause_seconds
from powerpi.wire import API, pack
from tests.bench.common import Answer, share

NEW_ROWS = 6  # a push a minute
MOST_RATE = 1.0  # pulses a second: 3.6 kW at 1000 imp/kWh
ANSWER_SECONDS = 60.0  # as the push thread waits
OK, SLOW_DOWN = 200, 429
LATE_SECONDS = 1.0
BROKEN = 0  # instead of a status
LATE_SHARE, LEAST_LATE = 0.02, 20  # of the answers late: twice as many as may be; no need to go on


class Held(NamedTuple):
    """What came of a pace: seconds from when a request was due to its answer; how many were refused or broken."""

    answer_seconds: Sequence[float]
    errors: Counter[int]  # by status; BROKEN where there was no answer
    seconds: float

    @property
    def p99(self) -> float:
        """Of a hundred requests 99 were answered in that time."""
        return share(self.answer_seconds, 0.99) if self.answer_seconds else math.inf

    @property
    def p50(self) -> float:
        """Half of them were."""
        return share(self.answer_seconds, 0.5) if self.answer_seconds else math.inf

    @property
    def is_good(self) -> bool:
        """Whether none failed, and 99 of 100 were answered within a second."""
        return not self.errors and self.p99 < LATE_SECONDS


async def request(port: int, method: str, path: str, headers: str = "", body: bytes = b"") -> Answer:
    """One request by a connection of its own. Raises OSError (and so TimeoutError), EOFError."""
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
            said = dict(line.split(": ", 1) for line in lines)
            return Answer(int(first.split()[1]), said, await reader.readexactly(int(said["Content-Length"])))
        finally:
            writer.close()


class Pi:
    """One sender with one meter, whose newest row at the mirror is `newest`."""

    def __init__(self, port: int, name: str, meter: str, password: str, newest: Row) -> None:
        self.newest = newest
        self._port = port
        self._path = f"{API}{meter}"
        self._login = f"Authorization: {basic(name, password)}\r\n"
        self._is_sure = True  # what the mirror holds

    async def push(self) -> int:
        """Send new rows; the status of the answer, BROKEN where none came."""
        try:
            if not self._is_sure:
                answer = await request(self._port, "GET", self._path, self._login)
                if answer.status != OK:
                    return answer.status
                self._learn(answer)
            message, newest = self._message()
            self._is_sure = False
            answer = await request(self._port, "POST", self._path, self._packed, pack(push_message(message)))
        except (OSError, EOFError):  # TimeoutError is an OSError, IncompleteReadError an EOFError
            return BROKEN
        if answer.status == OK:
            self._learn(answer)
            assert self.newest == newest, f"the mirror says {self.newest} instead of {newest}"
        return answer.status

    @property
    def _packed(self) -> str:
        return f"{self._login}Content-Type: application/json\r\nContent-Encoding: gzip\r\n"

    def _learn(self, answer: Answer) -> None:
        standing = read_standing(json.loads(answer.body))
        assert standing.newest is not None
        assert standing.newest_pulses is not None
        self.newest = Row(standing.newest, standing.newest_pulses)
        self._is_sure = True

    def _message(self) -> tuple[Push, Row]:
        """Six rows of random power, and the newest row that the mirror then has."""
        rates = array("d", (random.uniform(0, MOST_RATE) for _ in range(NEW_ROWS)))
        pulses = round(self.newest.pulses + STEP_SECONDS * sum(rates), 6)
        rows = Rows(STEP_SECONDS, self.newest.time, rates)
        return Push(rows, pulses, _state(math.ceil(pulses))), Row(rows.unit.until, pulses)


def _state(pulses: int) -> State:
    return State(
        label="House",
        imp_per_kwh=1000.0,
        offset_kwh=0.0,
        pulses=pulses,
        interval_seconds=3.6,
        last_pulse_age_seconds=1.5,
        begun_age_seconds=3600.0,
        contact_closed_age_seconds=None,
        edges_rejected=0,
        edges_lost=0,
        lost_edge_age_seconds=None,
        push_seconds=60,
    )


class Pace:
    """All Pis at one pace, for some time; ends by itself before when it plainly cannot be held."""

    def __init__(self, pis: Sequence[Pi], a_second: float, seconds: float) -> None:
        self._pis = pis
        self._period = len(pis) / a_second
        self._expected = a_second * seconds
        self._seconds = seconds
        self._answers: list[float] = []
        self._errors: Counter[int] = Counter()
        self._late = 0

    async def hold(self) -> Held:
        """Send; what came of it."""
        began = time.monotonic()
        await asyncio.gather(*(self._sender(pi, began + random.uniform(0, self._period)) for pi in self._pis))
        return Held(self._answers, self._errors, time.monotonic() - began)

    async def _sender(self, pi: Pi, due: float) -> None:
        end = time.monotonic() + self._seconds
        while due < end and not self._is_lost:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            status = await pi.push()
            waited = time.monotonic() - due
            if status == OK:
                self._answers.append(waited)
                self._late += waited >= LATE_SECONDS
            else:
                self._errors[status] += 1
            due += self._period

    @property
    def _is_lost(self) -> bool:
        return self._late + self._errors.total() > max(LEAST_LATE, LATE_SHARE * self._expected)


async def logged_in(pis: Sequence[Pi], seconds: float) -> Held:
    """Let each send once within so many seconds, and again after the push thread's pauses until it was let in."""
    errors: Counter[int] = Counter()
    began = time.monotonic()

    async def once(pi: Pi) -> float:
        await asyncio.sleep(random.uniform(0, seconds))
        due, failures = time.monotonic(), 0
        while (status := await pi.push()) != OK:
            errors[status] += 1
            failures += 1
            await asyncio.sleep(pause_seconds(failures, random.random()))
        return time.monotonic() - due

    waits = await asyncio.gather(*map(once, pis))
    return Held(waits, errors, time.monotonic() - began)
