"""The pin: gpiozero's mock pins driven by hand, and folders that hold no GPIO chip."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from conftest import ClockedFactory, HandClock, PipeChip

from powerpi.errors import PinError
from powerpi.lines import LineEvent, chip_label
from powerpi.pin import PI_CHIP_LABELS, KernelFactory, KernelPin, Pin, header_chip, mock_factory, open_factory, watch
from powerpi.pulses import Edge

GPIO = 24


@pytest.fixture
def factory(clock: HandClock) -> ClockedFactory:
    return ClockedFactory(clock)


Take = Callable[[str], "tuple[Pin, Any]"]


@pytest.fixture
def take(factory: ClockedFactory) -> Take:
    """A pin of ours with a pull, and the mock pin below it."""

    def make(pull: str) -> tuple[Pin, Any]:
        return Pin(factory, GPIO, pull), factory.pin(GPIO)

    return make


# ---------------------------------------------------------------- edges


def test_both_edges_come_with_the_time_at_which_they_happened(take: Take, clock: HandClock) -> None:
    pin, contact = take("up")
    contact.drive_low()
    clock.now += 0.030
    contact.drive_high()
    clock.now += 99
    assert pin.drain() == [Edge(1000.0, True), Edge(1000.030, False)]


def test_with_pull_down_a_high_level_is_a_closed_contact(take: Take, clock: HandClock) -> None:
    pin, contact = take("down")
    contact.drive_high()
    clock.now += 0.030
    contact.drive_low()
    assert pin.drain() == [Edge(1000.0, True), Edge(1000.030, False)]


@pytest.mark.parametrize(
    ("pull", "close", "open_"), [("up", "drive_low", "drive_high"), ("down", "drive_high", "drive_low")]
)
def test_closed_tells_the_contact_and_not_the_level(take: Take, pull: str, close: str, open_: str) -> None:
    pin, contact = take(pull)
    assert not pin.closed()
    getattr(contact, close)()
    assert pin.closed()
    getattr(contact, open_)()
    assert not pin.closed()


def test_drain_empties(take: Take) -> None:
    pin, contact = take("up")
    contact.drive_low()
    assert len(pin.drain()) == 1
    assert pin.drain() == []


def test_no_edge_is_made_by_the_claiming_itself(take: Take) -> None:
    for pull in ("up", "down"):
        assert take(pull)[0].drain() == []


def test_a_chattering_contact_is_handed_over_as_it_is(take: Take) -> None:
    pin, contact = take("up")
    for _ in range(50):
        contact.drive_low()
        contact.drive_high()
    assert len(pin.drain()) == 100


def test_gpiozero_filters_nothing_and_watches_both_edges(take: Take) -> None:
    _, contact = take("up")
    assert contact.bounce is None
    assert contact.edges == "both"
    assert contact.function == "input"
    assert contact.pull == "up"


def test_edges_arrive_although_gpiozero_keeps_only_a_weak_reference(take: Take) -> None:
    pin, contact = take("up")
    gc.collect()
    contact.drive_low()
    assert len(pin.drain()) == 1


def test_two_pins_keep_their_edges_apart(factory: ClockedFactory) -> None:
    house, pump = Pin(factory, 24, "up"), Pin(factory, 23, "up")
    factory.pin(23).drive_low()
    assert house.drain() == []
    assert len(pump.drain()) == 1


def test_close_stops_listening_and_keeps_what_was_heard(take: Take) -> None:
    pin, contact = take("up")
    contact.drive_low()
    pin.close()
    contact.drive_high()
    assert [edge.closed for edge in pin.drain()] == [True]


# ---------------------------------------------------------------- pins that cannot be used


def test_a_pin_with_a_resistor_of_its_own_refuses_pull_down(factory: ClockedFactory) -> None:
    with pytest.raises(PinError, match=r"GPIO2 cannot be used as an input with pull down: .*(physical|fixed) pull"):
        Pin(factory, 2, "down")


def test_a_pin_that_the_board_does_not_have_is_refused(factory: ClockedFactory) -> None:
    with pytest.raises(PinError, match="GPIO99 cannot be used"):
        Pin(factory, 99, "up")


def test_whatever_a_factory_raises_is_told_with_the_pin() -> None:
    class LibraryError(Exception):
        """Derives from Exception alone, like lgpio.error."""

    class Refusing:
        def pin(self, gpio: int) -> Any:
            raise LibraryError(f"line {gpio} is busy")

    with pytest.raises(PinError, match="GPIO24 was refused: line 24 is busy"):
        Pin(Refusing(), GPIO, "up")


# ---------------------------------------------------------------- chips


def test_a_folder_without_chips_says_what_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(PinError, match=r"wanted pinctrl-rp1, .*; found: none\); is this a Pi"):
        header_chip(tmp_path)


def test_files_that_are_no_chips_are_told_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").symlink_to("/dev/null")
    (tmp_path / "gpiochip1").symlink_to("/dev/missing")
    with pytest.raises(PinError, match=r"gpiochip0: Inappropriate ioctl .*gpiochip1: No such file"):
        header_chip(tmp_path)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_chip_label_leaves_no_descriptor_open() -> None:
    before = open_descriptors()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        chip_label(Path("/dev/null"))
    assert open_descriptors() == before


def test_a_machines_own_chips_tell_their_labels() -> None:
    chips = sorted(Path("/dev").glob("gpiochip*"))
    if not chips or not os.access(chips[0], os.R_OK):
        pytest.skip("this machine has no GPIO chip that this user may read")
    assert all(chip_label(chip).isprintable() for chip in chips)
    if any(chip_label(chip) in PI_CHIP_LABELS for chip in chips):
        assert chip_label(header_chip()) in PI_CHIP_LABELS


# ---------------------------------------------------------------- factories


@pytest.fixture
def fresh_gpiozero(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """gpiozero as in a new process: it keeps the first factory it has made."""
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    return monkeypatch


def test_the_named_factory_is_opened(fresh_gpiozero: pytest.MonkeyPatch) -> None:
    fresh_gpiozero.setenv("GPIOZERO_PIN_FACTORY", "mock")
    pin = Pin(open_factory(), GPIO, "up")
    assert not pin.closed()


def test_an_unknown_factory_is_told_by_its_name(fresh_gpiozero: pytest.MonkeyPatch) -> None:
    fresh_gpiozero.setenv("GPIOZERO_PIN_FACTORY", "telepathy")
    with pytest.raises(PinError, match="GPIOZERO_PIN_FACTORY is 'telepathy'"):
        open_factory()


def test_a_factory_whose_library_is_missing_is_told_by_its_name(fresh_gpiozero: pytest.MonkeyPatch) -> None:
    fresh_gpiozero.setitem(sys.modules, "RPi", None)
    fresh_gpiozero.setenv("GPIOZERO_PIN_FACTORY", "rpigpio")
    with pytest.raises(PinError, match=r"GPIOZERO_PIN_FACTORY is 'rpigpio'.*RPi"):
        open_factory()


def test_without_a_chip_the_usual_factory_says_what_was_wanted(fresh_gpiozero: pytest.MonkeyPatch) -> None:
    if list(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has a GPIO chip")
    fresh_gpiozero.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    with pytest.raises(PinError, match="no Raspberry Pi GPIO chip found"):
        open_factory()


def test_the_demos_factory_needs_no_pi() -> None:
    assert Pin(mock_factory(), GPIO, "up").drain() == []


# ---------------------------------------------------------------- our own factory, on a pipe in the place of a chip


@pytest.fixture
def kernel(chip: PipeChip) -> Iterator[KernelFactory]:
    factory = KernelFactory(Path("/dev/gpiochip0"))
    yield factory
    factory.close()


def drained(pin: Pin, count: int) -> list[Edge]:
    """That many edges, waited for: they come from another thread."""
    edges: list[Edge] = []
    deadline = time.monotonic() + 10
    while len(edges) < count:
        assert time.monotonic() < deadline, edges
        edges += pin.drain()
    return edges


def test_a_line_is_requested_once_with_pull_and_both_edges(kernel: KernelFactory, chip: PipeChip) -> None:
    Pin(kernel, GPIO, "up")
    assert chip.requests == [(Path("/dev/gpiochip0"), GPIO, "up", "both")]


def test_edges_come_with_the_kernels_time_and_what_it_lost(kernel: KernelFactory, chip: PipeChip) -> None:
    pin = Pin(kernel, GPIO, "up")
    chip.edge(1.0, high=False)
    chip.edge(1.03, high=True)
    chip.edge(2.0, high=False, lost=2)
    chip.edge(2.03, high=True)
    assert drained(pin, 4) == [Edge(1.0, True, 0), Edge(1.03, False, 0), Edge(2.0, True, 2), Edge(2.03, False, 0)]


def test_a_pin_that_is_closed_hears_nothing_more_and_keeps_what_it_heard(kernel: KernelFactory, chip: PipeChip) -> None:
    pin = Pin(kernel, GPIO, "up")
    chip.edge(1.0, high=False)
    edges = drained(pin, 1)
    pin.close()
    chip.edge(1.03, high=True)
    kernel.listener.stop()
    assert [*edges, *pin.drain()] == [Edge(1.0, True, 0)]


def test_a_dead_edge_thread_is_told(kernel: KernelFactory, chip: PipeChip) -> None:
    deaths: list[str] = []
    died = threading.Event()
    watch(kernel, lambda name, death: (deaths.append(f"{name}: {death}"), died.set()))
    pin = Pin(kernel, GPIO, "up")
    pin._edges = None  # type: ignore[assignment]  # the fault: nothing can be appended
    chip.edge(1.0, high=False)
    assert died.wait(10)
    assert deaths == ["edges: 'NoneType' object has no attribute 'append'"]


def test_taking_the_handler_away_in_the_middle_of_an_edge_is_no_fault(kernel: KernelFactory, chip: PipeChip) -> None:
    pin = Pin(kernel, GPIO, "up")
    lower: KernelPin = kernel.pin(GPIO)
    pin.close()
    lower._hand_over(LineEvent(1.0, False, 0))  # it was read before
    assert pin.drain() == []


def test_other_factories_cannot_be_watched_and_need_not(factory: ClockedFactory) -> None:
    watch(factory, lambda *_: None)


@pytest.mark.parametrize(
    ("what", "value", "said"),
    [
        ("function", "output", "can be an input only, not 'output'"),
        ("pull", "sideways", "pull of GPIO24 can be one of up, down, floating, not 'sideways'"),
        ("edges", "round", "edges of GPIO24 can be one of rising, falling, both, not 'round'"),
        ("bounce", 0.03, "hands over every edge; bounce cannot be 0.03"),
    ],
)
def test_what_an_input_cannot_be_is_refused(kernel: KernelFactory, what: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        setattr(kernel.pin(GPIO), what, value)


def test_a_changed_pull_requests_the_line_again_and_goes_on_listening(kernel: KernelFactory, chip: PipeChip) -> None:
    pin = Pin(kernel, GPIO, "up")
    lower: KernelPin = kernel.pin(GPIO)
    lower.pull = "floating"
    assert [request[2] for request in chip.requests] == ["up", "floating"]
    chip.edge(5.0, high=False)
    assert [edge.time for edge in drained(pin, 1)] == [5.0]


def test_gpio_2_and_3_are_pulled_up_on_the_board(kernel: KernelFactory) -> None:
    with pytest.raises(PinError, match=r"GPIO2 cannot be used as an input with pull down: .*physical pull-up"):
        Pin(kernel, 2, "down")
