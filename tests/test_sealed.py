"""A sealed zip: read by anybody, and no byte of it can change unnoticed."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from struct import Struct

import pytest

from powerpi import sealed
from powerpi.errors import BackupError
from powerpi.sealed import END, LARGE_END, LOCATOR, SEAL_BYTES, Part

ROWS = Random(1).randbytes(8000)


def made(parts: dict[str, bytes] | None = None) -> bytes:
    file = io.BytesIO()
    with sealed.sealed(file) as archive:
        for name, content in (parts or {"a.txt": b"Haus", "rows.f64": ROWS}).items():
            archive.writestr(name, content)
    return file.getvalue()


def check(content: bytes) -> None:
    file = io.BytesIO(content)
    sealed.opened(file).close()
    sealed.check(file, lambda *_: None)


def test_every_program_that_reads_zips_reads_it() -> None:
    with zipfile.ZipFile(io.BytesIO(made())) as archive:
        assert archive.testzip() is None
        assert archive.read("a.txt") == b"Haus"
        assert archive.read("rows.f64") == ROWS


def test_its_last_64_bytes_are_the_sha256_of_all_before() -> None:
    content = made()
    assert content[-64:].decode() == hashlib.sha256(content[:-64]).hexdigest()
    check(content)


def test_it_is_written_in_one_go_to_what_cannot_be_wound_back() -> None:
    class Pipe(io.RawIOBase):
        """Takes bytes, and nothing else."""

        def __init__(self) -> None:
            self.content = b""

        def writable(self) -> bool:
            return True

        def write(self, content: bytes) -> int:  # type: ignore[override]
            self.content += content
            return len(content)

    pipe = Pipe()
    with sealed.sealed(pipe) as archive, archive.open("rows.f64", "w") as part:  # type: ignore[arg-type]
        for begin in range(0, len(ROWS), 100):
            part.write(ROWS[begin : begin + 100])
    check(pipe.content)
    assert zipfile.ZipFile(io.BytesIO(pipe.content)).read("rows.f64") == ROWS


def test_any_flipped_bit_of_any_byte_is_found() -> None:
    content, chance = made(), Random(2)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        with pytest.raises(BackupError):
            check(bytes(damaged))


@pytest.mark.parametrize("length", [0, 1, 63, 64, 85, 86, 100, 4000, 8000])
def test_a_file_that_was_cut_is_found(length: int) -> None:
    content = made()
    assert length < len(content)
    with pytest.raises(BackupError):
        check(content[:length])
    with pytest.raises(BackupError):
        check(content[length + 1 :])


def test_what_stands_behind_the_end_is_found() -> None:
    with pytest.raises(BackupError):
        check(made() + b"\n")


def test_after_an_exception_there_is_no_seal() -> None:
    file = io.BytesIO()
    with pytest.raises(KeyError), sealed.sealed(file) as archive, archive.open("rows.f64", "w") as part:
        part.write(ROWS)
        raise KeyError
    with pytest.raises(BackupError):
        check(file.getvalue())


def test_a_disk_that_is_full_is_told_once() -> None:
    class Full(io.BytesIO):
        def write(self, content: bytes) -> int:  # type: ignore[override]
            if self.tell() > 2000:
                raise OSError(28, "No space left on device")
            return super().write(content)

    with pytest.raises(OSError, match="No space left"), sealed.sealed(Full()) as archive:
        for number in range(100):
            archive.writestr(f"{number}", Random(number).randbytes(200))


# ---------------------------------------------------------------- foreign files


def zipped(**settings: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **settings) as archive:  # type: ignore[arg-type]
        archive.writestr("powerpi.json", "{}")
        archive.comment = b"x" * SEAL_BYTES
    return file.getvalue()


def other_comment() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("powerpi.json", "{}")
    return file.getvalue()


FOREIGN: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "text": lambda: b"[powerpi]\n" * 100,
    "zeros": lambda: bytes(10_000),
    "gzip": lambda: zlib.compress(ROWS),
    "another zip": other_comment,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_no_backups(name: str) -> None:
    with pytest.raises(BackupError, match="is no backup of PowerPi, or its end is missing"):
        sealed.opened(io.BytesIO(FOREIGN[name]()))


def test_a_zip_with_another_comment_has_no_seal() -> None:
    content = zipped()
    sealed.opened(io.BytesIO(content)).close()
    with pytest.raises(BackupError, match="its checksum does not fit"):
        check(content)


def resealed(content: bytes) -> bytes:
    """The same bytes with the right seal: somebody who knows how makes one."""
    return content[:-SEAL_BYTES] + hashlib.sha256(content[:-SEAL_BYTES]).hexdigest().encode()


def ended(content: bytes, end: Struct, place: int, number: int, value: int) -> bytes:
    """The zip with another value in its end record."""
    values = list(end.unpack_from(content, place))
    values[number] = value
    return resealed(content[:place] + end.pack(*values) + content[place + end.size :])


def refused(content: bytes) -> int:
    """The bytes that were needed at most to refuse it."""
    tracemalloc.start()
    try:
        with pytest.raises(BackupError):
            check(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_list_of_parts_that_is_too_long_is_not_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"meters/{number}/{'x' * 20}", b"")
        archive.comment = b"x" * SEAL_BYTES
    content = resealed(file.getvalue())
    assert refused(content) < 200_000


def test_nor_is_one_of_which_the_large_record_tells() -> None:
    content = zipped()
    place = len(content) - SEAL_BYTES - END.size
    large = LARGE_END.pack(b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 1 << 40, 0)
    locator = LOCATOR.pack(b"PK\6\7", 0, place, 1)
    assert refused(resealed(content[:place] + large + locator + content[place:])) < 200_000


@pytest.mark.parametrize("value", [1 << 31, 0xFFFFFFFF, 5], ids=["2 GB", "all", "5"])
def test_nor_one_that_is_as_long_as_never(value: int) -> None:
    content = made()
    end = len(content) - SEAL_BYTES - END.size
    assert refused(ended(content, END, end, 5, value)) < 200_000


def test_a_part_that_unpacks_to_gigabytes_is_read_as_far_as_wanted() -> None:
    bomb = io.BytesIO()
    with sealed.sealed(bomb) as archive, archive.open("powerpi.json", "w") as part:
        for _ in range(200):
            part.write(bytes(1 << 20))
    assert len(bomb.getvalue()) < 2_000_000
    tracemalloc.start()
    try:
        with sealed.opened(bomb) as archive, pytest.raises(BackupError, match="of more than 10000 bytes"):
            sealed.content(archive, "powerpi.json", 10_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_part_that_is_missing_or_packed_otherwise_is_named() -> None:
    with sealed.opened(io.BytesIO(made())) as archive, pytest.raises(BackupError, match=r"lacks powerpi\.json"):
        sealed.content(archive, "powerpi.json", 100)
    lzma = zipped(compression=zipfile.ZIP_LZMA)
    with sealed.opened(io.BytesIO(lzma)) as archive, pytest.raises(BackupError, match="in a way that PowerPi never"):
        sealed.content(archive, "powerpi.json", 100)


def test_a_part_whose_bytes_are_no_deflate_is_damaged() -> None:
    content = made({"rows.f64": ROWS})
    damaged = resealed(content[:100] + bytes(200) + content[300:])
    with sealed.opened(io.BytesIO(damaged)) as archive, pytest.raises(BackupError, match=r"a damaged part rows\.f64"):
        sealed.content(archive, "rows.f64", 10_000)


def test_a_part_is_read_from_any_place_and_no_further_than_it_goes() -> None:
    with sealed.opened(io.BytesIO(made())) as archive:
        part = Part(archive, "rows.f64")
        assert part.size == 8000
        assert part.read(16, 8) == ROWS[16:24]
        assert part.read(7990, 100) == ROWS[7990:]
        assert part.read(0, 8) == ROWS[:8]
        part.close()
