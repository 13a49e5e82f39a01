"""The 40 pins of a Pi's header: which GPIO is at which place, and where ground and 3.3 V are. Pure.

In: GPIO numbers, as the configuration names them. Out: places, 1 to 40, as they are counted on the board. The table is
that of the Raspberry Pi documentation ("GPIO and the 40-pin header"), the same for all models with 40 pins.
"""

from __future__ import annotations

GROUND = "GND"
SUPPLY = "3V3"
FORBIDDEN = "5V"  # what a GPIO does not survive
PLACES = (
    "3V3", "5V",
    "GPIO2", "5V",
    "GPIO3", "GND",
    "GPIO4", "GPIO14",
    "GND", "GPIO15",
    "GPIO17", "GPIO18",
    "GPIO27", "GND",
    "GPIO22", "GPIO23",
    "3V3", "GPIO24",
    "GPIO10", "GND",
    "GPIO9", "GPIO25",
    "GPIO11", "GPIO8",
    "GND", "GPIO7",
    "GPIO0", "GPIO1",
    "GPIO5", "GND",
    "GPIO6", "GPIO12",
    "GPIO13", "GND",
    "GPIO19", "GPIO16",
    "GPIO26", "GPIO20",
    "GND", "GPIO21",
)  # fmt: skip
ROWS = len(PLACES) // 2
SUPPLY_PLACE = 1  # there is another one at 17; this one is easy to find, in the corner


def place_of(gpio: int) -> int:
    """The place of a GPIO on the header. Raises ValueError for a GPIO that has none: the header has 0 to 27."""
    name = f"GPIO{gpio}"
    if name not in PLACES:
        raise ValueError(f"{name} is not on the header: wanted GPIO0 to GPIO27")
    return PLACES.index(name) + 1


def ground_for(place: int) -> int:
    """The place of the ground that is best wired together with `place`: the first one in its row or in those after."""
    first_of_row = (place - 1) // 2 * 2
    return PLACES.index(GROUND, first_of_row) + 1


def row_of(place: int) -> int:
    """The row of a place, 0 to 19, counted from the corner of pin 1."""
    return (place - 1) // 2


def is_outer(place: int) -> bool:
    """Whether a place is in the column at the edge of the board: the even ones are."""
    return place % 2 == 0
