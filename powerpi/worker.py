"""A named thread that sleeps on an event and does one `turn()` per wake."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Worker(threading.Thread):
    """Calls `turn()` every `wake_seconds`, or at once after `wake()`, until `stop()`.

    An exception that leaves `turn()` ends the thread; `on_death(name, exception)` then hears of it, so that
    the process can go down instead of looking alive and doing nothing.
    """

    def __init__(
        self, name: str, wake_seconds: float, on_death: Callable[[str, BaseException], None]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.wake_seconds = wake_seconds
        self.stopping = threading.Event()
        self._woken = threading.Event()
        self._on_death = on_death

    def turn(self) -> None:
        """One piece of work; overridden."""
        raise NotImplementedError

    def run(self) -> None:
        """The thread itself."""
        try:
            while not self.stopping.is_set():
                self.turn()
                self._woken.wait(self.wake_seconds)
                self._woken.clear()
        except BaseException as death:
            self._on_death(self.name, death)

    def wake(self) -> None:
        """Let the next turn begin now."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread after its present turn and wait for it; safe to call twice, or before the start."""
        self.stopping.set()
        self.wake()
        if self.is_alive() and self is not threading.current_thread():
            self.join()
