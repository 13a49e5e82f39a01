"""A named thread that sleeps on an event and does one `turn()` per wake."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Worker(threading.Thread):
    """Calls `turn()` every `wake_seconds`, or at once after `wake()`, until `stop()`.

    An exception that leaves `turn()` ends the thread; `on_death(name, exception)` then hears of it, so that
    the process can go down instead of looking alive and doing nothing.
    """

    def __init__(self, name: str, wake_seconds: float, on_death: Callable[[str, BaseException], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.wake_seconds = wake_seconds
        self.stopping = threading.Event()
        self._woken = threading.Event()
        self._on_death = on_death

    def turn(self) -> None:
        """One piece of work; overridden."""
        raise NotImplementedError

    def last_turn(self) -> None:
        """What is to be done after `stop()`, still in the thread; may be overridden."""

    def run(self) -> None:
        """The thread itself."""
        try:
            while not self.stopping.is_set():
                self.turn()
                self._woken.wait(self.wake_seconds)
                self._woken.clear()
            self.last_turn()
        except BaseException as death:
            self._on_death(self.name, death)

    def wake(self) -> None:
        """Let the next turn begin now."""
        self._woken.set()

    def stop_soon(self) -> None:
        """End the thread after its present turn, without waiting; may be called in a signal handler."""
        self.stopping.set()
        self.wake()

    def stop(self) -> None:
        """End the thread and wait for it; safe to call twice, or before the start."""
        self.stop_soon()
        if self.is_alive() and self is not threading.current_thread():
            self.join()
