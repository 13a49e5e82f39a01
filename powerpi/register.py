"""The register file: the lifetime counter of one meter, safe against a power cut in the middle of a write.

Two slots, each in a disk block of its own, written in turn with fdatasync; each holds a sequence number, the
counter in pulses, the Unix time it was valid and a CRC-32. At worst the slot being written is torn: the other serves.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from powerpi import files

SLOT_BYTES = 4096  # a page, and a multiple of every disk's block: one write touches one slot only
SLOTS = 2
RECORD = struct.Struct("<8sQQqI")  # magic, sequence, pulses, Unix seconds, CRC-32 of what precedes
MAGIC = b"PowerPi1"


class Register(NamedTuple):
    """What a slot holds."""

    sequence: int
    pulses: int
    time: int


def encode(register: Register) -> bytes:
    """The bytes of a slot."""
    body = RECORD.pack(MAGIC, register.sequence, register.pulses, register.time, 0)[:-4]
    return (body + struct.pack("<I", zlib.crc32(body))).ljust(SLOT_BYTES, b"\0")


def decode(slot: bytes) -> Register | None:
    """What a slot holds; None when it is torn, foreign or was never written."""
    if len(slot) < RECORD.size:
        return None
    magic, sequence, pulses, time, check = RECORD.unpack_from(slot)
    if magic != MAGIC or check != zlib.crc32(slot[: RECORD.size - 4]):
        return None
    return Register(sequence, pulses, time)


def newest(content: bytes) -> Register | None:
    """The valid slot that was written last; None when there is none."""
    slots = (decode(content[SLOT_BYTES * number :]) for number in range(SLOTS))
    return max((slot for slot in slots if slot), default=None)


def is_blank(path: Path) -> bool:
    """Whether a register file holds nothing at all, because nothing was ever written. Raises OSError."""
    try:
        return not path.read_bytes().strip(b"\0")
    except FileNotFoundError:
        return True
    except IsADirectoryError:
        return False


def read(path: Path) -> Register | None:
    """The newest register in the file at `path`; None when it is missing, not a file, or holds none.

    A slot in a bad block of the disk is as good as torn while the other can be read. Raises OSError.
    """
    refusals: list[OSError] = []
    try:
        with files.opened(path, os.O_RDONLY) as descriptor:
            found = newest(b"".join(_slot(descriptor, number, refusals) for number in range(SLOTS)))
    except FileNotFoundError:
        return None
    if refusals and not found and refusals[0].errno != errno.EISDIR:
        raise refusals[0]
    return found


def _slot(descriptor: int, number: int, refusals: list[OSError]) -> bytes:
    try:
        return os.pread(descriptor, SLOT_BYTES, SLOT_BYTES * number).ljust(SLOT_BYTES, b"\0")
    except OSError as error:
        refusals.append(error)
        return bytes(SLOT_BYTES)


def prepare(path: Path) -> None:
    """Make room for both slots where there is none yet. Raises OSError."""
    files.prepare(path, SLOT_BYTES * SLOTS)


def write(path: Path, register: Register) -> None:
    """Write one slot and wait until it is on disk. Raises OSError."""
    prepare(path)
    files.overwrite(path, encode(register), SLOT_BYTES * (register.sequence % SLOTS))
