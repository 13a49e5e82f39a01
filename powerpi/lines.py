"""Lines of a GPIO chip, straight from the kernel: its character device in version 2 (Linux 5.10), without a library.

Out: every edge with the kernel's time stamp (CLOCK_MONOTONIC seconds) and the number of edges that were lost before it.
The kernel keeps up to BUFFERED_EVENTS for a process that is busy or stopped, and numbers them. Source of all
structures and numbers: <linux/gpio.h>, https://docs.kernel.org/userspace-api/gpio/chardev.html.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from powerpi.worker import Worker

GET_CHIPINFO_IOCTL = 0x8044B401  # _IOR(0xB4, 0x01, struct gpiochip_info)
GET_LINE_IOCTL = 0xC250B407  # _IOWR(0xB4, 0x07, struct gpio_v2_line_request)
GET_VALUES_IOCTL = 0xC010B40E  # _IOWR(0xB4, 0x0E, struct gpio_v2_line_values)
CHIP_INFO = struct.Struct("=32s32sI")  # name, label, number of lines
# offsets[64] (the first one is used), consumer, config: flags and unused attributes, num_lines, event_buffer_size, fd
LINE_REQUEST = struct.Struct("=I252x32sQI260xII20xi")
LINE_VALUES = struct.Struct("=QQ")  # bits, mask
LINE_EVENT = struct.Struct("=QIIII24x")  # timestamp_ns, id, offset, seqno, line_seqno
FLAG_INPUT = 1 << 2
FLAGS_EDGES = {"rising": 1 << 4, "falling": 1 << 5, "both": 1 << 4 | 1 << 5}
FLAGS_PULL = {"up": 1 << 8, "down": 1 << 9, "floating": 1 << 10}
RISING_EDGE = 1  # GPIO_V2_LINE_EVENT_RISING_EDGE
BUFFERED_EVENTS = 1024  # the kernel keeps them a line: 30 s at 16.7 pulses a second
READ_EVENTS = 64  # at once
CONSUMER = b"powerpi"
SEQUENCE_NUMBERS = 1 << 32


class LineEvent(NamedTuple):
    """An edge: CLOCK_MONOTONIC seconds, the level since then, and how many edges right before it were lost."""

    time: float
    high: bool
    missed: int


def chip_label(device: Path) -> str:
    """The label of a GPIO chip such as /dev/gpiochip0. Raises OSError."""
    descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(descriptor, GET_CHIPINFO_IOCTL, bytes(CHIP_INFO.size))
    finally:
        os.close(descriptor)
    label: bytes = CHIP_INFO.unpack(answer)[1]
    return label.rstrip(b"\0").decode(errors="replace")


def request_line(device: Path, offset: int, pull: str, edges: str) -> int:
    """The descriptor of an input line that reports `edges`; keys of FLAGS_PULL and FLAGS_EDGES. Raises OSError."""
    flags = FLAG_INPUT | FLAGS_PULL[pull] | FLAGS_EDGES[edges]
    request = LINE_REQUEST.pack(offset, CONSUMER, flags, 0, 1, BUFFERED_EVENTS, -1)
    chip = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(chip, GET_LINE_IOCTL, request)
    finally:
        os.close(chip)
    descriptor: int = LINE_REQUEST.unpack(answer)[-1]
    os.set_blocking(descriptor, False)
    return descriptor


class Line:
    """One requested line, by its descriptor; belongs to one thread but for `high` and `close`."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._sequence = 0

    def high(self) -> bool:
        """The level now. Raises OSError."""
        answer = fcntl.ioctl(self.descriptor, GET_VALUES_IOCTL, LINE_VALUES.pack(0, 1))
        return bool(LINE_VALUES.unpack(answer)[0] & 1)

    def read(self) -> list[LineEvent]:
        """The oldest edges not yet read, at most READ_EVENTS. Raises OSError."""
        try:
            content = os.read(self.descriptor, LINE_EVENT.size * READ_EVENTS)
        except BlockingIOError:
            return []
        return [self._event(*fields) for fields in LINE_EVENT.iter_unpack(content)]

    def _event(self, nanoseconds: int, kind: int, _offset: int, _seqno: int, line_seqno: int) -> LineEvent:
        missed = (line_seqno - self._sequence - 1) % SEQUENCE_NUMBERS
        self._sequence = line_seqno
        return LineEvent(nanoseconds / 1e9, kind == RISING_EDGE, missed)

    def close(self) -> None:
        """Give the line back to the kernel."""
        os.close(self.descriptor)


class Listener(Worker):
    """The thread that waits, asleep, for edges on any line and hands each one over; it does nothing else."""

    def __init__(self, on_death: Callable[[str, BaseException], None]) -> None:
        super().__init__("edges", 0.0, on_death)
        self._epoll = select.epoll()
        self._waker = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._waker, select.EPOLLIN)
        self._lines: Mapping[
            int, tuple[Line, Callable[[LineEvent], None]]
        ] = {}  # by descriptor; replaced, never changed

    def listen(self, line: Line, hand_over: Callable[[LineEvent], None]) -> None:
        """Call `hand_over` in this thread for every edge of a line."""
        self._lines = {**self._lines, line.descriptor: (line, hand_over)}
        self._epoll.register(line.descriptor, select.EPOLLIN)

    def ignore(self, line: Line) -> None:
        """Hand over no more edges of a line."""
        self._lines = {number: heard for number, heard in self._lines.items() if number != line.descriptor}
        with suppress(OSError, ValueError):  # never listened to, or closed
            self._epoll.unregister(line.descriptor)

    def turn(self) -> None:
        """Wait for edges and hand them over."""
        for descriptor, _ in self._epoll.poll():
            heard = self._lines.get(descriptor)
            if heard:
                line, hand_over = heard
                for event in line.read():
                    hand_over(event)

    def stop_soon(self) -> None:
        """End the thread, also where it waits."""
        super().stop_soon()
        os.eventfd_write(self._waker, 1)

    def close(self) -> None:
        """End the thread for good and give its descriptors back; safe to call twice."""
        if not self._epoll.closed:
            self.stop()
            self._epoll.close()
            os.close(self._waker)
