"""The worker: real threads that are told apart by events, never by sleeping."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from powerpi.worker import Worker

LONG = 600.0  # seconds: a test that had to wait for it would fail long before
PATIENCE = 5.0  # seconds that a loaded machine may take for what is done at once


class Diary(Worker):
    """Notes what it does; `turned` is released once for every turn."""

    def __init__(self, wake_seconds: float = LONG) -> None:
        self.notes: list[str] = []
        self.deaths: list[tuple[str, BaseException]] = []
        self.turned = threading.Semaphore(0)
        super().__init__("diary", wake_seconds, lambda name, death: self.deaths.append((name, death)))

    def turn(self) -> None:
        self.notes.append("turn")
        self.turned.release()

    def last_turn(self) -> None:
        self.notes.append("last turn")


@pytest.fixture
def diary() -> Iterator[Diary]:
    made = Diary()
    yield made
    made.stop()


def took_turns(diary: Diary, number: int) -> bool:
    return all(diary.turned.acquire(timeout=PATIENCE) for _ in range(number))


def test_first_turn_comes_at_once_and_the_next_not_before_its_time(diary: Diary) -> None:
    diary.start()
    assert took_turns(diary, 1)
    diary.stop()
    assert diary.notes == ["turn", "last turn"]


def test_turns_come_every_wake_seconds() -> None:
    diary = Diary(wake_seconds=0.001)
    diary.start()
    assert took_turns(diary, 5)
    diary.stop()


def test_wake_brings_the_next_turn_at_once(diary: Diary) -> None:
    diary.start()
    assert took_turns(diary, 1)
    diary.wake()
    assert took_turns(diary, 1)


def test_one_wake_brings_one_turn(diary: Diary) -> None:
    diary.start()
    assert took_turns(diary, 1)
    diary.wake()
    assert took_turns(diary, 1)
    assert not diary.turned.acquire(timeout=0.05)


def test_a_wake_during_a_turn_is_not_lost() -> None:
    class Busy(Diary):
        def turn(self) -> None:
            super().turn()
            if len(self.notes) == 1:
                self.wake()

    busy = Busy()
    busy.start()
    assert took_turns(busy, 2)
    busy.stop()


def test_stop_waits_for_the_last_turn(diary: Diary) -> None:
    diary.start()
    diary.stop()
    assert not diary.is_alive()
    assert diary.notes[-1] == "last turn"
    assert diary.deaths == []


def test_stop_is_safe_twice_and_before_the_start(diary: Diary) -> None:
    diary.stop()
    diary.start()
    diary.join(PATIENCE)
    diary.stop()
    diary.stop()
    assert diary.notes == ["last turn"]


def test_stop_may_be_called_by_the_thread_itself() -> None:
    class Weary(Diary):
        def turn(self) -> None:
            super().turn()
            self.stop()

    weary = Weary()
    weary.start()
    weary.join(PATIENCE)
    assert weary.notes == ["turn", "last turn"]


def test_stop_soon_does_not_wait() -> None:
    leave = threading.Event()

    class Slow(Diary):
        def turn(self) -> None:
            super().turn()
            leave.wait(PATIENCE)

    slow = Slow()
    slow.start()
    assert took_turns(slow, 1)
    slow.stop_soon()
    assert slow.is_alive()
    leave.set()
    slow.join(PATIENCE)
    assert slow.notes == ["turn", "last turn"]


@pytest.mark.parametrize("where", ["turn", "last_turn"])
def test_death_is_told_with_name_and_reason(where: str) -> None:
    def die() -> None:
        raise ZeroDivisionError("of a kind that nobody expects")

    diary = Diary()
    setattr(diary, where, die)
    diary.start()
    diary.stop()
    [(name, death)] = diary.deaths
    assert name == "diary"
    assert isinstance(death, ZeroDivisionError)


def test_a_dead_turn_is_not_followed_by_a_last_one(diary: Diary) -> None:
    diary.turn = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    diary.start()
    diary.join(PATIENCE)
    assert diary.notes == []


def test_the_thread_bears_its_name_and_holds_up_no_exit(diary: Diary) -> None:
    assert (diary.name, diary.daemon) == ("diary", True)


def test_a_worker_without_work_says_so() -> None:
    with pytest.raises(NotImplementedError):
        Worker("idle", LONG, print).turn()
