"""Hundreds of Pis at one mirror: what it holds, what that takes, and where it ends.

The mirror's state folder holds 500 meters with a year of history each (fewer where the disk has no room for them), all
copies of one. Their senders have one password, so that one hash serves all; it has the default cost. In turn: a start;
the first logins after it, all within a minute, with the pauses of the push thread after a refusal; a push a minute from
each for some minutes; then a faster pace, step by step, until 99 of 100 are not answered within a second any more or
one fails. So many Pis could send once a minute: their files would be more, and less in memory. Last the pages, and what
browsers that load graphs of many meters do to a push. The Pis are one thread of this process, which takes a part of the
two cores. Connections are without TLS: a web server in front does that, by a handshake for each push.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

from powerpi import files
from powerpi.demo import METER
from powerpi.ledger import Ledger
from powerpi.periods import PERIODS
from powerpi.pulses import Row
from tests.bench.catchup import PASSWORD, mirror_text, sender_text
from tests.bench.common import (
    SETTLE_SECONDS,
    START_SECONDS,
    Figure,
    at_most,
    clients_done,
    cpu_seconds,
    fetched,
    free_port,
    memory_mb,
    powerpi_run,
    progress,
    start_clients,
)
from tests.bench.pis import OK, SLOW_DOWN, Held, Pace, Pi, logged_in, request

PIS = 500
PUSH_SECONDS = 60.0
HELD_SECONDS = 180.0
STEP_SECONDS, STEP = 15.0, 1.4  # of the pace that is raised
FIRST_STEP = 4.0  # times a push a minute
LOGIN_SECONDS = 60.0
GOAL_P99_MS = 1000.0
DISK_SHARE = 0.5  # of what is free
BROWSERS = 4
MS = "{:.0f} ms".format
NEW = "new"  # a Pi that the mirror has never heard of
KEPT = (".rrd", ".register", ".mirrored")

Result = TypeVar("Result")


class Cost(NamedTuple):
    """What a mirror took meanwhile: parts of a core, and memory afterwards."""

    cpu_share: float
    rss_mb: float


class Try(NamedTuple):
    """A pace in requests a second, and what came of it."""

    pace: float
    held: Held
    cost: Cost


class Crowd(NamedTuple):
    """A mirror's state folder with the meters of many Pis."""

    state: Path
    names: Sequence[str]
    mb_each: float  # on the disk

    @property
    def push_rate(self) -> float:
        """Requests a second when each sends once a minute."""
        return len(self.names) / PUSH_SECONDS

    def pis(self, port: int) -> list[Pi]:
        """The senders, as the mirror's files stand."""
        return [Pi(port, name, METER, PASSWORD, newest_row(self.state / f"{name}.rrd")) for name in self.names]


def newest_row(rrd: Path) -> Row:
    """The newest row of a mirror's file."""
    newest = Ledger(rrd, Lock()).newest()
    assert newest
    return newest


def assembled(state: Path, mirrored: Path) -> Crowd:
    """Fill a state folder with copies of what a mirror holds of one meter, as many as there is room for."""
    each = sum((mirrored / f"{METER}{kind}").stat().st_blocks * 512 for kind in KEPT)
    room = int(shutil.disk_usage(state).free * DISK_SHARE / each)
    names = [f"pi-{number:03}" for number in range(min(PIS, room))]
    assert names, "no room on the disk for a single Pi"
    progress(f"{len(names)} Pis of {each / 1e6:.0f} MB each")
    for name in names:
        for kind in KEPT:
            shutil.copy(mirrored / f"{METER}{kind}", state / f"{name}{kind}")
            files.sync_file(state / f"{name}{kind}", forget=True)
    return Crowd(state, names, each / 1e6)


def configured(crowd: Crowd, password_hash: str, names: Sequence[str]) -> tuple[Path, int]:
    """The configuration of a mirror for some of the Pis, and its port."""
    config, port = crowd.state / "powerpi.conf", free_port()
    senders = (sender_text(name, password_hash, name) for name in names)
    config.write_text(mirror_text(crowd.state, port, senders), encoding="utf-8")
    return config, port


def measure(state: Path, mirrored: Path, password_hash: str) -> list[Figure]:
    """All figures of many Pis; `state` is an empty folder, `mirrored` that of a mirror with a year of one meter."""
    crowd = assembled(state, mirrored)
    alone_mb = memory_alone(crowd, password_hash)
    config, port = configured(crowd, password_hash, [*crowd.names, NEW])
    began = time.monotonic()
    with powerpi_run(config) as process:
        started = seconds_to_answer(process, port, began)
        return asyncio.run(besieged(crowd, port, process.pid, alone_mb, started))


def memory_alone(crowd: Crowd, password_hash: str) -> float:
    """RSS of a mirror with one Pi that has just sent something, in MB."""
    config, port = configured(crowd, password_hash, crowd.names[:1])
    began = time.monotonic()
    with powerpi_run(config) as process:
        seconds_to_answer(process, port, began)
        [pi] = crowd.pis(port)[:1]
        assert asyncio.run(pi.push()) == OK
        return memory_mb(process.pid, "Rss")


async def besieged(crowd: Crowd, port: int, pid: int, alone_mb: float, started: float) -> list[Figure]:
    """What the Pis do to a mirror that has just started; they hold what it said it has in the end."""
    pis, start_mb = crowd.pis(port), memory_mb(pid, "Rss")
    progress("first logins")
    login, login_cost = await costed(pid, logged_in(pis, LOGIN_SECONDS))
    fresh = Pi(port, NEW, METER, PASSWORD, Row(pis[0].newest.time, 0.0))
    began = time.monotonic()
    assert await fresh.push() == OK
    new_seconds = time.monotonic() - began
    progress(f"a push a minute from each, {HELD_SECONDS:.0f} s")
    held, cost = await costed(pid, Pace(pis, crowd.push_rate, HELD_SECONDS).hold())
    paces = await raised(pid, pis, crowd.push_rate)
    check(crowd, pis)
    each_mb = (cost.rss_mb - alone_mb) / max(1, len(pis) - 1)
    figures = [
        Figure(f"start of a mirror with {len(pis)} meters, to its first answer", f"{started:.2f} s"),
        *login_figures(login, login_cost),
        Figure("first message of a new Pi, whose files are made", f"{new_seconds * 1e3:.0f} ms"),
        *held_figures(crowd, held, cost),
        *highest_figures(paces),
        Figure(
            "RSS of the mirror after its start / after all that", f"{start_mb:.1f} / {paces[-1].cost.rss_mb:.1f} MB"
        ),
        Figure("RSS for each Pi", f"{each_mb * 1e3:.0f} kB", f"one alone: {alone_mb:.1f} MB"),
        Figure("disk for each Pi", f"{crowd.mb_each:.1f} MB", "" if len(pis) == PIS else f"no room for {PIS}"),
    ]
    return figures + await page_figures(crowd, port, pis)


async def costed(pid: int, work: Awaitable[Result]) -> tuple[Result, Cost]:
    """What work gives, and what it took from the mirror."""
    began, used = time.monotonic(), cpu_seconds(pid)
    result = await work
    spent = (cpu_seconds(pid) - used) / (time.monotonic() - began)
    return result, Cost(spent, memory_mb(pid, "Rss"))


async def raised(pid: int, pis: Sequence[Pi], push_rate: float) -> list[Try]:
    """Paces that were tried, one faster than the other; the last one could not be held."""
    tried: list[Try] = []
    while not tried or tried[-1].held.is_good:
        pace = push_rate * FIRST_STEP * STEP ** len(tried)
        held, cost = await costed(pid, Pace(pis, pace, STEP_SECONDS).hold())
        tried.append(Try(pace, held, cost))
        progress(
            f"{pace:.0f} requests a second: p50 {held.p50 * 1e3:.0f} ms, p99 {held.p99 * 1e3:.0f} ms,"
            f" CPU {cost.cpu_share:.0%} of a core, errors {dict(held.errors)}"
        )
    return tried


def check(crowd: Crowd, pis: Sequence[Pi]) -> None:
    """Every file ends with the row that its Pi was last told of, or with one whose answer did not come."""
    for name, pi in zip(crowd.names, pis, strict=True):
        found = newest_row(crowd.state / f"{name}.rrd")
        assert found == pi.newest or found.time > pi.newest.time, f"{name} ends with {found} instead of {pi.newest}"


def seconds_to_answer(process: subprocess.Popen[bytes], port: int, began: float) -> float:
    """Wait until a mirror answers at all, or ends; seconds since `began` (CLOCK_MONOTONIC)."""
    while time.monotonic() - began < START_SECONDS and process.poll() is None:
        try:
            fetched(port, "/robots.txt")
        except ConnectionRefusedError:
            time.sleep(SETTLE_SECONDS)
        else:
            break
    return time.monotonic() - began


def login_figures(login: Held, cost: Cost) -> list[Figure]:
    """What the first logins after a start take."""
    told, cpu = login.errors[SLOW_DOWN], cost.cpu_share * login.seconds
    name = f"first logins of {len(login.answer_seconds)} after a start, within {LOGIN_SECONDS:.0f} s"
    return [
        Figure(f"{name}: CPU / told to wait", f"{cpu:.1f} s / {told} times"),
        Figure("until the last one is in", f"{login.seconds:.0f} s"),
    ]


def held_figures(crowd: Crowd, held: Held, cost: Cost) -> list[Figure]:
    """What a push a minute from each is to the mirror."""
    name = f"{len(crowd.names)} Pis, a push a minute ({crowd.push_rate:.1f} a second)"
    return [
        Figure(f"{name}, p50", MS(held.p50 * 1e3)),
        at_most(f"{name}, p99", held.p99 * 1e3, GOAL_P99_MS, MS),
        at_most(f"requests that failed, of {len(held.answer_seconds)}", held.errors.total(), 0, "{:.0f}".format),
        Figure("CPU of the mirror then", f"{cost.cpu_share:.1%} of a core"),
    ]


def highest_figures(tried: Sequence[Try]) -> list[Figure]:
    """The fastest pace that was held, and what ended it."""
    good = [each for each in tried if each.held.is_good]
    if not good:
        return [Figure("highest pace held", "not even the first one")]
    best, last = good[-1], tried[-1]
    why = f"p99 {MS(last.held.p99 * 1e3)}, {last.held.errors.total()} failed, at {last.pace:.0f} a second"
    return [
        Figure("highest pace held, requests a second", f"{best.pace:.0f}", why),
        Figure("so many Pis, at a push a minute", f"{best.pace * PUSH_SECONDS:.0f}"),
        Figure("p50 / p99 then", f"{MS(best.held.p50 * 1e3)} / {MS(best.held.p99 * 1e3)}"),
        Figure("CPU of the mirror then", f"{best.cost.cpu_share:.0%} of a core"),
    ]


async def page_figures(crowd: Crowd, port: int, pis: Sequence[Pi]) -> list[Figure]:
    """How long pages take, for the first time and again; and what a picture does to a push."""
    figures = []
    for path in ("/", "/api/v1/meters", "/health", f"/{crowd.names[0]}"):
        took = []
        for _ in range(2):
            began = time.monotonic()
            answer = await request(port, "GET", path)
            took.append(time.monotonic() - began)
            assert answer.status == OK or path == "/health", f"{path}: {answer.status}"
        first, again = (MS(each * 1e3) for each in took)
        figures.append(Figure(f"`{path}` ({len(answer.body) / 1e3:.0f} kB), first / again", f"{first} / {again}"))
    progress(f"pictures are looked at, {HELD_SECONDS / 3:.0f} s")
    load = start_clients(port, HELD_SECONDS / 3, BROWSERS, pictures(crowd))
    held = await Pace(pis, crowd.push_rate, HELD_SECONDS / 3).hold()
    drawn = clients_done(load)
    name = f"a push while {BROWSERS} browsers load graphs ({drawn.requests / drawn.seconds:.0f} a second), p50 / p99"
    figures.append(Figure(name, f"{MS(held.p50 * 1e3)} / {MS(held.p99 * 1e3)}", f"{held.errors.total()} failed"))
    return figures


def pictures(crowd: Crowd) -> list[str]:
    """Graphs of many meters, in sizes that must be drawn."""
    return [f"/{name}/{period}.png?width={{}}" for name in crowd.names[:: len(PERIODS)] for period in PERIODS]
