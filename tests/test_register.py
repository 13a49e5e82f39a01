"""The register file survives torn writes and flipped bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from powerpi import register
from powerpi.register import SLOT_BYTES, Register


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "house.register"
    register.write(path, Register(1, 100, 1_700_000_000))
    register.write(path, Register(2, 160, 1_700_000_060))
    return path


def test_newest_slot_is_read_back(path: Path) -> None:
    assert register.read(path) == Register(2, 160, 1_700_000_060)


def test_slots_are_written_in_turn_and_the_file_never_grows(path: Path) -> None:
    register.write(path, Register(3, 200, 1_700_000_120))
    assert register.read(path) == Register(3, 200, 1_700_000_120)
    assert path.stat().st_size == 2 * SLOT_BYTES
    torn = path.read_bytes()
    assert register.newest(torn[:SLOT_BYTES] + bytes(SLOT_BYTES)) == Register(2, 160, 1_700_000_060)


def test_missing_file_is_unknown(tmp_path: Path) -> None:
    assert register.read(tmp_path / "none.register") is None


def test_file_cut_at_any_byte_gives_a_true_register_or_none(path: Path) -> None:
    content = path.read_bytes()
    # sequence 2 lies in the first slot, sequence 1 in the second
    for length in range(len(content)):
        found = register.newest(content[:length])
        assert found == (Register(2, 160, 1_700_000_060) if length >= register.RECORD.size else None)


def test_any_flipped_bit_in_the_newest_slot_leaves_the_other(path: Path) -> None:
    content = path.read_bytes()
    for bit in range(register.RECORD.size * 8):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        assert register.newest(bytes(flipped)) == Register(1, 100, 1_700_000_000)


def test_a_foreign_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"something else entirely" * 1000)
    assert register.read(path) is None
