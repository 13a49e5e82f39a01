"""The door: how a command on this machine talks to the PowerPi that runs; a Unix socket `door` in the state folder.

Whoever may write in the state folder may come in, nobody else. A request is one line of JSON, `{"ask": NAME, ...}`, its
answer another one: `{"answer": ...}` or `{"refusal": SENTENCE}`. One request a connection, one connection at a time.
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from powerpi.errors import NobodyError, PowerPiError, RefusedError
from powerpi.worker import Worker

log = logging.getLogger(__name__)

NAME = "door"
MOST_BYTES = 1 << 16  # of a request
PIECE_BYTES = 1 << 16
REQUEST_SECONDS = 2.0  # for a request to come, and for its answer to be taken
ANSWER_SECONDS = 60.0  # what is asked for may have to wait for the disk
LEAST_SECONDS = 0.01  # to wait for a piece; 0 would mean not to wait
LOOK_SECONDS = 60.0  # how often the door is looked after: its folder may have been made anew

Handler = Callable[[Mapping[str, Any]], Any]


class Door(Worker):
    """The thread that answers; `handlers` by what is asked. A handler raises PowerPiError or ValueError to refuse."""

    def __init__(
        self, folder: Path, handlers: Mapping[str, Handler], on_death: Callable[[str, BaseException], None]
    ) -> None:
        super().__init__("door", 0.0, on_death)
        self._folder = folder
        self._handlers = handlers
        self._listener: socket.socket | None = None
        self._said = ""
        self._rung, self._bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def turn(self) -> None:
        """Answer whoever is at the door; waits until somebody is."""
        self._look_after()
        waited_for = [self._rung] + ([self._listener.fileno()] if self._listener else [])
        came, _, _ = select.select(waited_for, [], [], LOOK_SECONDS)
        if self._rung in came:
            os.read(self._rung, MOST_BYTES)
        elif came and self._listener:
            with suppress(OSError):  # gone again, or too slow
                caller, _ = self._listener.accept()
                with closing(caller):
                    caller.sendall(self._answer(_line(caller, MOST_BYTES, REQUEST_SECONDS)))

    def last_turn(self) -> None:
        """Close the door."""
        self._close()
        with suppress(OSError), _short(self._folder) as path:
            path.unlink()

    def wake(self) -> None:
        """Let the next turn begin now; may be called in a signal handler."""
        with suppress(BlockingIOError):
            os.write(self._bell, b"!")
        super().wake()

    def _look_after(self) -> None:
        """Have the socket there; where it cannot be made the commands do without."""
        with suppress(OSError):
            if self._listener and (self._folder / NAME).is_socket():
                return
        self._close()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(self._folder) as path:
                with suppress(FileNotFoundError):  # left by a process that was killed; the folder is this one's alone
                    path.unlink()
                listener.bind(str(path))
                path.chmod(0o660)
            listener.listen()
        except OSError as error:
            listener.close()
            self._say(f"commands cannot talk to this PowerPi: {error}")
        else:
            self._listener = listener
            self._said = ""

    def _say(self, sentence: str) -> None:
        """Log a change of state, once."""
        if sentence != self._said:
            log.warning(sentence)
        self._said = sentence

    def _close(self) -> None:
        if self._listener:
            self._listener.close()
        self._listener = None

    def _answer(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
            handler = self._handlers[request["ask"]]
        except (ValueError, LookupError, TypeError, RecursionError):
            return _encoded({"refusal": "this PowerPi does not know what is asked; is it of another version?"})
        try:
            return _encoded({"answer": handler(request)})
        except (PowerPiError, ValueError, LookupError, TypeError, ArithmeticError) as error:
            return _encoded({"refusal": str(error) or repr(error)})


def _encoded(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"  # in ASCII: whatever is quoted, it can be written


def _line(caller: socket.socket, most: int, seconds: float) -> bytes:
    """What comes within so many seconds, up to the end of the line or of the connection. Raises OSError."""
    until = time.monotonic() + seconds
    parts, length = [], 0
    while length <= most:
        caller.settimeout(max(LEAST_SECONDS, until - time.monotonic()))
        part = caller.recv(PIECE_BYTES)  # a buffer of that size is made, whatever comes
        parts.append(part)
        length += len(part)
        if not part or part.endswith(b"\n"):
            break
        if time.monotonic() > until:
            raise TimeoutError("no end of the line came in time")
    return b"".join(parts)


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """The socket's path by way of the folder's descriptor: a longer one than 107 bytes cannot be bound. OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}/{NAME}")
    finally:
        os.close(descriptor)


def ask(folder: Path, what: str, **details: Any) -> Any:
    """What the PowerPi that runs on this state folder answers.

    Raises NobodyError when none runs or it does not answer, RefusedError with its sentence when it will not.
    """
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    caller.settimeout(ANSWER_SECONDS)
    try:
        with closing(caller), _short(folder) as path:
            caller.connect(str(path))
            caller.sendall(_encoded({"ask": what, **details}))
            answer = json.loads(_line(caller, 1 << 30, ANSWER_SECONDS))
    except PermissionError as error:
        raise NobodyError(f"{folder / NAME} may not be used by this user; try it with sudo") from error
    except (OSError, ValueError) as error:
        raise NobodyError(f"no PowerPi answers in {folder}: {error}") from error
    if "refusal" in answer:
        raise RefusedError(answer["refusal"])
    return answer["answer"]
