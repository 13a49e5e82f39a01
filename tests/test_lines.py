"""Lines of a GPIO chip: a pipe stands for the kernel's descriptor, the bytes in it are the kernel's.

The real chip is in the VM (tests/vm).
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from powerpi import lines
from powerpi.lines import Line, LineEvent, Listener

RISING, FALLING = 1, 2


def event(time: float, kind: int, line_seqno: int) -> bytes:
    """struct gpio_v2_line_event: timestamp_ns, id, offset, seqno, line_seqno, padding[6]."""
    return struct.pack("=Q10I", round(time * 1e9), kind, 24, 9999, line_seqno, *[0] * 6)


@pytest.fixture
def pipe() -> Iterator[tuple[Line, Callable[..., None]]]:
    """A line, and a function that lets edges happen on it."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield Line(reading), lambda *events: os.write(writing, b"".join(event(*one) for one in events))
    os.close(reading)
    os.close(writing)


Pipe = tuple[Line, Callable[..., None]]


def test_structures_have_the_sizes_that_their_numbers_promise() -> None:
    # <asm-generic/ioctl.h>: 14 bits of size above 8 bits of type and 8 of number
    for number, size in (
        (lines.GET_CHIPINFO_IOCTL, lines.CHIP_INFO.size),
        (lines.GET_LINE_IOCTL, lines.LINE_REQUEST.size),
        (lines.GET_VALUES_IOCTL, lines.LINE_VALUES.size),
    ):
        assert number >> 16 & 0x3FFF == size
        assert number >> 8 & 0xFF == 0xB4
    assert lines.LINE_EVENT.size == 48


def test_a_request_has_its_fields_where_the_kernel_reads_them() -> None:
    packed = lines.LINE_REQUEST.pack(24, b"powerpi", 0x134, 0, 1, 1024, -1)
    # offsets[64], consumer[32]; config: flags, num_attrs, padding[5], attrs[10] of 24 bytes;
    # then num_lines, event_buffer_size, padding[5], fd
    offsets, consumer, flags, num_attrs, count, buffered, descriptor = struct.unpack("=256s32sQI260xII20xi", packed)
    assert offsets == struct.pack("=I", 24).ljust(256, b"\0")
    assert consumer.rstrip(b"\0") == b"powerpi"
    assert (flags, num_attrs, count, buffered, descriptor) == (0x134, 0, 1, 1024, -1)
    assert packed.index(struct.pack("=II", 1, 1024)) == 256 + 32 + 8 + 4 + 20 + 240


def test_edges_carry_the_kernels_time_and_level(pipe: Pipe) -> None:
    line, happen = pipe
    happen((12.5, FALLING, 1), (12.53, RISING, 2))
    assert line.read() == [LineEvent(12.5, False, 0), LineEvent(12.53, True, 0)]
    assert line.read() == []


def test_edges_that_the_kernel_could_not_keep_are_counted_where_they_are_missing(pipe: Pipe) -> None:
    line, happen = pipe
    happen((1.0, FALLING, 1), (2.0, FALLING, 7))
    happen((3.0, RISING, 8))
    assert [edge.missed for edge in line.read()] == [0, 5, 0]


def test_edges_lost_before_the_first_one_read_are_counted_too(pipe: Pipe) -> None:
    line, happen = pipe
    happen((1.0, FALLING, 4))
    assert line.read()[0].missed == 3


def test_sequence_numbers_may_wrap(pipe: Pipe) -> None:
    line, happen = pipe
    happen((1.0, FALLING, 2**32 - 1))
    line.read()
    happen((2.0, RISING, 0), (3.0, FALLING, 2))
    assert [edge.missed for edge in line.read()] == [0, 1]


def test_many_edges_are_read_in_order_over_several_calls(pipe: Pipe) -> None:
    line, happen = pipe
    happen(*((float(number), FALLING, number) for number in range(1, 101)))
    read = [*line.read(), *line.read(), *line.read()]
    assert [edge.time for edge in read] == [float(number) for number in range(1, 101)]


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_an_unknown_chip_is_refused_and_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = open_descriptors()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        lines.request_line(Path("/dev/null"), 24, "up", "both")
    with pytest.raises(FileNotFoundError):
        lines.request_line(tmp_path / "gpiochip0", 24, "up", "both")
    assert open_descriptors() == before


# ---------------------------------------------------------------- the thread


class Heard:
    """What a listener handed over, and a way to wait for it."""

    def __init__(self) -> None:
        self.events: list[LineEvent] = []
        self.deaths: list[tuple[str, BaseException]] = []
        self._changed = threading.Condition()

    def __call__(self, event: LineEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def died(self, name: str, death: BaseException) -> None:
        with self._changed:
            self.deaths.append((name, death))
            self._changed.notify_all()

    def wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(until, 10)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def listener(heard: Heard) -> Iterator[Listener]:
    listener = Listener(heard.died)
    listener.start()
    yield listener
    listener.close()


def test_the_thread_hands_over_edges_as_they_come(listener: Listener, heard: Heard, pipe: Pipe) -> None:
    line, happen = pipe
    listener.listen(line, heard)
    for number in range(1, 6):
        happen((float(number), FALLING, number))
        heard.wait(lambda wanted=number: len(heard.events) == wanted)
    assert [edge.time for edge in heard.events] == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_line_that_is_ignored_is_heard_no_more(listener: Listener, heard: Heard, pipe: Pipe) -> None:
    line, happen = pipe
    listener.listen(line, heard)
    happen((1.0, FALLING, 1))
    heard.wait(lambda: len(heard.events) == 1)
    listener.ignore(line)
    happen((2.0, RISING, 2))
    listener.stop()
    assert len(heard.events) == 1
    assert line.read() == [LineEvent(2.0, True, 0)]


def test_a_line_never_listened_to_may_be_ignored(listener: Listener, pipe: Pipe) -> None:
    listener.ignore(pipe[0])
    assert listener.is_alive()


def test_the_thread_ends_where_it_waits(listener: Listener) -> None:
    listener.stop()
    assert not listener.is_alive()


def test_it_may_be_closed_twice_and_ignores_what_comes_later(listener: Listener, pipe: Pipe) -> None:
    listener.close()
    listener.close()
    listener.ignore(pipe[0])
    assert not listener.is_alive()


def test_a_chip_that_is_gone_ends_the_thread_and_is_told(heard: Heard, tmp_path: Path) -> None:
    # a folder stands for it: it is ready at once, and reading it fails
    listener = Listener(heard.died)
    listener._lines = {listener._waker: (Line(os.open(tmp_path, os.O_RDONLY)), heard)}
    os.eventfd_write(listener._waker, 1)
    listener.start()
    heard.wait(lambda: bool(heard.deaths))
    [(name, death)] = heard.deaths
    assert name == "edges"
    assert isinstance(death, IsADirectoryError)
    listener.close()
