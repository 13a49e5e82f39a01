"""The reading child: real rrdtool, killed, hung, fed with damaged files; counting goes on meanwhile."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import START, HandClock, Line
from hypothesis import given, settings
from hypothesis import strategies as st

from powerpi.counting import Counting, Timing
from powerpi.errors import ReaderError
from powerpi.meter import Meter
from powerpi.pulses import Row
from powerpi.reader import RECYCLE_REQUESTS, Reader, quoted
from powerpi.store import Store
from powerpi.totals import total_arguments, totals

MAKE = Callable[..., Store]


def environment(language: str) -> dict[str, str]:
    return {"TZ": "UTC", "LC_ALL": "C.UTF-8", "SPOKEN": language}


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader(threading.Lock(), environment)
    yield reader
    reader.close()


@pytest.fixture
def store(make_store: MAKE) -> Store:
    """100 steps at 0.5 pulses a second from START + 10 on."""
    store = make_store()
    store.open(START)
    store.write([Row(START + 10 * n, 5.0 * n) for n in range(1, 102)])
    return store


def curve(store: Store) -> list[str]:
    return [
        *("--start", str(START), "--end", str(START + 1000), "--width", "400", "--height", "100"),
        *(f"DEF:p={store.rrd}:pulses:AVERAGE", "LINE1:p#e08a0b: a line", "VDEF:m=p,MAXIMUM", "PRINT:m:%.3lf"),
    ]


def test_a_picture_and_its_printed_values_come_back(reader: Reader, store: Store) -> None:
    drawing = reader.graph(curve(store), "en")
    assert drawing.image.startswith(b"\x89PNG\r\n")
    assert drawing.image.endswith(b"IEND\xaeB`\x82")
    assert drawing.prints == ("0.500",)


def test_child_is_started_when_first_asked_and_kept(reader: Reader, store: Store) -> None:
    assert reader.resident_process() is None
    reader.graph(curve(store), "en")
    first = reader.resident_process()
    reader.graph(curve(store), "en")
    assert reader.resident_process() == first


def test_a_child_killed_in_the_middle_of_a_request_is_replaced_within_it(store: Store, tmp_path: Path) -> None:
    program = tmp_path / "rrdtool"
    program.write_text(
        f"#!/bin/sh\nif [ ! -e {tmp_path}/died ]; then touch {tmp_path}/died; read line; exit 1; fi; exec rrdtool -\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    reader = Reader(threading.Lock(), environment, program=[str(program)])
    assert reader.graph(curve(store), "en").prints == ("0.500",)
    reader.close()


def test_killed_child_is_replaced(reader: Reader, store: Store) -> None:
    reader.graph(curve(store), "en")
    child = reader.resident_process()
    assert child
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert reader.graph(curve(store), "en").prints == ("0.500",)
    assert reader.resident_process() != child


def test_worn_out_child_and_one_of_another_language_are_replaced(reader: Reader, store: Store) -> None:
    children = []
    for language in ("en", "de", "de"):
        reader.graph(curve(store), language)
        children.append(reader.resident_process())
    assert children[0] != children[1] == children[2]
    for _ in range(RECYCLE_REQUESTS - 1):
        reader.graph(
            total_arguments(store.rrd, [(START, START + 10)], 10),
            "de",
        )
    assert reader.resident_process() != children[2]


def test_rrdtools_own_error_is_raised_and_the_next_request_served(reader: Reader, store: Store) -> None:
    with pytest.raises(ReaderError, match="No such file"):
        reader.graph(["DEF:p=/nowhere.rrd:pulses:AVERAGE", "LINE1:p#000000"], "en")
    assert reader.fault
    assert reader.graph(curve(store), "en").prints == ("0.500",)
    assert reader.fault is None


def test_a_damaged_file_costs_the_request_only(reader: Reader, store: Store, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.rrd"
    content = store.rrd.read_bytes()
    for length, flipped in (
        (100, None),
        (len(content), 12),
        (len(content), 40),
        (len(content), 200),
        (len(content), 700),
    ):
        broken = bytearray(content[:length])
        if flipped is not None:
            broken[flipped : flipped + 8] = b"\xff" * 8
        damaged.write_bytes(broken)
        try:
            reader.graph([argument.replace(str(store.rrd), str(damaged)) for argument in curve(store)], "en")
        except ReaderError as error:
            assert str(error)
        assert reader.graph(curve(store), "en").prints == ("0.500",)


def test_hanging_child_is_killed_and_replaced(store: Store, tmp_path: Path) -> None:
    program = tmp_path / "rrdtool"
    program.write_text(
        f"#!/bin/sh\nif [ ! -e {tmp_path}/hung ]; then touch {tmp_path}/hung; exec sleep 1000; fi; exec rrdtool -\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    reader = Reader(threading.Lock(), environment, program=[str(program)], timeout_seconds=0.3)
    try:
        with pytest.raises(ReaderError, match="did not answer in time"):
            reader.graph(curve(store), "en")
        assert reader.resident_process() is None
        reader._timeout_seconds = 10
        assert reader.graph(curve(store), "en").prints == ("0.500",)
    finally:
        reader.close()


def test_after_two_timeouts_in_a_row_nobody_queues_for_a_while(store: Store, tmp_path: Path) -> None:
    program = tmp_path / "rrdtool"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    reader = Reader(threading.Lock(), environment, program=[str(program)], timeout_seconds=0.2)
    for _ in range(2):
        with pytest.raises(ReaderError, match="in time and was replaced"):
            reader.graph(curve(store), "en")
    with pytest.raises(ReaderError, match="again and again"):
        reader.graph(curve(store), "en")
    assert reader.resident_process() is None


def test_aborting_gives_up_what_is_being_drawn(store: Store, tmp_path: Path) -> None:
    program = tmp_path / "rrdtool"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started-$$\nexec sleep 1000\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    reader = Reader(threading.Lock(), environment, program=[str(program)], timeout_seconds=60)
    failed = threading.Event()

    def ask() -> None:
        with pytest.raises(ReaderError):
            reader.graph(curve(store), "en")
        failed.set()

    threading.Thread(target=ask, daemon=True).start()
    for _ in range(2):  # the second child is the one that is asked again
        while not failed.is_set() and not list(tmp_path.glob("started-*")):
            failed.wait(0.01)
        for path in tmp_path.glob("started-*"):
            path.unlink()
        reader.abort()
    assert failed.wait(10)


def test_missing_program_is_said(store: Store) -> None:
    reader = Reader(threading.Lock(), environment, program=["/nowhere/rrdtool"])
    with pytest.raises(ReaderError, match="cannot be run"):
        reader.graph(curve(store), "en")


def test_pulses_are_counted_and_stored_while_the_child_is_killed_hung_and_fed_with_rubbish(
    line: Line, clock: HandClock, make_store: MAKE, tmp_path: Path
) -> None:
    gate = threading.Lock()
    store = make_store(gate=gate)
    meter = Meter("house", line.pin, store, 0.010, START)
    deaths: list[str] = []
    counting = Counting([meter], clock, Timing(10, 10, 0), lambda name, _: deaths.append(name))
    reader = Reader(gate, environment, timeout_seconds=0.2)
    damaged = tmp_path / "damaged.rrd"
    damaged.write_bytes(store.rrd.read_bytes()[:200] + b"\xff" * 5000)
    counting.start()
    served = 0
    try:
        for n in range(120):
            line.pulse(1005 + 10 * n)
            if n % 20 == 5 and (child := reader.resident_process()):
                os.kill(child, (signal.SIGKILL, signal.SIGSTOP)[n // 20 % 2])
            elif n % 20 == 15:
                with pytest.raises(ReaderError):
                    reader.graph([f"DEF:p={damaged}:pulses:AVERAGE", "LINE1:p#000000"], "en")
            try:
                served += bool(reader.graph(curve(store), "en").image)
            except ReaderError:
                served += bool(reader.graph(curve(store), "en").image)  # the next one is served
        assert counting.flush(5)
    finally:
        counting.stop()
        reader.close()
    assert deaths == []
    assert served == 120
    assert meter.pulses == 120
    # every row from the first pulse to the last: 0.1 pulses a second
    check = Reader(gate, environment)
    span = (START + 10, START + 1190)
    assert totals(check.graph(total_arguments(store.rrd, [span], 10), "en").prints) == [(pytest.approx(118), 1180)]
    check.close()


def test_the_writer_waits_for_one_drawing_only(reader: Reader, store: Store) -> None:
    """With four threads drawing without pause a write still gets its turn, each time within a second."""
    stopping = threading.Event()

    def draw() -> None:
        while not stopping.is_set():
            reader.graph(curve(store), "en")

    store._gate = reader._gate
    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    waits = []
    try:
        for n in range(102, 140):
            began = time.monotonic()
            store.write([Row(START + 10 * n, 5.0 * n)])
            waits.append(time.monotonic() - began)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert max(waits) < 1.0


@given(st.lists(st.text(max_size=20), max_size=5))
@settings(max_examples=300)
def test_a_line_never_says_more_than_its_arguments(arguments: list[str]) -> None:
    try:
        line = quoted(arguments)
    except ReaderError:
        assert any(sign in argument for argument in arguments for sign in '"\n\r\0')
        return
    assert line.count("\n") == 1
    assert line.count('"') == 2 * len(arguments)
