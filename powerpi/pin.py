"""A GPIO input that hands over every edge with its kernel time stamp; the only importer of gpiozero.

Out: `Edge`s (CLOCK_MONOTONIC seconds, contact closed or open, edges lost before). A thread appends them to a deque and
does nothing else; gpiozero's `bounce` stays unset, because at or above the pulse width it makes real pulses vanish.
`KernelFactory` is a pin factory of our own for gpiozero: the usual one (lgpio) may start deaf, drops edges without a
word when its process is held up, and polls.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpiozero import Device
from gpiozero.exc import (
    GPIOZeroError,
    PinFixedPull,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPull,
)
from gpiozero.pins.local import LocalPiFactory, LocalPiPin

from powerpi.errors import PinError
from powerpi.lines import FLAGS_EDGES, FLAGS_PULL, Line, LineEvent, Listener, chip_label, request_line
from powerpi.pulses import Edge

log = logging.getLogger(__name__)

PI_CHIP_LABELS = ("pinctrl-rp1", "pinctrl-bcm2835", "pinctrl-bcm2711")  # the 40-pin header's chip, Pi 5 first
PULLED_UP = (2, 3)  # by 1.8 kOhm on the board of every Pi: the I2C bus
KERNEL = "powerpi"  # the name of our factory among gpiozero's


def header_chip(devices: Path = Path("/dev")) -> Path:
    """The chip behind the Pi's 40-pin header: its number differs between kernels, its label does not."""
    chips: dict[str, Path] = {}
    refusals = []
    for device in sorted(devices.glob("gpiochip*")):
        try:
            chips[chip_label(device)] = device
        except OSError as error:
            refusals.append(f"{device}: {error.strerror}")
    for label in PI_CHIP_LABELS:
        if label in chips:
            return chips[label]
    found = ", ".join([*chips, *refusals]) or "none"
    raise PinError(
        f"no Raspberry Pi GPIO chip found (wanted {', '.join(PI_CHIP_LABELS)}; found: {found}); is this a Pi, and is"
        " the user in group gpio? Without one, try `powerpi demo`"
    )


class KernelFactory(LocalPiFactory):  # type: ignore[misc]  # gpiozero is not typed
    """Pins of the header, read from the kernel itself; gpiozero knows it as GPIOZERO_PIN_FACTORY=powerpi."""

    def __init__(self, chip: Path | None = None) -> None:
        super().__init__()
        self.pins: dict[
            Any, Any
        ] = {}  # gpiozero's factories share theirs; here the kernel itself refuses a line that is in use
        self.pin_class = KernelPin
        self.chip = chip or header_chip()
        self.on_death: Callable[[str, BaseException], None] | None = None  # hears when no more edges are heard
        self.listener = Listener(self._died)

    def close(self) -> None:
        """End the thread, then give all lines back: none is read any more."""
        self.listener.stop()
        super().close()
        self.listener.close()

    def _died(self, name: str, death: BaseException) -> None:
        if self.on_death:
            self.on_death(name, death)
        else:
            log.critical("thread %s died, no more edges are heard: %r", name, death)


class KernelPin(LocalPiPin):  # type: ignore[misc]  # gpiozero is not typed
    """An input; gpiozero's public face is in its base class, which calls the methods below."""

    def __init__(self, factory: KernelFactory, place: Any) -> None:
        super().__init__(factory, place)
        self._pull = "floating"
        self._edges = "both"
        self._line: Line | None = None
        self.missed = 0  # edges that the kernel could not keep, so far

    def close(self) -> None:
        """Give the line back."""
        if self._line:
            self.factory.listener.ignore(self._line)
            self._line.close()
            self._line = None

    def _opened(self) -> Line:
        """The line, requested when it is needed for the first time: changing its pull later makes edges."""
        if not self._line:
            self._line = Line(request_line(self.factory.chip, self._number, self._pull, self._edges))
        return self._line

    def _hand_over(self, event: LineEvent) -> None:
        self.missed += event.missed
        self._call_when_changed(event.time, event.high)

    def _call_when_changed(self, ticks: float, state: bool) -> None:
        """gpiozero's own would call None where the handler is taken away in this moment, by another thread."""
        reference = self._when_changed
        handler = reference and reference()
        if handler:
            handler(ticks, state)

    def _enable_event_detect(self) -> None:
        self.factory.listener.listen(self._opened(), self._hand_over)
        if not self.factory.listener.is_alive():
            self.factory.listener.start()

    def _disable_event_detect(self) -> None:
        if self._line:
            self.factory.listener.ignore(self._line)

    def _reopen(self) -> None:
        """Request the line again with other settings."""
        if self._line:
            heard = self._when_changed is not None
            self.close()
            if heard:
                self._enable_event_detect()

    def _get_function(self) -> str:
        return "input"

    def _set_function(self, value: str) -> None:
        if value != "input":
            raise PinInvalidFunction(f"{self!r} can be an input only, not {value!r}")

    def _get_state(self) -> bool:
        return self._opened().high()

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if value not in FLAGS_PULL:
            raise PinInvalidPull(f"pull of {self!r} can be one of {', '.join(FLAGS_PULL)}, not {value!r}")
        if self._number in PULLED_UP and value != "up":
            raise PinFixedPull(f"{self!r} has a physical pull-up resistor")
        self._pull = value
        self._reopen()

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        if value not in FLAGS_EDGES:
            raise PinInvalidEdges(f"edges of {self!r} can be one of {', '.join(FLAGS_EDGES)}, not {value!r}")
        self._edges = value
        self._reopen()

    def _get_bounce(self) -> None:
        return None

    def _set_bounce(self, value: float | None) -> None:
        if value is not None:
            raise PinInvalidBounce(f"{self!r} hands over every edge; bounce cannot be {value!r}")


def open_factory() -> Any:
    """The machine's pin factory: our own, or what GPIOZERO_PIN_FACTORY names. Raises PinError."""
    name = os.environ.get("GPIOZERO_PIN_FACTORY", KERNEL)
    try:
        # the second is the public way to gpiozero's own that 1.6 and 2.0 share
        return KernelFactory() if name == KERNEL else Device().pin_factory
    except PinError:
        raise
    except Exception as error:  # each factory fails in its own way: ImportError, OSError, BadPinFactory, ...
        raise PinError(f"GPIOZERO_PIN_FACTORY is {name!r}, which cannot be used here: {error}") from error


def watch(factory: Any, on_death: Callable[[str, BaseException], None]) -> None:
    """Let `on_death(name, exception)` hear when the thread that hands over edges ends, where the factory can tell."""
    if isinstance(factory, KernelFactory):
        factory.on_death = on_death


def mock_factory() -> Any:
    """gpiozero's mock factory, for the demo: the pins of a Pi without a Pi."""
    from gpiozero.pins.mock import MockFactory  # noqa: PLC0415 (8 MB that nothing else needs)

    return MockFactory()


class Pin:
    """One S0 contact between a GPIO and ground (`pull="up"`) or 3.3 V (`pull="down"`)."""

    def __init__(self, factory: Any, gpio: int, pull: str) -> None:
        self._edges: deque[tuple[float, bool, int]] = deque()  # ticks, level, edges lost up to then
        self._missed = 0  # of those handed over
        self._closed_level = pull == "down"
        self._claim(factory, gpio, pull)

    def _claim(self, factory: Any, gpio: int, pull: str) -> None:
        try:
            self._pin = pin = factory.pin(gpio)
            pin.function = "input"
            pin.pull = pull
            pin.edges = "both"
            pin.when_changed = self._append  # a weak reference: heard for as long as this object lives
        except (GPIOZeroError, OSError, ValueError) as error:
            raise PinError(f"GPIO{gpio} cannot be used as an input with pull {pull}: {error}") from error
        except Exception as error:  # lgpio.error derives from Exception alone
            raise PinError(f"GPIO{gpio} was refused: {error}") from error

    def _append(self, ticks: float, state: int) -> None:
        self._edges.append((ticks, bool(state), getattr(self._pin, "missed", 0)))

    def closed(self) -> bool:
        """Whether the contact is closed now."""
        return bool(self._pin.state) == self._closed_level

    def drain(self) -> list[Edge]:
        """The edges since the last call, oldest first."""
        return [self._edge(*self._edges.popleft()) for _ in range(len(self._edges))]

    def _edge(self, ticks: float, level: bool, missed: int) -> Edge:
        before, self._missed = self._missed, missed
        return Edge(ticks, level == self._closed_level, missed - before)

    def close(self) -> None:
        """Stop listening; edges already taken stay for `drain`."""
        self._pin.when_changed = None
