"""What a graph costs when it must be drawn, when it is known, and when nobody looks.

Drawn: the daemon with a year of history, one keep-alive connection, pictures never asked for before; the limit is
rrdtool's binding in this process, which draws the same pictures of the same file from the same arguments, in turn with
the daemon (both answers are compared, byte by byte). "New size": another width each time, the figures of the span are
known. "New span": another end each time, so that the figures beside the picture have to be computed as well, which
rrdtool is not asked for. Medians over the pictures of a period; over all: sums of the medians.

Known: requests a second for one and the same picture, four keep-alive connections from another process; the limit is
waitress with PowerPi's settings and a constant of the same size and headers, in turn with the daemon.

Nobody looks: CPU time of the drawing child, by the scheduler's nanoseconds.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import rrdtool

from powerpi import furnish
from powerpi.config import Settings
from powerpi.demo import METER
from powerpi.periods import PERIODS
from powerpi.pictures import Gallery, PictureRequest, Settled, Subject
from powerpi.reader import Drawing, Reader
from powerpi.readings import Energies
from powerpi.totals import Span, Total, total_arguments, totals
from tests.bench.common import (
    Client,
    Figure,
    at_most,
    children,
    clients_done,
    compared,
    cpu_seconds,
    fetched,
    fill,
    folder,
    picture_paths,
    progress,
    server,
    settings,
    start_clients,
)

PICTURES = 15  # of each period and kind
GOAL_DRAWN = 1.3
CLIENTS = 4
ROUNDS = 6
ROUND_SECONDS = 3.0
GOAL_KNOWN = 0.7
IDLE_SECONDS = 10.0
WIDTH, HEIGHT = 900, 300
LOAD_WATTS = "500"
END_STEP_SECONDS = 40
OWN_HEADERS = ("connection", "date", "server", "via")  # what waitress adds by itself


def measure() -> list[Figure]:
    """All figures of this subject."""
    with folder() as state:
        fill(state)
        with server("tests.bench.serve", str(state), LOAD_WATTS) as (process, port):
            quiet = nobody_yet(process.pid)
            fetched(port, *picture_paths())
            drawn = drawings(port, Twin(settings(state)))
            known = known_figures(port)
            return [*drawn, *known, quiet, *nobody_now(process.pid)]


class Recorder(Reader):
    """A reading child that remembers what it was asked for."""

    asked: Sequence[str] = ()

    def graph(self, arguments: Sequence[str], language: str | None = None) -> Drawing:
        """As Reader.graph."""
        self.asked = arguments
        return super().graph(arguments, language)


class Twin:
    """The daemon's own drawing code on the same file: it tells the arguments of a picture."""

    def __init__(self, chosen: Settings) -> None:
        plain, names = furnish.build_reader(chosen, Lock())
        self._reader = reader = Recorder(Lock(), plain._environment)
        rrd, meter = chosen.state / f"{METER}.rrd", chosen.meters[0]

        def read(rrd: Path, spans: Sequence[Span], step_seconds: int) -> list[Total]:
            return totals(reader.graph(total_arguments(rrd, spans, step_seconds)).prints)

        energies = Energies(rrd, meter.imp_per_kwh, read)
        self._gallery = Gallery(reader, chosen.timezone, names)
        self.newest_time = int(rrdtool.last(str(rrd)))
        self._subject = Subject(METER, rrd, meter.imp_per_kwh, energies, lambda: Settled(self.newest_time, True))
        os.environ["TZ"] = chosen.timezone.key or "UTC"
        time.tzset()

    def arguments(self, period: str, end: int, width: int) -> Sequence[str]:
        """The arguments of rrdtool for a picture."""
        request = PictureRequest(period, "png", end, width, HEIGHT, 1, "en")
        self._gallery.picture(self._subject, request, end)
        return self._reader.asked

    def close(self) -> None:
        """End the child."""
        self._reader.close()


class Drawn(NamedTuple):
    """Seconds for one and the same picture."""

    served: float
    bare: float


def timed(work: Callable[[], bytes]) -> tuple[float, bytes]:
    """How long something takes, and what it makes."""
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made


def draw(client: Client, twin: Twin, period: str, end: int, width: int) -> Drawn:
    """The same picture by the daemon and by rrdtool alone."""
    arguments = twin.arguments(period, end, width)
    path = f"/{METER}/{period}.png?end={end}&width={width}"
    served, picture = timed(lambda: client.get(path)[1])
    bare, image = timed(lambda: rrdtool.graphv("-", *arguments)["image"])
    assert picture == image, f"{path} is not what rrdtool makes of its arguments"
    return Drawn(served, bare)


def medians(client: Client, twin: Twin, period: str, asked: Iterator[tuple[int, int]]) -> Drawn:
    """Medians over pictures with other ends and widths; the first one warms up."""
    seen = [draw(client, twin, period, *next(asked)) for _ in range(PICTURES + 1)][1:]
    return Drawn(statistics.median(one.served for one in seen), statistics.median(one.bare for one in seen))


def drawings(port: int, twin: Twin) -> list[Figure]:
    """Both kinds of new pictures, for each period and over all."""
    progress("graphs that must be drawn")
    client = Client(port)
    end = twin.newest_time // 3600 * 3600 - 7200  # rows on both sides are on disk, whoever writes meanwhile
    sizes = {name: medians(client, twin, name, ((end, width) for width in count(WIDTH + 1))) for name in PERIODS}
    spans = {
        name: medians(client, twin, name, ((end - back, WIDTH) for back in count(0, END_STEP_SECONDS)))
        for name in PERIODS
    }
    client.close()
    twin.close()
    return [*drawn_figures("new size", sizes, GOAL_DRAWN), *drawn_figures("new span", spans, None)]


def drawn_figures(kind: str, seen: dict[str, Drawn], goal: float | None) -> list[Figure]:
    """A line for each period and one for all."""
    total = Drawn(sum(one.served for one in seen.values()), sum(one.bare for one in seen.values()))
    lines = [(f"{kind}, {name}", one) for name, one in (*seen.items(), ("all periods", total))]
    figures = [compared(name, one.served * 1e3, one.bare * 1e3, "{:.1f} ms".format) for name, one in lines]
    if goal is None:
        return figures
    met = [one.served <= goal * one.bare for _, one in lines]
    return [figure._replace(goal=f"at most {goal} times", met=this) for figure, this in zip(figures, met, strict=True)]


def known_figures(port: int) -> list[Figure]:
    """Requests a second for a known picture beside those for a constant."""
    progress("graphs that are known")
    path = f"/{METER}/day.png"
    client = Client(port)
    answer = client.ask(path)
    client.close()
    headers = json.dumps([pair for pair in answer.headers.items() if pair[0].lower() not in OWN_HEADERS])
    with folder() as files:
        (files / "body").write_bytes(answer.body)
        with server("tests.bench.constant", headers, str(files / "body")) as (_, constant_port):
            fetched(constant_port, "/")
            ours, limit = rounds(port, constant_port, path)
    met = ours >= GOAL_KNOWN * limit
    name = f"known picture ({len(answer.body) / 1000:.0f} kB), {CLIENTS} clients"
    figure = compared(name, ours, limit, "{:.0f} /s".format)
    return [figure._replace(goal=f"at least {GOAL_KNOWN} times", met=met)]


def rounds(port: int, constant_port: int, path: str) -> tuple[float, float]:
    """Requests a second of the daemon and of the constant: medians over rounds in turn."""
    speeds: dict[int, list[float]] = {port: [], constant_port: []}
    for _ in range(ROUNDS):
        for one, seen in speeds.items():
            served = clients_done(start_clients(one, ROUND_SECONDS, CLIENTS, [path]))
            assert served.failures == 0
            seen.append(served.requests / served.seconds)
    return statistics.median(speeds[port]), statistics.median(speeds[constant_port])


def nobody_yet(pid: int) -> Figure:
    """Before the first request there is no child at all."""
    progress("nobody looks")
    time.sleep(IDLE_SECONDS)
    return at_most("drawing processes before the first request", len(children(pid)), 0, "{:.0f}".format)


def nobody_now(pid: int) -> list[Figure]:
    """After requests the child waits without using CPU."""
    child = children(pid)
    assert len(child) == 1
    before = cpu_seconds(*child)
    time.sleep(IDLE_SECONDS)
    spent = cpu_seconds(*child) - before
    return [at_most(f"CPU for graphs in {IDLE_SECONDS:.0f} s without a request", spent * 1e6, 0, "{:.0f} us".format)]
