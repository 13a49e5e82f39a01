"""What says that both ends of a mirror are equal must itself see the smallest difference, and where it lies."""

import subprocess
from pathlib import Path

from tests.vm import ends
from tests.vm.guest.names import answer

START = 1_800_000_000  # on the grid of 900 s
HELD = 8  # rows of the first archive


def make(rrd: Path, pulses: list[int | None]) -> Path:
    """An RRD whose steps after START hold as many pulses each; none where None."""
    kinds = ["DS:pulses:DDERIVE:10:0:U", f"RRA:AVERAGE:0.5:1:{HELD}", "RRA:AVERAGE:0.5:3:4"]
    rrdtool("create", str(rrd), "--start", str(START - 10), "--step", "10", *kinds)
    counter, rows = 0, [f"{START}:0"]
    for place, number in enumerate(pulses, 1):
        if number is not None:
            counter += number
            rows.append(f"{START + 10 * place}:{counter}")
    rrdtool("update", str(rrd), *rows)
    return rrd


def rrdtool(*command: str) -> None:
    subprocess.run(["rrdtool", *command], check=True, stdout=subprocess.DEVNULL)


def test_rows_are_read_out_of_the_file_oldest_first_whatever_place_the_ring_begins_at(tmp_path: Path) -> None:
    # 11 rows in a ring of 8: the first three are overwritten; 10 pulses in 10 s are 1 a second
    fine, means = ends.archives(make(tmp_path / "a.rrd", [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]))
    assert (fine.row_seconds, fine.first, fine.until) == (10, START + 40, START + 110)
    assert list(fine.rates) == [4, 5, 6, 7, 8, 9, 10, 11]
    assert (means.row_seconds, means.until) == (30, START + 90)
    assert list(means.rates)[1:] == [2, 5, 8]
    assert list(fine.since(START + 100)) == [10, 11]


def test_equal_files_are_equal_and_unknown_rows_are_counted_apart(tmp_path: Path) -> None:
    pulses = [10, 20, None, 40, 50, 60, 70, 80]  # the row after a missing one is unknown too
    one, other = (ends.archives(make(tmp_path / name, pulses))[0] for name in ("a.rrd", "b.rrd"))
    assert ends.compare(one, other) == ends.Compared(known=6, unknown=2, different=[])
    assert ends.same_texts(tmp_path / "a.rrd", tmp_path / "b.rrd", 10, START, START + 80) == 8


def test_one_flipped_bit_is_found(tmp_path: Path) -> None:
    one, other = (make(tmp_path / name, [10, 20, 30, 40, 50, 60, 70, 80]) for name in ("a.rrd", "b.rrd"))
    data = bytearray(other.read_bytes())
    place = len(data) - (HELD + 4) * ends.VALUE_BYTES
    data[place] ^= 1  # the lowest bit of a row: rrdtool prints the same
    other.write_bytes(data)
    assert len(ends.compare(ends.archives(one)[0], ends.archives(other)[0]).different) == 1


def test_a_row_known_on_one_end_alone_and_one_that_an_end_lacks_are_differences(tmp_path: Path) -> None:
    one = ends.archives(make(tmp_path / "a.rrd", [10, 20, 30, 40, 50, 60, 70, 80]))[0]
    hole = ends.archives(make(tmp_path / "b.rrd", [10, 20, 30, None, 50, 60, 70, 80]))[0]
    shorter = ends.archives(make(tmp_path / "c.rrd", [10, 20, 30, 40, 50, 60, 70]))[0]
    assert ends.compare(one, hole).different == [START + 40, START + 50]
    assert ends.compare(one, shorter).different == [START + 80]
    assert ends.same_texts(tmp_path / "a.rrd", tmp_path / "b.rrd", 10, START, START + 80) is None


def test_a_verdict_that_is_not_identical_fails() -> None:
    assert ends.verified("the Pi", "house: in step\nhouse: identical up to 2026-11-23 10:00:00\n").kept
    assert not ends.verified("the Pi", "house: not identical up to 2026-11-23 10:00:00; 3 rows differed\n").kept
    assert not ends.verified("the Pi", "powerpi: 10.0.2.2 cannot be reached\n").kept


def test_the_name_server_gives_its_address_for_a_name_and_no_other_record() -> None:
    name = b"\x06mirror\x07example\x03org\x00"
    head = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    said = answer(head + name + b"\x00\x01\x00\x01", b"\x0a\x00\x02\x02")
    assert said == (
        b"\x12\x34\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00" + name + b"\x00\x01\x00\x01"
        b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x02\x02"
    )
    said = answer(head + name + b"\x00\x1c\x00\x01", b"\x0a\x00\x02\x02")  # AAAA
    assert said == b"\x12\x34\x85\x80\x00\x01\x00\x00\x00\x00\x00\x00" + name + b"\x00\x1c\x00\x01"
