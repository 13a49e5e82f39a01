"""The drawing of how a meter is wired to a Pi, as SVG without a word of any language: names of pins, signs, a legend.

In: GPIO, pull and meter constant, as configured. Out: SVG text, whole (`picture`, as in the README, with colours for
light and dark) or as a part of a page whose style sheet has the colours (`drawing`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol
from xml.sax.saxutils import escape

from powerpi.header import (
    FORBIDDEN,
    GROUND,
    PLACES,
    ROWS,
    SUPPLY,
    SUPPLY_PLACE,
    ground_for,
    is_outer,
    place_of,
    row_of,
)

WIDTH, HEIGHT = 360, 352
INNER_X, OUTER_X, EDGE_X = 74, 94, 108  # the two columns of pins, and the edge of the board
FIRST_Y, ROW_Y = 42.0, 14.5  # the first row of pins, and from row to row
RAIL_Y = 24.0  # how the wire of 3.3 V goes round the first row
LABEL_X = 116
RESISTOR_X = 189  # where it begins
NODE_X = 226  # where the resistor meets the wire of the GPIO
LANES_X = (238, 246)  # where the wires of S0+ and S0- go up and down to the meter
METER_X, METER_WIDTH = 258, 98
FACE_Y, FOOT_Y = 96, 28  # how far the case goes beyond the terminals: with display and lamp, and without
MARGIN_Y = 6
SPREAD_Y = 22.0  # S0+ above, S0- below the pin
COLOURS = """\
.board,.case{fill:#fff;stroke:#8b949e}.pin{fill:#fff;stroke:#8b949e}.used,.node{fill:#1b1f27;stroke:#1b1f27}\
.never{stroke:#c2341d}.signal{stroke:#c06f00}.ground{stroke:#5b636e}.supply{stroke:#c2341d}.name{fill:#1b1f27}\
.small{fill:#5b636e}.lamp{fill:#c2341d}.part{fill:#fff;stroke:#5b636e}
@media (prefers-color-scheme:dark){.board,.case,.pin,.part{fill:#15181d}\
.used,.node{fill:#eceef1;stroke:#eceef1}.never,.supply{stroke:#f0715c}.signal{stroke:#f59e0b}.ground{stroke:#9ba4af}\
.name{fill:#eceef1}.small{fill:#9ba4af}.lamp{fill:#f0715c}.part{stroke:#9ba4af}}"""


class Contact(Protocol):
    """How an S0 contact is wired, as in [meter NAME]."""

    @property
    def gpio(self) -> int:
        """GPIO number."""

    @property
    def imp_per_kwh(self) -> float:
        """The meter constant."""

    @property
    def pull(self) -> str:
        """up: the contact closes to ground; down: it closes to 3.3 V."""


class Wiring(NamedTuple):
    """Places on the header by what they are for."""

    signal: int  # the GPIO
    plus: int  # where S0+ goes
    minus: int  # where S0- goes
    resistor: int  # where the resistor goes that long wires want; its other end is at the GPIO


def wiring_of(contact: Contact) -> Wiring:
    """Which pins a meter is wired to: in an open collector the current flows from S0+ to S0-."""
    signal = place_of(contact.gpio)
    ground = ground_for(signal)
    if contact.pull == "up":
        return Wiring(signal, plus=signal, minus=ground, resistor=SUPPLY_PLACE)
    spaced = signal + 2 if signal + 2 <= len(PLACES) else signal  # room for the resistor between two rows
    return Wiring(signal, plus=SUPPLY_PLACE, minus=signal, resistor=ground_for(spaced))


def picture(contact: Contact, title: str, description: str) -> str:
    """A file of its own: the drawing with its colours, a title and a description for those who cannot see it."""
    told = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>\n<style>{COLOURS}</style>\n"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {_frame()} role="img">\n{told}{_body(contact)}\n</svg>\n'


def drawing(contact: Contact, title: str) -> str:
    """A part of a page that brings the colours; `title` is what it shows, in words."""
    return f'<svg class="wiring" {_frame()} role="img">\n<title>{escape(title)}</title>\n{_body(contact)}\n</svg>'


def _frame() -> str:
    return f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="14"'


def _body(contact: Contact) -> str:
    wiring = wiring_of(contact)
    return "\n".join([*_board(), *_wires(wiring), *_pins(wiring), *_meter(wiring, contact.imp_per_kwh)])


def _pin_y(place: int) -> float:
    return FIRST_Y + ROW_Y * row_of(place)


def _leaving_y(place: int, wiring: Wiring) -> float:
    """Where the wire of a pin leaves the board: from the inner column between two rows, a ground's wire below."""
    if place == SUPPLY_PLACE:
        return RAIL_Y
    if is_outer(place):
        return _pin_y(place)
    return _pin_y(place) + (ROW_Y / 2 if place != wiring.signal else -ROW_Y / 2)


def _board() -> Iterator[str]:
    """The board, the card that is on the side of pin 1, and the numbers of the corners."""
    height = FIRST_Y + ROW_Y * (ROWS - 1) + 18 - 8
    yield f'<rect class="board" x="4" y="8" width="{EDGE_X - 4}" height="{height:g}" rx="10" stroke-width="1.5"/>'
    yield '<rect class="part" x="14" y="2" width="36" height="24" rx="3" stroke-width="1.5"/>'
    yield _text("small", 32, 18.5, "SD", text_anchor="middle", size=13)
    yield (
        '<text class="name" transform="translate(38 186) rotate(-90)" font-size="16" text-anchor="middle">'
        "Raspberry Pi</text>"
    )
    for place in (SUPPLY_PLACE, len(PLACES) - 1):
        yield _text("small", INNER_X - 9, _pin_y(place) + 4.5, str(place), text_anchor="end", size=13)


def _pins(wiring: Wiring) -> Iterator[str]:
    """All 40 pins; those in use are filled, those that kill are crossed."""
    used = {wiring.plus, wiring.minus}
    for place, name in enumerate(PLACES, 1):
        x, y = OUTER_X if is_outer(place) else INNER_X, _pin_y(place)
        kind = "pin used" if place in used else "pin"
        yield f'<circle class="{kind}" cx="{x}" cy="{y:g}" r="5" stroke-width="1.5"/>'
        if name == FORBIDDEN:
            path = f"M{x - 5} {y - 5:g}l10 10m0-10l-10 10"
            yield f'<path class="never" d="{path}" stroke-width="2" stroke-linecap="round"/>'


def _kind(place: int) -> str:
    return {GROUND: "ground", SUPPLY: "supply"}.get(PLACES[place - 1], "signal")


def _wires(wiring: Wiring) -> Iterator[str]:
    """The two wires to the meter, and dashed the resistor."""
    for place, lane_x, y in zip((wiring.plus, wiring.minus), LANES_X, _terminals(wiring), strict=True):
        yield _wire(place, f"{_start(place, wiring)}H{lane_x}V{y:g}H{METER_X}")
        yield from _label(place, wiring)
    leaving, signal = _leaving_y(wiring.resistor, wiring), _leaving_y(wiring.signal, wiring)
    yield _wire(wiring.resistor, f"{_start(wiring.resistor, wiring)}H{NODE_X}V{signal:g}", ' stroke-dasharray="4 4"')
    yield f'<rect class="part" x="{RESISTOR_X}" y="{leaving - 5:g}" width="32" height="10" stroke-width="1.5"/>'
    yield f'<circle class="node" cx="{NODE_X}" cy="{signal:g}" r="3.5"/>'
    yield from _label(wiring.resistor, wiring)
    below = _is_below(wiring.resistor)
    yield _text("small", RESISTOR_X + 16, leaving + (17 if below else -9), "1–10 kΩ", text_anchor="middle", size=13)


def _start(place: int, wiring: Wiring) -> str:
    x = OUTER_X if is_outer(place) else INNER_X
    return f"M{x} {_pin_y(place):g}V{_leaving_y(place, wiring):g}"


def _wire(place: int, path: str, more: str = "") -> str:
    return (
        f'<path class="{_kind(place)}" d="{path}" fill="none" stroke-width="2.5" stroke-linejoin="round"'
        f' stroke-linecap="round"{more}/>'
    )


def _is_below(place: int) -> bool:
    """Whether a wire's label stands below it: the ground's, which is always the lowest."""
    return PLACES[place - 1] == GROUND


def _label(place: int, wiring: Wiring) -> Iterator[str]:
    """Number and name of a pin beside its wire."""
    y = _leaving_y(place, wiring) + (17 if _is_below(place) else -6)
    name = PLACES[place - 1]
    yield (
        f'<text class="name" x="{LABEL_X}" y="{y:g}"><tspan font-weight="700">{place}</tspan>'
        f"<tspan> {name}</tspan></text>"
    )


def _terminals(wiring: Wiring) -> tuple[float, float]:
    """The heights of S0+ and S0-: beside their pins, as far as the case has room there."""
    middle = _leaving_y(wiring.signal, wiring)
    if wiring.plus == wiring.signal:
        middle = (middle + _leaving_y(wiring.minus, wiring)) / 2
    middle = min(middle, HEIGHT - MARGIN_Y - FOOT_Y - SPREAD_Y)
    return middle - SPREAD_Y, middle + SPREAD_Y


def _meter(wiring: Wiring, imp_per_kwh: float) -> Iterator[str]:
    """The meter: its display, its lamp with the constant, and the two terminals."""
    plus, minus = _terminals(wiring)
    is_face_up = plus - FACE_Y >= MARGIN_Y
    top, bottom = (plus - FACE_Y, minus + FOOT_Y) if is_face_up else (max(plus - FOOT_Y, MARGIN_Y), minus + FACE_Y)
    face = top + 12 if is_face_up else bottom - 80
    x, width = METER_X + 9, METER_WIDTH - 18
    yield (
        f'<rect class="case" x="{METER_X}" y="{top:g}" width="{METER_WIDTH}" height="{bottom - top:g}" rx="8"'
        ' stroke-width="1.5"/>'
    )
    yield f'<rect class="part" x="{x}" y="{face:g}" width="{width}" height="28" rx="3" stroke-width="1.5"/>'
    yield _text("name", x + width / 2, face + 19, "12345 kWh", text_anchor="middle", size=13)
    yield f'<circle class="lamp" cx="{x + 5}" cy="{face + 42:g}" r="4"/>'
    yield _text("name", x + 15, face + 47, f"{imp_per_kwh:g}", font_weight=700)
    yield _text("name", x + 15, face + 63, "imp/kWh", size=13)
    for name, y in (("S0+", plus), ("S0−", minus)):
        yield f'<circle class="pin used" cx="{METER_X}" cy="{y:g}" r="5"/>'
        yield _text("name", METER_X + 13, y + 5.5, name, size=16, font_weight=700)


def _text(kind: str, x: float, y: float, text: str, **looks: object) -> str:
    """A text; `looks` are further attributes, with _ for -."""
    size = looks.pop("size", 14)
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in looks.items())
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" font-size="{size}"{more}>{escape(text)}</text>'
