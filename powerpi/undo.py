"""What an RRD's header was before rows were written, kept until they are.

librrd changes the header in mapped memory, field by field, for every row. A process that is killed in between leaves
the place of the newest row and its time disagreeing, and every row of the past would stand a step off. Then the header
is put back as it was; the rows that were being written had not been acknowledged.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from powerpi import files
from powerpi.pulses import Row

FILE_BYTES = 4096  # a block; more than a header
FIXED = Struct("<8sIqdH")  # magic, CRC-32 of what follows it, the newest row's time and pulses, length of the header
MAGIC = b"PPiUndo1"
CHECKED_FROM = 12


class Undo(NamedTuple):
    """A header as it was, and the newest of the rows that were to be written then."""

    header: bytes
    newest: Row


def prepare(path: Path) -> None:
    """Make room, so that a full disk is no obstacle later. Raises OSError."""
    files.prepare(path, FILE_BYTES)


def keep(path: Path, undo: Undo) -> None:
    """Keep it before the first row is written. Raises OSError.

    Nobody waits until it is on disk: it is for a process that is killed, and the kernel outlives it. A power cut in the
    microseconds between two fields would have to meet the kernel writing just this page.
    """
    checked = FIXED.pack(MAGIC, 0, *undo.newest, len(undo.header))[CHECKED_FROM:] + undo.header
    content = MAGIC + zlib.crc32(checked).to_bytes(4, "little") + checked
    prepare(path)
    files.overwrite(path, content, wait=False)


def forget(path: Path) -> None:
    """The rows are on disk: no need to wait until this is. Raises OSError."""
    files.overwrite(path, bytes(len(MAGIC)), wait=False)


def read(path: Path) -> Undo | None:
    """What is kept, None when it was forgotten or is torn: then no row was written. Raises OSError."""
    content = path.read_bytes() if path.is_file() else b""
    if len(content) < FIXED.size:
        return None
    magic, check, time, pulses, length = FIXED.unpack_from(content)
    if magic != MAGIC or check != zlib.crc32(content[CHECKED_FROM : FIXED.size + length]):
        return None
    return Undo(content[FIXED.size : FIXED.size + length], Row(time, pulses))
