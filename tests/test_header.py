"""The 40-pin header, compared with the table of gpiozero, which others have typed."""

from __future__ import annotations

import pytest
from gpiozero.pins.mock import MockFactory

from powerpi.header import FORBIDDEN, GROUND, PLACES, ROWS, SUPPLY, SUPPLY_PLACE, ground_for, is_outer, place_of, row_of


def test_gpio_of_the_sample_is_pin_18() -> None:
    assert place_of(24) == 18
    assert (place_of(2), place_of(17), place_of(21)) == (3, 11, 40)


def test_table_is_that_of_gpiozero() -> None:
    factory = MockFactory()  # of a Pi 3B
    board = factory.board_info if hasattr(factory, "board_info") else factory.pi_info  # gpiozero 2 and 1.6
    pins = board.headers["J8"].pins.values()
    header = {pin.number: pin.name if hasattr(pin, "name") else pin.function for pin in pins}
    assert header == dict(enumerate(PLACES, 1))


def test_every_gpio_that_can_be_configured_has_one_place() -> None:
    assert sorted(place_of(gpio) for gpio in range(28)) == [
        place for place, name in enumerate(PLACES, 1) if name.startswith("GPIO")
    ]
    with pytest.raises(ValueError, match="GPIO28"):
        place_of(28)


@pytest.mark.parametrize(("place", "ground"), [(18, 20), (11, 14), (7, 9), (3, 6), (37, 39), (40, 39), (13, 14)])
def test_ground_is_in_the_same_row_or_the_next_one_that_has_one(place: int, ground: int) -> None:
    assert ground_for(place) == ground


@pytest.mark.parametrize("gpio", range(28))
def test_every_gpio_finds_a_ground_not_above_it(gpio: int) -> None:
    ground = ground_for(place_of(gpio))
    assert PLACES[ground - 1] == GROUND
    assert row_of(ground) >= row_of(place_of(gpio))


def test_rows_are_counted_from_pin_1_and_even_pins_are_at_the_edge() -> None:
    assert [row_of(place) for place in (1, 2, 3, 18, 40)] == [0, 0, 1, 8, ROWS - 1]
    assert [place for place in range(1, 7) if is_outer(place)] == [2, 4, 6]


def test_supply_is_what_a_gpio_stands() -> None:
    assert PLACES[SUPPLY_PLACE - 1] == SUPPLY
    assert [place for place, name in enumerate(PLACES, 1) if name == FORBIDDEN] == [2, 4]
