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
from threading import Lock
from typing import NamedTuple

from powerpi.errors import GoneReaderError, ReaderError, SlowReaderError

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
PATIENCE_TIMEOUTS = 2  # after so many in a row, requests are refused at once ...
REST_SECONDS = 30.0  # ... for this long, so that nobody queues behind a child that hangs
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
        self._language = "en"
        self._requests = 0
        self._timeouts = 0  # in a row
        self._resting_until = 0.0
        self._timed_out = 0.0  # when a request last was: whoever queued behind it is not kept waiting again
        self.fault: str | None = None  # why the last request failed, if it did

    def graph(self, arguments: Sequence[str], language: str | None = None) -> Drawing:
        """Run `rrdtool graphv -` with `arguments`; without a `language` the present child's will do.

        Raises ReaderError; the next request is served all the same.
        """
        line = quoted(["graphv", "-", *arguments])
        asked = time.monotonic()
        with self._turn:
            if time.monotonic() < self._resting_until or self._timed_out > asked:
                raise ReaderError("rrdtool did not answer in time, again and again; it is asked anew soon")
            try:
                drawing = self._ask_twice(line, language or self._language)
            except ReaderError as error:
                self._failed(error)
                raise
            self.fault, self._timeouts = None, 0
            return drawing

    def _ask_twice(self, line: str, language: str) -> Drawing:
        """Ask the child; where it has ended, of whatever, a new one."""
        try:
            return self._ask(line, language)
        except GoneReaderError:
            self._end()
            return self._ask(line, language)

    def _ask(self, line: str, language: str) -> Drawing:
        try:
            child = self._ready(language)
            with self._gate:
                return _Answer(child, time.monotonic() + self._timeout_seconds).to(line)
        except BrokenPipeError as error:
            raise GoneReaderError("rrdtool ended before it was asked") from error
        except OSError as error:
            if isinstance(error, ReaderError):
                raise
            raise ReaderError(f"rrdtool cannot be run: {error}") from error

    def _ready(self, language: str) -> subprocess.Popen[bytes]:
        """A child that lives, is not worn out and speaks `language`."""
        worn = self._requests >= RECYCLE_REQUESTS or language != self._language
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
            self._language = language
        self._requests += 1
        return self._child

    def _failed(self, error: Exception) -> None:
        if self.fault is None:
            log.error("a picture could not be made, counting goes on: %s", error)
        self.fault = str(error)
        self._timeouts = self._timeouts + 1 if isinstance(error, SlowReaderError) else 0
        self._timed_out = time.monotonic() if self._timeouts else self._timed_out
        if self._timeouts >= PATIENCE_TIMEOUTS:
            self._resting_until = time.monotonic() + REST_SECONDS
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

    def abort(self) -> None:
        """Kill the child in the middle of its work, without waiting for anything; whoever asked gets a ReaderError."""
        child = self._child
        if child:
            child.kill()

    def close(self) -> None:
        """End the child."""
        self.abort()
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
            raise GoneReaderError("rrdtool ended in the middle of an answer")
        self._buffer += chunk

    def _wait_for(self, writing: bool) -> None:
        left = max(0.0, self._deadline - time.monotonic())
        readable, writable, _ = select.select(
            [] if writing else [self._output], [self._input] if writing else [], [], left
        )
        if not readable and not writable:
            raise SlowReaderError("rrdtool did not answer in time and was replaced")
