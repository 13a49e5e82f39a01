"""The disposable child process that reads and draws RRDs: `rrdtool -`, librrd's own remote control.

librrd's drawing crashes, hangs and leaks on bad days (damaged files, huge pictures); here it can do so without
touching what counts. One request at a time, never while the store writes; killed after a timeout, replaced when it
dies or speaks another language, recycled before it has grown. The only module that starts processes to read.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from powerpi.errors import ReaderError

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
RECYCLE_REQUESTS = 500  # a picture leaks some 0.15 KB, a year of rows grows the heap by 25 MB
CHUNK_BYTES = 65536
IMAGE_MARK = b"image = BLOB_SIZE:"
FRUGAL = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}  # glibc gives large canvases back at once
FORBIDDEN = ('"', "\n", "\r", "\0")  # rrdtool's line reader knows no escape for these


class Drawing(NamedTuple):
    """An answer to a graph command."""

    image: bytes  # empty when nothing was to be drawn
    prints: tuple[str, ...]  # the PRINT values, in order


def quoted(arguments: Sequence[str]) -> str:
    """One line of rrdtool's remote control. Raises ReaderError for what cannot be said in one."""
    for argument in arguments:
        if any(sign in argument for sign in FORBIDDEN):
            raise ReaderError(f"argument {argument!r} cannot be handed to rrdtool")
    return " ".join(f'"{argument}"' for argument in arguments) + "\n"


class Reader:
    """Draws on demand; starts its child when first asked.

    `gate` is the lock that the store holds while it writes; `environment` gives a child's locale for a language.
    """

    def __init__(
        self,
        gate: Lock,
        environment: Callable[[str], Mapping[str, str]],
        program: Sequence[str] = ("rrdtool", "-"),
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._gate = gate
        self._environment = environment
        self._program = program
        self._timeout_seconds = timeout_seconds
        self._turn = Lock()  # one request at a time; asked for before the gate, so that the writer waits for one only
        self._child: subprocess.Popen[bytes] | None = None
        self.language = "en"  # of the present child; what has no language of its own goes on with it
        self._requests = 0
        self.fault: str | None = None  # why the last request failed, if it did

    def graph(self, arguments: Sequence[str], language: str) -> Drawing:
        """Run `rrdtool graphv -` with `arguments`. Raises ReaderError; the next request is served all the same."""
        line = quoted(["graphv", "-", *arguments])
        with self._turn:
            try:
                child = self._ready(language)
                with self._gate:
                    drawing = _Answer(child, time.monotonic() + self._timeout_seconds).to(line)
            except ReaderError as error:
                self._failed(error)
                raise
            except OSError as error:
                self._failed(error)
                raise ReaderError(f"rrdtool cannot be run: {error}") from error
            self.fault = None
            return drawing

    def _ready(self, language: str) -> subprocess.Popen[bytes]:
        """A child that lives, is not worn out and speaks `language`."""
        worn = self._requests >= RECYCLE_REQUESTS or language != self.language
        if self._child and (worn or self._child.poll() is not None):
            self._end()
        if not self._child:
            self._child = subprocess.Popen(  # noqa: S603 (a fixed program, arguments go through its standard input)
                self._program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), **FRUGAL, **self._environment(language)},
                cwd="/",
                bufsize=0,
            )
            self._requests = 0
            self.language = language
        self._requests += 1
        return self._child

    def _failed(self, error: Exception) -> None:
        if self.fault is None:
            log.error("a picture could not be made, counting goes on: %s", error)
        self.fault = str(error)
        self._end()

    def _end(self) -> None:
        """Kill the child and take its exit status."""
        child, self._child = self._child, None
        if child:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe:
                    pipe.close()

    def resident_process(self) -> int | None:
        """The process id of the child, if there is one."""
        return self._child.pid if self._child else None

    def close(self) -> None:
        """End the child."""
        with self._turn:
            self._end()


class _Answer:
    """One exchange with a child, within a deadline (CLOCK_MONOTONIC seconds)."""

    def __init__(self, child: subprocess.Popen[bytes], deadline: float) -> None:
        assert child.stdin and child.stdout  # noqa: S101 (they were asked for)
        self._input = child.stdin.fileno()
        self._output = child.stdout.fileno()
        self._deadline = deadline
        self._buffer = b""

    def to(self, line: str) -> Drawing:
        """Send a command line and read until its `OK` or `ERROR`."""
        self._send(line.encode())
        image = b""
        prints: dict[str, str] = {}  # each is sent once before a picture and once behind it
        while True:
            text = self._line()
            if text.startswith(b"OK "):
                return Drawing(image, tuple(prints.values()))
            if text.startswith(b"ERROR: "):
                raise ReaderError(text[7:].decode(errors="replace"))
            if text.startswith(IMAGE_MARK):
                image = self._bytes(int(text[len(IMAGE_MARK) :]))
            elif text.startswith(b"print["):
                name, _, value = text.decode(errors="replace").partition(" = ")
                prints[name] = value.strip('"')

    def _send(self, data: bytes) -> None:
        while data:
            self._wait_for(writing=True)
            data = data[os.write(self._input, data[: select.PIPE_BUF]) :]

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            self._read()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _bytes(self, size: int) -> bytes:
        parts = [self._buffer]
        missing = size - len(self._buffer)
        while missing > 0:
            self._buffer = b""
            self._read()
            parts.append(self._buffer)
            missing -= len(self._buffer)
        joined = b"".join(parts)
        self._buffer = joined[size:]
        return joined[:size]

    def _read(self) -> None:
        self._wait_for(writing=False)
        chunk = os.read(self._output, CHUNK_BYTES)
        if not chunk:
            raise ReaderError("rrdtool ended in the middle of an answer")
        self._buffer += chunk

    def _wait_for(self, writing: bool) -> None:
        left = max(0.0, self._deadline - time.monotonic())
        readable, writable, _ = select.select(
            [] if writing else [self._output], [self._input] if writing else [], [], left
        )
        if not readable and not writable:
            raise ReaderError("rrdtool did not answer in time and was replaced")


def total_arguments(rrd: Path, spans: Sequence[tuple[int, int]], step_seconds: int) -> list[str]:
    """Arguments that print, for each span [start, end) in Unix seconds, its pulses and its known seconds.

    rrdgraph's TOTAL is the sum over the known steps of value x step, computed in C from every single row; the
    picture that is not drawn has a pixel for every step, so that no row is merged with its neighbour.
    """
    start, end = spans[0][0], spans[-1][1]
    arguments = ["--start", str(start), "--end", str(end), "--width", str(max(10, (end - start) // step_seconds))]
    arguments += ["--step", str(step_seconds)]
    for number, (start, end) in enumerate(spans):
        arguments += [
            # the last row of a DEF is the one that BEGINS at its end
            f"DEF:d{number}={rrd}:pulses:AVERAGE:start={start}:end={end - step_seconds}:step={step_seconds}",
            f"CDEF:k{number}=d{number},UN,0,1,IF",
            f"VDEF:p{number}=d{number},TOTAL",
            f"VDEF:s{number}=k{number},TOTAL",
            f"PRINT:p{number}:%.6lf",
            f"PRINT:s{number}:%.0lf",
        ]
    return arguments


def totals(prints: Sequence[str]) -> list[tuple[float | None, int]]:
    """Pulses (None: nothing known) and known seconds of each span, from what `total_arguments` printed."""
    pairs = zip(prints[::2], prints[1::2], strict=True)
    known = ((pulses, 0 if "nan" in seconds else int(seconds)) for pulses, seconds in pairs)
    return [(float(pulses) if seconds else None, seconds) for pulses, seconds in known]
