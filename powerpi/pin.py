"""A GPIO input that hands over every edge with its kernel time stamp; the only importer of gpiozero.

Out: `Edge`s (CLOCK_MONOTONIC seconds, contact closed or open). gpiozero's own thread appends them to a deque and
does nothing else; gpiozero's `bounce` stays unset, because at or above the pulse width it makes real pulses vanish.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from powerpi.errors import PinError
from powerpi.pulses import Edge

GPIO_GET_CHIPINFO = 0x8044B401  # <linux/gpio.h>: _IOR(0xB4, 0x01, struct gpiochip_info)
CHIP_INFO = "32s32sI"  # name, label, number of lines
PI_CHIP_LABELS = ("pinctrl-rp1", "pinctrl-bcm2835", "pinctrl-bcm2711")  # the 40-pin header's chip, Pi 5 first
SETTLE_SECONDS = 0.1  # a line claimed sooner after its chip was opened may stay deaf without an error (lgpio)


def chip_label(device: Path) -> str:
    """The label of a GPIO chip such as /dev/gpiochip0."""
    descriptor = os.open(device, os.O_RDONLY)
    try:
        answer = fcntl.ioctl(descriptor, GPIO_GET_CHIPINFO, bytes(struct.calcsize(CHIP_INFO)))
    finally:
        os.close(descriptor)
    label: bytes = struct.unpack(CHIP_INFO, answer)[1]
    return label.rstrip(b"\0").decode(errors="replace")


def header_chip(devices: Path = Path("/dev")) -> int:
    """The number of the chip behind the Pi's 40-pin header: it differs between kernels, the label does not."""
    numbers: dict[str, int] = {}
    refusals = []
    for device in sorted(devices.glob("gpiochip*")):
        try:
            numbers[chip_label(device)] = int(device.name.removeprefix("gpiochip"))
        except OSError as error:
            refusals.append(f"{device}: {error.strerror}")
    for label in PI_CHIP_LABELS:
        if label in numbers:
            return numbers[label]
    found = ", ".join([*numbers, *refusals]) or "none"
    raise PinError(
        f"no Raspberry Pi GPIO chip found (wanted {', '.join(PI_CHIP_LABELS)}; found: {found}); is this a Pi, and is"
        " the user in group gpio? Without one, try `powerpi demo`"
    )


def _lgpio_factory() -> Any:
    """gpiozero's lgpio factory; the import of lgpio makes a pipe in LG_WD and changes the working directory."""
    own = None if "LG_WD" in os.environ else tempfile.mkdtemp(prefix="powerpi-")
    folder = os.environ.setdefault("LG_WD", own or "")
    before = Path.cwd()
    try:
        from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415 (needs the lines above)
    except ImportError as error:
        raise PinError(
            f"gpiozero cannot use lgpio ({error}): on Raspberry Pi OS, apt-get install python3-lgpio;"
            " Debian has no such package"
        ) from error
    finally:
        os.chdir(before)
        if own:
            shutil.rmtree(folder, ignore_errors=True)  # lgpio holds its pipe open, nobody else needs the name
    return LGPIOFactory(chip=header_chip())


def open_factory() -> Any:
    """The machine's pin factory: lgpio, or what GPIOZERO_PIN_FACTORY names. Raises PinError."""
    name = os.environ.setdefault("GPIOZERO_PIN_FACTORY", "lgpio")
    if name == "lgpio":
        factory = _lgpio_factory()
        time.sleep(SETTLE_SECONDS)
        return factory
    from gpiozero import Device  # noqa: PLC0415 (as above)

    try:
        return Device().pin_factory  # the public way that gpiozero 1.6 and 2.0 share
    except Exception as error:  # each factory fails in its own way: ImportError, OSError, BadPinFactory, ...
        raise PinError(f"GPIOZERO_PIN_FACTORY is {name!r}, which cannot be used here: {error}") from error


def mock_factory() -> Any:
    """gpiozero's mock factory, for the demo: the pins of a Pi without a Pi."""
    from gpiozero.pins.mock import MockFactory  # noqa: PLC0415 (as above)

    return MockFactory()


class Pin:
    """One S0 contact between a GPIO and ground (`pull="up"`) or 3.3 V (`pull="down"`)."""

    def __init__(self, factory: Any, gpio: int, pull: str) -> None:
        self._edges: deque[tuple[float, bool]] = deque()
        self._closed_level = pull == "down"
        self._pin = self._claim(factory, gpio, pull)

    def _claim(self, factory: Any, gpio: int, pull: str) -> Any:
        from gpiozero.exc import GPIOZeroError  # noqa: PLC0415 (as above)

        try:
            pin = factory.pin(gpio)
            pin.function = "input"
            pin.pull = pull
            pin.edges = "both"
            pin.when_changed = self._append  # a weak reference: heard for as long as this object lives
        except (GPIOZeroError, OSError, ValueError) as error:
            raise PinError(f"GPIO{gpio} cannot be used as an input with pull {pull}: {error}") from error
        except Exception as error:  # lgpio.error derives from Exception alone
            raise PinError(f"GPIO{gpio} was refused: {error}") from error
        return pin

    def _append(self, ticks: float, state: int) -> None:
        self._edges.append((ticks, bool(state)))

    def closed(self) -> bool:
        """Whether the contact is closed now."""
        return bool(self._pin.state) == self._closed_level

    def drain(self) -> list[Edge]:
        """The edges since the last call, oldest first."""
        return [Edge(time, level == self._closed_level) for time, level in _popped(self._edges)]

    def close(self) -> None:
        """Stop listening; edges already taken stay for `drain`."""
        self._pin.when_changed = None


def _popped(edges: deque[tuple[float, bool]]) -> list[tuple[float, bool]]:
    """Empty a deque that another thread may append to meanwhile."""
    return [edges.popleft() for _ in range(len(edges))]
