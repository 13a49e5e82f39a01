"""The register file survives torn writes, flipped bits and bad blocks; beside it the RRD's last row is a witness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import pytest
from conftest import START

from powerpi import register
from powerpi.pulses import Row
from powerpi.register import RECORD, SLOT_BYTES, Register
from powerpi.store import Store

BEFORE = Register(1, 100, 1_700_000_000)  # in the second slot
NEWEST = Register(2, 160, 1_700_000_060)  # in the first
USED = (range(RECORD.size), range(SLOT_BYTES, SLOT_BYTES + RECORD.size))  # bytes of the slots that mean something
PADDING = sorted(Random(1).sample([n for n in range(2 * SLOT_BYTES) if n % SLOT_BYTES >= RECORD.size], 100))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "house.register"
    register.write(path, BEFORE)
    register.write(path, NEWEST)
    return path


def flipped(content: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """The content with each single bit flipped of the bytes at `places`."""
    for place in places:
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            yield bytes(damaged)


# ---------------------------------------------------------------- the file


def test_newest_slot_is_read_back(path: Path) -> None:
    assert register.read(path) == NEWEST


def test_slots_are_written_in_turn_and_the_file_never_grows(path: Path) -> None:
    register.write(path, Register(3, 200, 1_700_000_120))
    assert register.read(path) == Register(3, 200, 1_700_000_120)
    assert path.stat().st_size == 2 * SLOT_BYTES
    torn = path.read_bytes()
    assert register.newest(torn[:SLOT_BYTES] + bytes(SLOT_BYTES)) == NEWEST


def test_missing_file_is_unknown(tmp_path: Path) -> None:
    assert register.read(tmp_path / "none.register") is None
    assert register.is_blank(tmp_path / "none.register")


def test_a_folder_in_its_place_is_none_but_not_blank(tmp_path: Path) -> None:
    assert register.read(tmp_path) is None
    assert not register.is_blank(tmp_path)


def test_a_foreign_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"something else entirely" * 1000)
    assert register.read(path) is None
    assert not register.is_blank(path)


def test_file_cut_at_any_byte_gives_a_true_register_or_none(path: Path) -> None:
    content = path.read_bytes()
    for length in range(len(content) + 1):
        assert register.newest(content[:length]) == (NEWEST if length >= RECORD.size else None)


def test_file_cut_before_the_newest_slot_gives_the_other(path: Path) -> None:
    register.write(path, Register(3, 200, 1_700_000_120))  # in the second slot
    content = path.read_bytes()
    for length in range(SLOT_BYTES - 10, SLOT_BYTES + RECORD.size):
        assert register.newest(content[:length]) == NEWEST


@pytest.mark.parametrize(("used", "other"), [(USED[0], BEFORE), (USED[1], NEWEST)])
def test_any_flipped_bit_in_one_slot_leaves_the_other(path: Path, used: range, other: Register) -> None:
    damaged = list(flipped(path.read_bytes(), used))
    assert len(damaged) == 36 * 8
    for content in damaged:
        path.write_bytes(content)
        assert register.read(path) == other


def test_a_flipped_bit_that_means_nothing_changes_nothing(path: Path) -> None:
    for content in flipped(path.read_bytes(), PADDING):
        assert register.newest(content) == NEWEST


def test_a_flipped_bit_in_both_slots_is_none(path: Path) -> None:
    random = Random(2)
    for _ in range(300):
        content = bytearray(path.read_bytes())
        for used in USED:
            content[random.choice(used)] ^= 1 << random.randrange(8)
        assert register.newest(bytes(content)) is None


# ---------------------------------------------------------------- through the store, with the RRD as second witness


@pytest.fixture
def stored(make_store: Callable[..., Store]) -> Store:
    """180 pulses were sent; the register holds 176, saved with the newest row (175.5), and 180, saved after it."""
    store = make_store(archive_years=0)
    store.open(START)
    store.save_register(100, START)
    store.write([Row(START + 60, 150.25), Row(START + 70, 175.5)])
    store.save_register(180, START + 80)
    return store


@pytest.fixture
def content(stored: Store, tmp_path: Path) -> bytes:
    content = (tmp_path / "house.register").read_bytes()
    assert sorted(filter(None, map(register.decode, (content, content[SLOT_BYTES:])))) == [
        Register(2, 176, START + 70),
        Register(3, 180, START + 80),
    ]
    return content


@pytest.fixture
def restored(make_store: Callable[..., Store], tmp_path: Path) -> Callable[[bytes], int]:
    """The counter that a new process finds when the register holds these bytes."""

    def restore(content: bytes) -> int:
        (tmp_path / "house.register").write_bytes(content)
        return make_store(archive_years=0).open(START)[0]

    return restore


def test_one_flipped_bit_costs_no_more_than_the_last_save(content: bytes, restored: Callable[[bytes], int]) -> None:
    # sequence 2 lies in the first slot, 3 in the second
    for used, pulses in zip(USED, (180, 176), strict=True):
        assert {restored(damaged) for damaged in flipped(content, used)} == {pulses}


def test_a_register_cut_anywhere_never_starts_at_0(
    content: bytes, restored: Callable[[bytes], int], tmp_path: Path
) -> None:
    whole = SLOT_BYTES + RECORD.size
    for length in (*range(80), *range(80, whole - 40, 97), *range(whole - 40, whole + 3), len(content)):
        # the first slot says 176, and so does the row in the RRD, 175.5, where there is no slot at all
        assert restored(content[:length]) == (180 if length >= whole else 176)
    kept = list(tmp_path.glob("house.register.damaged-*"))
    assert len(kept) == RECORD.size - 1  # cut to nothing is no damage; 1 to 35 bytes are set aside


def test_both_slots_damaged_leave_the_rrd_to_know(content: bytes, restored: Callable[[bytes], int]) -> None:
    random = Random(3)
    for _ in range(50):
        damaged = bytearray(content)
        for used in USED:
            damaged[random.choice(used)] ^= 1 << random.randrange(8)
        assert restored(bytes(damaged)) == 176


def test_a_row_that_is_older_than_the_register_cannot_know_more(
    stored: Store, content: bytes, restored: Callable[[bytes], int]
) -> None:
    rrd = stored.rrd.read_bytes()
    assert rrd.count(b"175.500000\0") == 1
    stored.rrd.write_bytes(rrd.replace(b"175.500000\0", b"975.500000\0"))  # one bit: 1 is 0x31, 9 is 0x39
    assert restored(content) == 180


def test_an_old_register_beside_newer_rows_gives_way_to_them(
    content: bytes, restored: Callable[[bytes], int], tmp_path: Path
) -> None:
    old = register.encode(Register(1, 100, START)) + bytes(SLOT_BYTES)
    assert restored(old) == 176


def test_a_register_that_was_never_stored_with_a_time_gives_way_to_more_pulses(
    stored: Store, restored: Callable[[bytes], int]
) -> None:
    assert restored(register.encode(Register(1, 100, 0))) == 176
    assert restored(register.encode(Register(1, 300, 0))) == 300
