"""Pulses and known seconds of spans, read by real rrdtool from a real RRD."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from conftest import START

from powerpi.pulses import Row
from powerpi.reader import Reader
from powerpi.store import Store
from powerpi.totals import total_arguments, totals

DAY = 86400


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader(threading.Lock(), lambda _: {"TZ": "UTC"})
    yield reader
    reader.close()


def test_totals_are_exact_to_the_step_at_their_edges(reader: Reader, make_store: Callable[..., Store]) -> None:
    store = make_store()
    midnight = START // DAY * DAY
    store.open(midnight - DAY)
    counter = 0.0
    rows = [Row(midnight, 0.0)]
    for step in range(1, 3 * 8640 + 1):
        counter += 2 ** ((step - 1) // 8640)  # 1, 2, 4 pulses a step on three days
        rows.append(Row(midnight + 10 * step, counter))
    store.write([row for row in rows if not midnight + 3600 < row.time < midnight + 7200])
    days = [(midnight + DAY * n, midnight + DAY * (n + 1)) for n in range(-1, 4)]
    read = totals(reader.graph(total_arguments(store.rrd, days, 10), "en").prints)
    assert read == [(None, 0), (8640 - 360, 82800), (2 * 8640, DAY), (4 * 8640, DAY), (None, 0)]
    quarters = totals(reader.graph(total_arguments(store.rrd, days, 900), "en").prints)
    assert quarters[2:4] == [(2 * 8640, DAY), (4 * 8640, DAY)]
