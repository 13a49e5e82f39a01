"""Units of rows and their digests: cut where both ends cut, equal for equal rows only, kept in a file that may tear."""

from __future__ import annotations

import hashlib
import math
import struct
from array import array
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerpi import digests
from powerpi.digests import MOST_UNITS, UNIT_ROWS, Unit, digest, units
from powerpi.ring import NAN

DAY = 86400
QUARTER_UNIT = 90 * DAY  # 8640 quarter hours

# ---------------------------------------------------------------- units


def test_a_unit_is_a_day_of_rows_or_ninety_days_of_means() -> None:
    assert list(units(10, 0, 2 * DAY)) == [Unit(10, 0, DAY), Unit(10, DAY, 2 * DAY)]
    assert list(units(900, 0, QUARTER_UNIT)) == [Unit(900, 0, QUARTER_UNIT)]


def test_first_and_last_unit_may_be_parts() -> None:
    found = list(units(10, DAY - 20, 2 * DAY + 10))
    assert found == [Unit(10, DAY - 20, DAY), Unit(10, DAY, 2 * DAY), Unit(10, 2 * DAY, 2 * DAY + 10)]
    assert [unit.whole for unit in found] == [False, True, False]


def test_a_part_within_one_day_stays_one() -> None:
    assert list(units(10, DAY + 10, DAY + 30)) == [Unit(10, DAY + 10, DAY + 30)]


def test_nothing_has_no_units() -> None:
    assert list(units(10, DAY, DAY)) == []
    assert list(units(10, 2 * DAY, DAY)) == []


def test_units_before_1970_are_cut_at_the_same_places() -> None:  # an archive that was made empty reaches back there
    assert list(units(10, -DAY - 10, 10)) == [Unit(10, -DAY - 10, -DAY), Unit(10, -DAY, 0), Unit(10, 0, 10)]


@pytest.mark.parametrize(("step", "days"), [(10, 366), (900, 50 * 366)])
def test_all_that_an_archive_can_hold_is_compared_at_once(step: int, days: int) -> None:
    assert len(list(units(step, 12345 * step, 12345 * step + days * DAY))) <= MOST_UNITS


@given(st.sampled_from([10, 900]), st.integers(-(10**5), 10**6), st.integers(1, 40_000))
def test_units_cover_a_span_without_gap_or_overlap(step: int, first: int, rows: int) -> None:
    after, until = first * step, (first + rows) * step
    found = list(units(step, after, until))
    assert (found[0].after, found[-1].until) == (after, until)
    assert all(one.until == other.after for one, other in pairwise(found))
    assert all(unit.after < unit.until for unit in found)
    assert all(unit.whole for unit in found[1:-1])
    assert all(unit.until % (UNIT_ROWS * step) == 0 for unit in found[:-1])


# ---------------------------------------------------------------- digests


def test_digest_is_that_of_little_endian_doubles() -> None:
    known = hashlib.blake2b(struct.pack("<3d", 0.0, 1.5, 16.7), digest_size=8).hexdigest()
    assert digest(array("d", [0.0, 1.5, 16.7])) == known
    assert len(known) == 16


def test_digest_of_no_rows_is_one_too() -> None:
    assert digest(array("d")) == hashlib.blake2b(digest_size=8).hexdigest()


def test_a_big_endian_machine_has_the_same_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    known, swapped = digest(array("d", [1.5, NAN])), array("d", [1.5, NAN])
    swapped.byteswap()  # as such a machine has them in memory
    monkeypatch.setattr("sys.byteorder", "big")
    kept = swapped.tobytes()
    assert digest(swapped) == known
    assert swapped.tobytes() == kept


RATES = st.lists(st.floats(0, 1e6) | st.just(NAN), min_size=1, max_size=30).map(lambda rates: array("d", rates))


@given(RATES, st.data())
def test_one_other_bit_is_another_digest(rates: array[float], data: st.DataObject) -> None:
    content = bytearray(rates.tobytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    other = array("d")
    other.frombytes(bytes(content))
    assert digest(other) != digest(rates)
    assert digest(array("d", rates)) == digest(rates)


@given(RATES)
def test_a_row_more_or_less_is_another_digest(rates: array[float]) -> None:
    assert digest(rates[:-1]) != digest(rates)
    assert digest(array("d", [*rates, 0.0])) != digest(rates)


def test_unknown_is_not_zero() -> None:
    assert digest(array("d", [math.nan])) != digest(array("d", [0.0]))


# ---------------------------------------------------------------- the file


def test_no_file_holds_no_digests(tmp_path: Path) -> None:
    assert digests.read(tmp_path / "house.digests") == {}


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        digests.read(tmp_path)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from([10, 900]), st.integers(0, 20_000)), st.from_regex("[0-9a-f]{16}", fullmatch=True)
    )
)
def test_file_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, given: dict) -> None:
    path = tmp_path_factory.mktemp("digests") / "house.digests"
    kept = {Unit(step, number * DAY, number * DAY + UNIT_ROWS * step): text for (step, number), text in given.items()}
    digests.write(path, kept)
    assert digests.read(path) == kept


KEPT = {Unit(10, 0, DAY): "0" * 16, Unit(10, DAY, 2 * DAY): "f" * 16, Unit(900, 0, QUARTER_UNIT): "a" * 16}


def test_lines_are_in_order_and_readable(tmp_path: Path) -> None:
    digests.write(tmp_path / "d", dict(reversed(KEPT.items())))
    lines = [f"10 0 {'0' * 16}", f"10 86400 {'f' * 16}", f"900 0 {'a' * 16}"]
    assert (tmp_path / "d").read_text(encoding="utf-8").splitlines() == lines


def test_file_cut_at_any_byte_gives_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "d"
    digests.write(path, KEPT)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        found = digests.read(path)
        assert found.items() <= KEPT.items()
        assert len(found) == content[:length].count(b"\n")


@pytest.mark.parametrize(
    "line",
    [
        "", "words", f"10 0 {'0' * 15}", f"10 0 {'0' * 17}", f"10 0 {'G' * 16}", f"10 0 {'A' * 16}",
        f"-10 0 {'0' * 16}",
        f"10 -1 {'0' * 16}", f"10  0 {'0' * 16}", f"10 0 {'0' * 16} x", f" 10 0 {'0' * 16}", f"10000 0 {'0' * 16}",
        f"10 12345678901 {'0' * 16}", "\x00" * 20, "\u2028",
    ],
)  # fmt: skip
def test_foreign_lines_are_passed_over(tmp_path: Path, line: str) -> None:
    good = f"10 86400 {'f' * 16}\n"
    (tmp_path / "d").write_text(f"{good}{line}\n{good}", encoding="utf-8", newline="")
    assert digests.read(tmp_path / "d") == {Unit(10, DAY, 2 * DAY): "f" * 16}


def test_bytes_that_are_no_text_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"\xff\xfe\n10 0 " + b"0" * 16 + b"\n\x80")
    assert digests.read(tmp_path / "d") == {Unit(10, 0, DAY): "0" * 16}
