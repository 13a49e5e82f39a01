"""A zip whose last bytes are the SHA-256 of all before them: one changed byte anywhere is found, and a missing end.

The digest, 64 hexadecimal digits, is the zip's comment, so that whatever reads zips reads such a file. It is written
in one go, from its beginning to its end, and read with bounded memory, whoever made it.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from struct import Struct
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from powerpi.errors import BackupError

SEAL_BYTES = hashlib.sha256().digest_size * 2
NO_SEAL = b"-" * SEAL_BYTES  # until all else is written
LEVEL = 1  # of deflate: a higher one takes three times as long for 6 % of the size
PIECE_BYTES = 1 << 20
MOST_DIRECTORY_BYTES = 1 << 20  # of the zip's list of its parts: some thousand meters
# APPNOTE.TXT 6.3.10 of the zip format: 4.3.16 end of the list, 4.3.15 where its large form is, 4.3.14 the large form
END = Struct("<4s4H2LH")  # signature, two disks, two counts, bytes of the list, its place, bytes of the comment
LOCATOR = Struct("<4sLQL")
LARGE_END = Struct("<4sQ2H2L4Q")  # ..., two counts, bytes of the list, its place
PARTS = (ZIP_STORED, ZIP_DEFLATED)


class _Sealing:
    """Where a zip is written to: knows the digest of all that came, and keeps back the seal's own bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._kept = b""
        self._given_up = False

    def write(self, content: bytes) -> int:
        """Take bytes; no tell and no seek, and so the zip comes in one go. Raises OSError."""
        if not self._given_up:
            self._kept += content
            self._pass_on(self._kept[:-SEAL_BYTES])
            self._kept = self._kept[-SEAL_BYTES:]
        return len(content)

    def flush(self) -> None:
        """Nothing waits here but the seal."""

    def close(self) -> None:
        """The file is the caller's."""

    def _pass_on(self, content: bytes) -> None:
        self._digest.update(content)
        self._file.write(content)

    def seal(self) -> None:
        """Put the digest at the end. Raises OSError."""
        if self._kept != NO_SEAL:
            raise ValueError("the zip does not end with its comment")
        self._file.write(self._digest.hexdigest().encode())

    def give_up(self) -> None:
        """Drop what still comes: of a zip that will not be whole."""
        self._given_up = True


@contextmanager
def sealed(file: BinaryIO) -> Iterator[ZipFile]:
    """A zip to add parts to; sealed at the end, without one after an exception. Raises OSError."""
    sealing = _Sealing(file)
    made = ZipFile(sealing, "w", ZIP_DEFLATED, compresslevel=LEVEL)
    made.comment = NO_SEAL
    try:
        yield made
        made.close()
        sealing.seal()
    except BaseException:
        sealing.give_up()
        with suppress(ValueError):  # of a part in the middle of which it ended
            made.close()
        raise


def opened(file: BinaryIO) -> ZipFile:
    """The zip in a file, whose seal is not looked at. Raises BackupError, OSError."""
    size = file.seek(0, os.SEEK_END)
    end_place = size - SEAL_BYTES - END.size
    if end_place < 0 or not _is_modest(file, end_place):
        raise BackupError("is no backup of PowerPi, or its end is missing")
    try:
        return ZipFile(file)
    except (BadZipFile, NotImplementedError, ValueError) as error:
        raise BackupError(f"is no backup of PowerPi, or is damaged: {error}") from error


def _is_modest(file: BinaryIO, end_place: int) -> bool:
    """Whether the file ends as a sealed zip does, with a list of parts that nobody has to fear."""
    signature, *_, list_bytes, list_place, comment_bytes = END.unpack(_at(file, end_place, END.size))
    if signature != b"PK\5\6" or comment_bytes != SEAL_BYTES:
        return False
    large_place = end_place - LOCATOR.size - LARGE_END.size
    tail = _at(file, large_place, LARGE_END.size + LOCATOR.size) if large_place >= 0 else b""
    if tail[LARGE_END.size :].startswith(b"PK\6\7"):
        signature, *_, list_bytes, list_place = LARGE_END.unpack(tail[: LARGE_END.size])
        if signature != b"PK\6\6":
            return False
    return bool(list_bytes <= MOST_DIRECTORY_BYTES and list_place <= end_place)


def _at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def check(file: BinaryIO, progress: Callable[[int, int], None]) -> None:
    """Read all of it and raise BackupError where the seal does not fit; `progress` hears of bytes. Raises OSError."""
    size = file.seek(0, os.SEEK_END)
    rest, digest = max(size - SEAL_BYTES, 0), hashlib.sha256()
    file.seek(0)
    while rest and (piece := file.read(min(rest, PIECE_BYTES))):
        digest.update(piece)
        rest -= len(piece)
        progress(size - rest, size)
    if rest or file.read(SEAL_BYTES + 1) != digest.hexdigest().encode():
        raise BackupError("is damaged: its checksum does not fit what it holds")


class Part:
    """A part of a zip, open to read from; every method raises BackupError for one that is missing or damaged."""

    def __init__(self, archive: ZipFile, name: str) -> None:
        self.name = name
        try:
            info = archive.getinfo(name)
        except KeyError:
            raise BackupError(f"lacks {name}") from None
        if info.compress_type not in PARTS:
            raise BackupError(f"has {name} packed in a way that PowerPi never uses")
        self.size = info.file_size  # unpacked, as the zip says
        with self._reading():
            self._file = archive.open(info)

    def read(self, place: int, most: int) -> bytes:
        """The bytes from a place on, fewer at the end; forwards is quick."""
        with self._reading():
            self._file.seek(place)
            return self._file.read(most)

    def close(self) -> None:
        """Read no more."""
        self._file.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, zlib.error) as error:
            raise BackupError(f"has a damaged part {self.name}: {error}") from error


def content(archive: ZipFile, name: str, most_bytes: int) -> bytes:
    """A whole part; never more than `most_bytes` are unpacked. Raises BackupError."""
    with closing(Part(archive, name)) as part:
        found = part.read(0, most_bytes + 1)
    if len(found) > most_bytes:
        raise BackupError(f"has a part {name} of more than {most_bytes} bytes")
    return found
