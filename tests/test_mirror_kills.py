"""kill -9 of the mirror and of the one who sends, at any moment of a catch-up: afterwards both ends are equal.

Run as a program it is the nursery of the processes that are killed: one line of JSON for each life on standard input, a
line of words for each message that was answered on standard output.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest
from conftest import START, HandClock
from pair import Mirroring, Pi, assert_equal_ends

from powerpi import digests
from powerpi.errors import PeerError
from powerpi.pulses import STEP_SECONDS

HERE = Path(__file__).parent
SEED = int(os.environ.get("KILLS_SEED", Random().randrange(1 << 32)))
KILLS = 10
ROWS = 30_000
NOT_ANSWERED = -1
AHEAD_SECONDS = 400 * 86400  # of the mirror's clock before the first row


# ---------------------------------------------------------------- the lives


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def short_messages(pi: Pi) -> Pi:
    """Let it send an hour or so at once: there is more to be killed in."""
    for _ in range(8):
        pi.twin.slow()
    return pi


def receive(folder: str, port: int) -> None:
    """Be a mirror for ever."""
    clock = HandClock()
    clock.ahead += AHEAD_SECONDS
    with Mirroring(Path(folder), clock).serving(port) as mirroring:
        say("serving", mirroring.port)
        threading.Event().wait()


def send(folder: str, port: int) -> None:
    """Catch up, and say what is still missing after every message."""
    pi = short_messages(Pi(Path(folder), f"http://127.0.0.1:{port}"))
    for progress in pi.twin.catch_up(pi.state):
        say("behind", progress.behind_rows)


def live(what: str, folder: str, port: int) -> None:
    try:
        {"receive": receive, "send": send}[what](folder, port)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def main() -> None:
    """Bear one child for each line, and bury it."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            live(**json.loads(line))
        say("born", child)
        say("died", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


# ---------------------------------------------------------------- the kills


class Nursery:
    """Processes to kill, one at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, what: str, folder: Path, port: int, until: str) -> tuple[int, str]:
        """Begin a life; its process, and what it says after the word that is waited for, or its end."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"what": what, "folder": str(folder), "port": port}) + "\n")
        self.process.stdin.flush()
        child = int(self.heard("born"))
        return child, self.heard(until, "died")

    def heard(self, *words: str) -> str:
        """What follows one of these words."""
        assert self.process.stdout
        while True:
            word, _, rest = self.process.stdout.readline().strip().partition(" ")
            assert word, "the nursery ended"
            if word in words:
                return rest

    def kill(self, child: int) -> bool:
        """Whether it was the kill that ended it: on a quick machine it may have come to its end before."""
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        return int(self.heard("died")) == -signal.SIGKILL


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    assert nursery.process.stdin
    nursery.process.stdin.close()
    nursery.process.kill()
    nursery.process.wait(10)


@contextmanager
def mirror(folder: Path) -> Iterator[Mirroring]:
    clock = HandClock()
    clock.ahead += AHEAD_SECONDS
    with Mirroring(folder, clock).serving() as mirroring:
        yield mirroring


def assert_beginning(pi: Pi, mirroring: Mirroring) -> int:
    """The mirror holds the Pi's rows up to its own newest, and nothing else; how many."""
    newest = mirroring.meter().ledger.newest()
    if newest is None:
        return 0
    for unit in digests.units(STEP_SECONDS, START, newest.time):
        assert mirroring.meter().ledger.rows(unit).tobytes() == pi.ledger.rows(unit).tobytes(), unit
    return (newest.time - START) // STEP_SECONDS


def test_10_kills_of_the_one_who_sends(tmp_path: Path, nursery: Nursery) -> None:
    random = Random(SEED)
    print(f"KILLS_SEED={SEED}")
    with mirror(tmp_path / "mirror") as mirroring:
        pi = Pi(tmp_path / "pi", mirroring.url)
        pi.write(ROWS - 10_000, seed=SEED)
        there = kills = 0
        for life in range(3 * KILLS):
            pi.write(10_000, seed=SEED + life)
            child, behind = nursery.begin("send", tmp_path / "pi", mirroring.port, "behind")
            time.sleep(random.uniform(0, 0.06))
            kills += nursery.kill(child) and int(behind) > 0
            now = assert_beginning(pi, mirroring)
            assert now >= there
            there = now
            if kills == KILLS:
                break
        assert kills == KILLS
        pi.push()
        assert_equal_ends(pi, mirroring.meter())
        assert pi.twin.verify(fresh=True)[1:] == (0, 0, 0, 0)
        print(f"{kills} of {life + 1} kills in the middle; {there} rows were there after the last one")


def send_until_killed(pi: Pi, child: int, seconds: float) -> int:
    """Send to a mirror that is killed so many seconds after its first answer; rows behind after its last one."""
    behind = NOT_ANSWERED
    timer = threading.Timer(seconds, lambda: os.kill(child, signal.SIGKILL))
    with suppress(PeerError):
        for progress in short_messages(pi).twin.catch_up(pi.state):
            if behind == NOT_ANSWERED:
                timer.start()
            behind = progress.behind_rows
    timer.join()
    return behind


def test_10_kills_of_the_mirror(tmp_path: Path, nursery: Nursery) -> None:
    random = Random(SEED)
    print(f"KILLS_SEED={SEED}")
    pi, kills = Pi(tmp_path / "pi", "http://127.0.0.1:1"), 0
    pi.write(ROWS - 10_000, seed=SEED)
    for life in range(3 * KILLS):
        pi.write(10_000, seed=SEED + life)
        child, port = nursery.begin("receive", tmp_path / "mirror", 0, "serving")
        pi.connect(f"http://127.0.0.1:{port}")
        behind = send_until_killed(pi, child, random.uniform(0, 0.06))
        assert int(nursery.heard("died")) == -signal.SIGKILL
        newest = pi.ledger.newest()
        assert newest
        rows = (newest.time - START) // STEP_SECONDS
        with mirror(tmp_path / "mirror") as mirroring:
            assert assert_beginning(pi, mirroring) >= rows - behind
        assert list((tmp_path / "mirror").glob("*damaged*")) == []
        kills += behind > 0  # in the middle of it
        if kills == KILLS:
            break
    with mirror(tmp_path / "mirror") as mirroring:
        pi.connect(mirroring.url)
        pi.push()
        assert_equal_ends(pi, mirroring.meter())
        assert pi.twin.verify(fresh=True)[1:] == (0, 0, 0, 0)
    print(f"{kills} of {life + 1} kills in the middle; {behind} of {rows} rows were not acknowledged at the last one")
    assert kills == KILLS


if __name__ == "__main__":
    main()
