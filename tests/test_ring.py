"""Rows read and written in place, compared to the last bit with what librrd makes of the same counters."""

from __future__ import annotations

import errno
import math
import os
import resource
import shutil
import struct
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import rrdtool
from conftest import START
from hypothesis import given, settings
from hypothesis import strategies as st

from powerpi import layout, ring
from powerpi.errors import DamagedError

NAN = math.nan
QUARTER = START // 900 * 900  # 80 rows before START
WIDE_ROWS = 1000  # more than any piece of a history has
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of syncs cost nothing there


def make(path: Path, lossless: int, means: int = 0, start: int = QUARTER) -> Path:
    """An RRD of PowerPi, but with small rings that soon close."""
    source, *archives = layout.schema(1)
    rings = [f"{archive.rpartition(':')[0]}:{rows}" for archive, rows in zip(archives, (lossless, means), strict=True)]
    rrdtool.create(str(path), "--start", str(start), "--step", "10", source, *rings[: 2 if means else 1])
    return path


def update(path: Path, rows: Iterable[tuple[int, float]]) -> None:
    rrdtool.update(str(path), *(f"{time}:{pulses:.6f}" for time, pulses in rows))


def bits(values: Iterable[float]) -> list[str]:
    """Values to be compared to the last bit; all NaN are one."""
    return ["unknown" if math.isnan(value) else struct.pack(">d", value).hex() for value in values]


class Content(NamedTuple):
    """All of a file that matters to librrd, read without the code under test."""

    fixed: bytes
    last_update: int
    last_value: bytes
    unknown_seconds: int
    quarter: tuple[int, str]  # the running one: unknown rows, and the sum of the others
    rows: list[dict[int, str]]  # of each archive, by their times, the oldest first


def content(path: Path) -> Content:
    whole = path.read_bytes()
    header = layout.read(path)
    archives = len(header.archives)
    states = header.header_bytes - (layout.RRA_PTR.size + 80) * archives
    last_value, present = layout.PDP_PREP.unpack_from(whole, states - layout.PDP_PREP.size)
    total, unknown = struct.unpack_from("@dL", whole, states + 80 * (archives - 1))
    return Content(
        whole[: layout.STAT_HEAD.size + layout.DS_DEF.size + layout.RRA_DEF.size * archives],
        header.last_update,
        last_value,
        layout.PRESENT.unpack_from(present)[0],
        (unknown, "none" if math.isnan(total) or not total else total.hex()),  # librrd takes NaN for 0 here
        [rows_by_time(whole, archive, header.last_update) for archive in header.archives],
    )


def rows_by_time(whole: bytes, archive: layout.Archive, last_update: int) -> dict[int, str]:
    ring_rows = bits(array("d", whole[archive.begin : archive.begin + 8 * archive.rows]))
    in_order = ring_rows[archive.newest + 1 :] + ring_rows[: archive.newest + 1]
    newest = last_update // archive.row_seconds
    return {time * archive.row_seconds: row for time, row in enumerate(in_order, newest - archive.rows + 1)}


class Piece(NamedTuple):
    """A part of a history: how many steps nobody wrote, then so many rows."""

    skipped: int
    length: int
    seed: int = 1
    unknown_share: float = 0.0

    def counters(self, pulses: float) -> Iterator[float]:
        """The counter at the end of each row; one that falls makes its row unknown."""
        random = Random(self.seed)
        for _ in range(self.length):
            lost = random.random() < self.unknown_share
            pulses += -0.5 if lost else random.choice([0, 1, random.uniform(0, 160)])
            yield pulses


class Shape(NamedTuple):
    """How many rows the archives have, and where they begin."""

    lossless: int
    means: int
    start: int = QUARTER


class Twins:
    """One file that librrd writes and one that is written in place, told the same."""

    def __init__(self, folder: Path, shape: Shape, history: Iterable[Piece] = ()) -> None:
        self.theirs = make(folder / "theirs.rrd", *shape)
        self.ours = shutil.copy(self.theirs, folder / "ours.rrd")  # a second new one would begin elsewhere in its rings
        self.wide = make(folder / "wide.rrd", WIDE_ROWS, start=shape.start)  # to read the rates of a piece from
        # in one leap over more rows than a ring has, librrd puts the mean before it at the wrong time
        self.leap = 90 * (shape.means or 10_000)
        self.time = shape.start
        self.pulses = 1e6
        for piece in history:
            self.tell(piece)

    def librrd(self, piece: Piece, *paths: Path) -> int:
        """Let librrd write a piece; returns the time of the row before the first."""
        after = self.time + 10 * piece.skipped
        self.pulses -= 0.5  # so that the last skipped row is unknown even if it is the only one
        leaps = range(self.time + 10 * (piece.skipped % self.leap), after + 1, 10 * self.leap)
        rows = [(time, self.pulses) for time in leaps if time > self.time]
        rows += [(after + 10 * n, pulses) for n, pulses in enumerate(piece.counters(self.pulses), 1)]
        if rows:
            self.time, self.pulses = rows[-1]
            for path in paths:
                update(path, rows)
        return after

    def tell(self, piece: Piece) -> None:
        """Both files learn a piece."""
        after = self.librrd(piece, self.theirs, self.wide)
        if piece.skipped or piece.length:
            ring.append(self.ours, after, ring.read(self.wide, 10, after, self.time), self.pulses)

    def check(self) -> None:
        assert content(self.ours) == content(self.theirs)


@contextmanager
def in_memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


GAPS = st.sampled_from([0, 0, 0, 1, 2, 3]) | st.integers(0, 200) | st.sampled_from([900, 5000, 100_000])
PIECES = st.builds(Piece, GAPS, st.integers(0, 400), st.integers(0, 999), st.sampled_from([0, 0.02, 0.5, 0.9]))
HISTORIES = st.lists(PIECES, min_size=1, max_size=6)
LOSSLESS = st.sampled_from([1, 50, 89, 90, 91, 180, 333, 1000])
MEANS = st.sampled_from([0, 1, 2, 3, 7, 50])
STARTS = st.integers(0, 89).map(lambda rows: QUARTER + 10 * rows)
SHAPES = st.builds(Shape, LOSSLESS, MEANS, STARTS)


# ---------------------------------------------------------------- means


def test_a_quarter_hour_is_known_when_at_least_half_of_it_is() -> None:
    assert ring.mean([0.5] * 90) == 0.5
    assert ring.mean([2.0] * 45 + [NAN] * 45) == 2.0
    assert ring.mean([0.0] * 45 + [NAN] * 44 + [4.6]) == pytest.approx(0.1)  # 4.6 / 46
    assert math.isnan(ring.mean([2.0] * 44 + [NAN] * 46))
    assert math.isnan(ring.mean([NAN] * 90))


def test_a_mean_loses_in_rounding_what_librrd_loses() -> None:
    # each 1 is lost beside 1e16, one after the other; Python's own sum keeps them from 3.12 on
    assert ring.mean([1e16] + [1.0] * 89) == 1e16 / 90


@pytest.mark.parametrize("known", [44, 45, 46, 90])
def test_librrd_takes_the_same_share_for_known(tmp_path: Path, known: int) -> None:
    twins = Twins(tmp_path, Shape(500, 3))
    twins.tell(Piece(skipped=90, length=0))
    twins.tell(Piece(skipped=90 - known, length=known))
    twins.check()
    [found] = ring.read(twins.ours, 900, QUARTER + 900, QUARTER + 1800)
    assert math.isnan(found) == (known < 45)


# ---------------------------------------------------------------- reading


def exported(path: Path, step: int, after: int, until: int) -> list[float]:
    """The rows in (after, until] as rrdtool gives them."""
    arguments = (f"DEF:p={path}:pulses:AVERAGE:step={step}", "XPORT:p")
    data = rrdtool.xport(
        "--start", str(after), "--end", str(until), "--step", str(step), "--maxrows", "2000", *arguments
    )
    assert data["meta"]["step"] == step
    return [NAN if row[0] is None else row[0] for row in data["data"]][: (until - after) // step]


@settings(max_examples=40, deadline=None)
@given(HISTORIES, SHAPES, st.data())
def test_rows_are_those_that_rrdtool_gives(history: list[Piece], shape: Shape, data: st.DataObject) -> None:
    with in_memory() as folder:
        twins = Twins(folder, shape)
        for piece in history:
            twins.librrd(piece, twins.theirs)
        for step in (10, 900)[: 2 if shape.means else 1]:
            held = ring.span(layout.read(twins.theirs), step)
            assert held
            after, until = (place * step for place in sorted(data.draw(pairs(held, step))))
            if after < until:
                found = ring.read(twins.theirs, step, after, until)
                assert bits(found) == bits(exported(twins.theirs, step, after, until))
            around = ring.read(twins.theirs, step, after - 5 * step, until + 7 * step)
            expected = content(twins.theirs).rows[step // 900]
            times = range(after - 4 * step, until + 8 * step, step)
            assert bits(around) == [expected.get(time, "unknown") for time in times]


def pairs(held: tuple[int, int], step: int) -> st.SearchStrategy[tuple[int, int]]:
    times = st.integers(held[0] // step, held[1] // step)
    return st.tuples(times, times)


def test_rows_that_the_file_does_not_hold_are_unknown(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 5)
    ring.append(path, QUARTER + 100, [1, 2, 3, 4, 5, 6, 7], 7)  # the ring holds 3 to 7, at 130 to 170
    assert ring.span(layout.read(path), 10) == (QUARTER + 120, QUARTER + 170)
    assert ring.span(layout.read(path), 900) is None
    assert bits(ring.read(path, 10, QUARTER + 100, QUARTER + 190)) == bits([NAN, NAN, 3, 4, 5, 6, 7, NAN, NAN])
    assert bits(ring.read(path, 10, QUARTER + 140, QUARTER + 160)) == bits([5, 6])
    assert bits(ring.read(path, 10, QUARTER - 900, QUARTER - 880)) == bits([NAN, NAN])
    assert bits(ring.read(path, 10, QUARTER + 900, QUARTER + 910)) == bits([NAN])
    assert bits(ring.read(path, 900, QUARTER, QUARTER + 900)) == bits([NAN])
    assert len(ring.read(path, 10, QUARTER + 150, QUARTER + 150)) == 0


def test_whatever_is_unknown_has_one_bit_pattern_and_zero_too(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 200, 3)
    update(path, [(QUARTER + 10, 5.0), (QUARTER + 40, 6.0), (QUARTER + 50, 6.0)])
    other = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0001))[0]
    ring.append(path, QUARTER + 60, [other, -NAN, -0.0, 0], 6)
    unknown, zero = bytes.fromhex("7ff8000000000000"), bytes(8)
    found = array("d", ring.read(path, 10, QUARTER - 900, QUARTER + 110))
    found.byteswap()
    # the gap ends at 40; row 60 is skipped, the one at 110 is not there yet
    expected = [unknown] * 94 + [zero] + [unknown] * 3 + [zero] * 2 + [unknown]
    assert found.tobytes() == b"".join(expected)
    header = layout.read(path)
    written = array("d", path.read_bytes()[header.header_bytes :])
    assert {math.copysign(1, value) for value in written if value == 0} == {1}


def test_rows_off_the_grid_cannot_be_read(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 200, 3)
    for step, after, until in ((10, 5, 20), (10, 10, 25), (900, 10, 900), (10, 20, 10)):
        with pytest.raises(ValueError, match=f"no rows of {step} s from {after} to {until}"):
            ring.read(path, step, after, until)


# ---------------------------------------------------------------- appending


@settings(max_examples=100, deadline=None)
@given(HISTORIES, PIECES, SHAPES)
def test_appending_makes_what_librrd_makes_and_librrd_goes_on_with_it(
    history: list[Piece], later: Piece, shape: Shape
) -> None:
    with in_memory() as folder:
        twins = Twins(folder, shape)
        for piece in history:
            twins.tell(piece)
            twins.check()
        twins.librrd(later, twins.theirs, twins.ours, twins.wide)
        twins.check()
        twins.tell(Piece(0, 100, 5, 0.2))  # and in place again
        twins.check()


def test_appending_in_parts_is_the_same_as_at_once(tmp_path: Path) -> None:
    once = make(tmp_path / "once.rrd", 700, 9)
    parts = shutil.copy(once, tmp_path / "parts.rrd")
    random = Random(3)
    rates = [NAN if random.random() < 0.3 else random.random() for _ in range(1500)]
    ring.append(once, QUARTER, rates, 77.5)
    for begin in range(0, 1500, 37):
        ring.append(parts, QUARTER + 10 * begin, rates[begin : begin + 37], 77.5)
    assert content(parts) == content(once)
    assert layout.read(once).last_pulses == 77.5


def test_a_gap_longer_than_all_rings_leaves_nothing_known(tmp_path: Path) -> None:
    twins = Twins(tmp_path, Shape(300, 20))
    twins.tell(Piece(0, 300))
    twins.tell(Piece(10_000_000, 0))  # three years
    twins.check()
    assert {row for rows in content(twins.ours).rows for row in rows.values()} == {"unknown"}


def test_nothing_appended_moves_the_counter_alone(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 200, 3)
    ring.append(path, QUARTER, [0.25] * 95, 30)
    before, header = content(path), layout.read(path)
    ring.append(path, QUARTER + 950, [], 31)
    assert content(path)._replace(last_value=before.last_value) == before
    assert layout.read(path) == header._replace(last_pulses=31)


def test_a_file_of_full_size_takes_a_day(tmp_path: Path) -> None:
    path = tmp_path / "full.rrd"
    for years in (20, 0):
        rrdtool.create(str(path), "--start", str(START), "--step", "10", *layout.schema(years))
        rates = [n / 7 for n in range(8640)]
        ring.append(path, START + 50, rates, 5e5)
        assert list(ring.read(path, 10, START + 50, START + 86450)) == rates
        assert layout.read(path).last_update == rrdtool.last(str(path)) == START + 86450
    # the next step is known again
    update(path, [(START + 86460, 5e5 + 2)])
    assert ring.read(path, 10, START + 86450, START + 86460)[0] == pytest.approx(0.2)


def test_rows_that_are_there_already_cannot_be_appended(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 200, 3)
    ring.append(path, QUARTER, [1, 2, 3], 60)
    before = path.read_bytes()
    for after in (QUARTER + 20, QUARTER + 35):
        with pytest.raises(ValueError, match=f"rows after {after} cannot follow .*, which ends at {QUARTER + 30}"):
            ring.append(path, after, [4], 100)
    for pulses in (NAN, -1.0, math.inf, 1e20):
        with pytest.raises(ValueError, match="no counter stands at"):
            ring.append(path, QUARTER + 30, [4], pulses)
    assert path.read_bytes() == before


def test_the_places_of_past_rows_stay_when_the_gap_is_longer_than_a_ring(tmp_path: Path) -> None:
    """layout.is_torn relies on it. librrd moves its places once round at most, which no reader notices."""
    twins = Twins(tmp_path, Shape(300, 4), [Piece(0, 300)])
    phases = layout.read(twins.ours).phases
    ring.append(twins.ours, twins.time + 5670, [1.0] * 10, 2e6)
    assert layout.read(twins.ours).phases == phases


# ---------------------------------------------------------------- putting


@settings(max_examples=100, deadline=None)
@given(HISTORIES, PIECES, SHAPES, st.data())
def test_rows_put_afterwards_make_the_file_that_it_had_been_with_them(
    history: list[Piece], later: Piece, shape: Shape, data: st.DataObject
) -> None:
    with in_memory() as folder:
        twins = Twins(folder, shape, history)
        true = content(twins.theirs)
        held = ring.span(layout.read(twins.theirs), 10)
        assert held
        after, until = (place * 10 for place in sorted(data.draw(pairs(held, 10))))
        wanted = ring.read(twins.ours, 10, after, until)
        ring.put(twins.ours, 10, after, [n % 5 if n % 7 else NAN for n in range(len(wanted))])
        ring.put(twins.ours, 10, after, wanted)
        found = content(twins.ours)
        assert found.rows[0] == true.rows[0]
        assert found._replace(quarter=true.quarter, rows=true.rows) == true
        if not shape.means or held[0] <= after // 900 * 900:  # no quarter hour that is touched has lost its first rows
            assert found == true
            twins.librrd(later, twins.theirs, twins.ours)
            twins.check()


@settings(max_examples=60, deadline=None)
@given(HISTORIES, SHAPES.filter(lambda shape: shape.means > 0), st.data())
def test_means_follow_rows_that_are_put(history: list[Piece], shape: Shape, data: st.DataObject) -> None:
    with in_memory() as folder:
        twins = Twins(folder, shape, history)
        before = content(twins.ours)
        held = ring.span(layout.read(twins.ours), 10)
        assert held
        after, until = (place * 10 for place in sorted(data.draw(pairs(held, 10))))
        random = Random(after)
        ring.put(twins.ours, 10, after, [random.choice([NAN, random.random()]) for _ in range(after, until, 10)])
        found = content(twins.ours)
        for end, value in found.rows[1].items():
            if held[0] <= end - 900 and after < end and end - 900 < until:
                assert value == bits([ring.mean(ring.read(twins.ours, 10, end - 900, end))])[0]
            else:
                assert value == before.rows[1][end]
        assert all(value == before.rows[0][time] or after < time <= until for time, value in found.rows[0].items())
        assert found._replace(quarter=before.quarter, rows=before.rows) == before
        begin = held[1] // 900 * 900
        if begin < held[0] or until <= begin:  # the first rows of the running quarter hour are lost, or untouched
            assert found.quarter == before.quarter
        else:
            rows = ring.read(twins.ours, 10, begin, held[1])
            known = [rate for rate in rows if not math.isnan(rate)]
            assert found.quarter[0] == len(rows) - len(known)
            assert found.quarter[1] == "none" if not any(known) else float.fromhex(found.quarter[1]) == added(known)


def added(rates: Iterable[float]) -> float:
    total = 0.0
    for rate in rates:
        total += rate
    return total


def test_a_mean_can_be_put_by_itself(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 300, 4)
    ring.append(path, QUARTER, [1.0] * 500, 5000)
    before = content(path)
    assert ring.span(layout.read(path), 900) == (QUARTER + 900, QUARTER + 4500)
    ring.put(path, 900, QUARTER + 1800, [0.25, NAN])
    found = content(path)
    assert list(found.rows[1].values()) == bits([1.0, 0.25, NAN, 1.0])  # at 1800, 2700, 3600 and 4500
    assert found._replace(rows=[found.rows[0], before.rows[1]]) == before


def test_the_running_quarter_hour_is_consolidated_with_what_was_put(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 300, 4)
    ring.append(path, QUARTER, [NAN] * 60, 100)
    ring.put(path, 10, QUARTER, [0.5] * 60)
    update(path, [(QUARTER + 10 * n, 100 + 5 * (n - 60)) for n in range(61, 91)])
    assert ring.read(path, 900, QUARTER, QUARTER + 900)[0] == pytest.approx(0.5)


def test_only_rows_that_the_file_holds_can_be_put(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 300)
    ring.append(path, QUARTER, [1.0] * 500, 5000)  # 2000 to 5000 are held
    before = path.read_bytes()
    wrong = [(10, 1990, 1), (10, 4990, 2), (10, 3005, 1), (10, 5010, 0), (900, 2700, 1), (60, 3000, 1)]
    for step, after, count in wrong:
        with pytest.raises(ValueError, match=f"holds no rows of {step} s from {QUARTER + after} to"):
            ring.put(path, step, QUARTER + after, [1.0] * count)
    assert path.read_bytes() == before
    ring.put(path, 10, QUARTER + 2000, [2.0] * 300)
    assert set(content(path).rows[0].values()) == set(bits([2.0]))


# ---------------------------------------------------------------- faults


class Killed(BaseException):
    """The end of the process."""


def kill_after(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """The process is killed when it has written that often."""
    real, done = os.pwrite, []

    def pwrite(*arguments: Any) -> int:
        if len(done) == writes:
            raise Killed
        done.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(os, "pwrite", pwrite)


def killed(monkeypatch: pytest.MonkeyPatch, writes: int, write: Any, *arguments: Any) -> bool:
    with monkeypatch.context() as patch:
        kill_after(patch, writes)
        try:
            write(*arguments)
        except Killed:
            return True
    return False


def test_a_process_killed_while_it_appends_leaves_the_file_as_before_or_as_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, path, whole = make(tmp_path / "original.rrd", 1000, 10), tmp_path / "one.rrd", tmp_path / "whole.rrd"
    rows = 2900 - layout.read(original).archives[0].newest  # librrd begins anywhere in a ring; end 100 before it closes
    ring.append(original, QUARTER, [n / 7 for n in range(rows)], 99)
    new = (QUARTER + 10 * rows + 2600, [n / 3 for n in range(300)], 200.0)  # 260 skipped, and 300
    shutil.copy(original, whole)
    ring.append(whole, *new)
    before, after = content(original), content(whole)
    for writes in range(100):
        shutil.copy(original, path)
        was_killed = killed(monkeypatch, writes, ring.append, path, *new)
        found = content(path)
        if not was_killed:
            assert found == after
            break
        assert found._replace(rows=before.rows) == before
        for number, oldest in enumerate((560, 7)):  # the rows whose places are taken
            assert list(found.rows[number].items())[oldest:] == list(before.rows[number].items())[oldest:]
        ring.append(path, *new)
        assert content(path) == after
    assert writes >= 5  # two for the gap, the rates, the means, the header


def test_a_process_killed_while_it_puts_can_put_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, path, whole = make(tmp_path / "original.rrd", 1000, 10), tmp_path / "one.rrd", tmp_path / "whole.rrd"
    ring.append(original, QUARTER, [n / 7 for n in range(1770)], 99)
    new = (10, QUARTER + 8_000, [n / 3 for n in range(970)])
    shutil.copy(original, whole)
    ring.put(whole, *new)
    for writes in range(100):
        shutil.copy(original, path)
        was_killed = killed(monkeypatch, writes, ring.put, path, *new)
        assert layout.read(path) == layout.read(original)
        if not was_killed:
            break
        ring.put(path, *new)
        assert content(path) == content(whole)
    assert writes >= 4


def test_the_header_is_written_at_once_when_the_rows_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "one.rrd", 300, 4)
    calls: list[tuple[Any, ...]] = []
    write, sync = os.pwrite, os.fdatasync

    def pwrite(descriptor: int, part: Any, place: int) -> int:
        calls.append((place, len(part)))
        return write(descriptor, part, place)

    def fdatasync(descriptor: int) -> None:
        calls.append(("sync",))
        sync(descriptor)

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(os, "fdatasync", fdatasync)
    ring.append(path, QUARTER + 100, [1.0] * 200, 5)
    header = layout.read(path).header_bytes
    *rows, synced, head, last = calls
    assert (synced, head, last) == (("sync",), (0, header), ("sync",))
    assert all(place >= header for place, _ in rows)
    assert sum(length for _, length in rows) == 8 * (210 + 2)
    calls.clear()
    ring.put(path, 10, QUARTER + 100, [2.0] * 100)
    assert calls[-1] == ("sync",)


def test_a_disk_that_takes_a_part_at_a_time_gets_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = Twins(tmp_path, Shape(300, 4))
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, part, place: write(descriptor, part[:100], place))
    twins.tell(Piece(30, 400))
    twins.check()


def test_a_damaged_count_of_unknown_rows_costs_one_mean_at_most(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 300, 4)
    ring.append(path, QUARTER, [1.0] * 80, 100)
    with path.open("r+b") as file:
        file.seek(layout.read(path).header_bytes - 2 * layout.RRA_PTR.size - 80 + 8)
        file.write(b"\xff" * layout.RRA_PTR.size)
    ring.append(path, QUARTER + 800, [1.0] * 100, 200)
    assert bits(ring.read(path, 900, QUARTER, QUARTER + 1800)) == bits([NAN, 1.0])


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writing beyond so many bytes of any file fails; Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_room_is_told_and_the_file_stays_as_it_was(tmp_path: Path) -> None:
    path = make(tmp_path / "one.rrd", 3000, 40)
    ring.append(path, QUARTER, [1.0] * 100, 10)
    before = content(path)
    [lossless, _] = layout.read(path).archives
    newest = lossless.begin + 8 * lossless.newest
    with largest_file(newest + 8 * 50 + 3), pytest.raises(OSError, match="File too large") as caught:
        ring.append(path, QUARTER + 1000, [2.0] * 200, 20)
    assert caught.value.errno == errno.EFBIG
    found = content(path)
    assert found._replace(rows=before.rows) == before
    assert bits(ring.read(path, 10, QUARTER, QUARTER + 1000)) == bits([1.0] * 100)
    with largest_file(newest - 8 * 50), pytest.raises(OSError, match="File too large"):
        ring.put(path, 10, QUARTER, [2.0] * 100)


def test_a_file_that_cannot_serve_is_told(tmp_path: Path) -> None:
    foreign, missing = tmp_path / "foreign.rrd", tmp_path / "missing.rrd"
    foreign.write_bytes(b"no rows here" * 1000)
    for path, error in ((foreign, DamagedError), (missing, FileNotFoundError), (tmp_path, IsADirectoryError)):
        for call in (
            lambda path=path: ring.read(path, 10, QUARTER, QUARTER + 10),
            lambda path=path: ring.append(path, QUARTER, [1.0], 1),
            lambda path=path: ring.put(path, 10, QUARTER, [1.0]),
        ):
            with pytest.raises(error, match=path.name):
                call()
    assert not missing.exists()


def test_a_file_that_is_cut_short_meanwhile_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "one.rrd", 300, 4)
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    with pytest.raises(OSError, match="only 0 of 8 bytes could be read"):
        ring.read(path, 10, QUARTER - 10, QUARTER)
