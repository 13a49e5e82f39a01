"""The drawing: which pin goes where, that it is sound SVG, and that nothing lies on anything else."""

from __future__ import annotations

import re
from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from powerpi.assets import www_folder
from powerpi.page_help import SAMPLE
from powerpi.wiring import COLOURS, HEIGHT, WIDTH, Wiring, drawing, picture, wiring_of

SVG = "{http://www.w3.org/2000/svg}"
GAP = 3.0  # between two wires, in units of the drawing: they are 2.5 wide
LETTER_WIDTH = 0.58  # of the font size, on average, in the fonts that pages are shown in
# The drawing of the README; made with these words
TITLE = "A Raspberry Pi and a meter: pin 18 (GPIO24) to S0+, pin 20 (ground) to S0-"
DESCRIPTION = (
    "The 40-pin header with pin 1 in the corner beside the card. An orange wire leads from pin 18, GPIO24, to the"
    " meter's terminal S0+, a grey one from pin 20, ground, to S0-. A dashed red line leads from pin 1, 3.3 V, through"
    " a resistor of 1 to 10 kiloohms to the orange wire: it is needed for long wires only. Pins 2 and 4, 5 V, are"
    " crossed out."
)


class Wired(NamedTuple):
    gpio: int
    imp_per_kwh: float = 1000
    pull: str = "up"


ALL = [Wired(gpio, pull=pull) for pull in ("up", "down") for gpio in range(28) if pull == "up" or gpio > 3]
every = pytest.mark.parametrize("contact", ALL, ids=lambda one: f"{one.gpio}-{one.pull}")


def parsed(contact: Wired) -> ET.Element:
    return ET.fromstring(picture(contact, "A & B", "what <is> seen"))  # noqa: S314 (our own)


def test_sample_is_wired_as_the_guide_says() -> None:
    assert wiring_of(SAMPLE) == Wiring(signal=18, plus=18, minus=20, resistor=1)


def test_contact_to_3_3_volts_has_its_minus_at_the_gpio() -> None:
    # current flows from S0+ to S0-: from 3.3 V into the pin, which a resistor would pull to ground
    assert wiring_of(Wired(24, pull="down")) == Wiring(signal=18, plus=1, minus=18, resistor=20)
    # in the row of pin 33 there is a ground (34) that leaves no room for the resistor
    assert wiring_of(Wired(13, pull="down")) == Wiring(signal=33, plus=1, minus=33, resistor=39)
    assert wiring_of(Wired(21, pull="down")).resistor == 39


@every
def test_drawing_is_xml_with_unique_ids_and_nothing_from_elsewhere(contact: Wired) -> None:
    text = picture(contact, "A & B", "what <is> seen")
    root = ET.fromstring(text)  # noqa: S314 (our own)
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    assert re.findall(r"href|url\(|@import|<image|<script|on\w+=", text) == []
    assert text.count("http") == 1  # the name space


def test_drawing_says_what_it_shows_to_those_who_cannot_see_it() -> None:
    root = parsed(Wired(24))
    assert (root.get("role"), root[0].tag, root[0].text) == ("img", f"{SVG}title", "A & B")
    assert (root[1].tag, root[1].text) == (f"{SVG}desc", "what <is> seen")
    assert "<title>A &amp; B</title>" in drawing(Wired(24), "A & B")


def test_part_of_a_page_has_no_style_of_its_own_and_each_kind_has_its_colour_in_both() -> None:
    part = drawing(Wired(24), "x")
    assert "style" not in part
    kinds = {name for classes in re.findall(r'class="([^"]+)"', part) for name in classes.split()} - {"wiring"}
    sheet = (www_folder() / "static" / "style.css").read_text(encoding="utf-8")
    assert kinds == {name for name in kinds if f".wiring .{name}" in sheet}
    light, dark = COLOURS.split("@media")
    assert kinds == {name for name in kinds if f".{name}" in light and f".{name}" in dark}


def texts(root: ET.Element) -> list[str]:
    return ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]


def test_drawing_names_pins_terminals_and_the_constant_and_no_word_of_a_language() -> None:
    said = texts(parsed(Wired(17, 800)))
    assert {"11 GPIO17", "14 GND", "1 3V3", "1–10 kΩ", "S0+", "S0−", "800", "imp/kWh"} <= set(said)
    assert set(said) - {"11 GPIO17", "14 GND", "1 3V3", "1–10 kΩ", "S0+", "S0−", "800", "imp/kWh"} == {
        *("SD", "Raspberry Pi", "1", "39", "12345 kWh"),
    }


def test_all_40_pins_are_there_the_two_in_use_are_filled_and_5_volts_are_crossed() -> None:
    root = parsed(Wired(24))
    pins = [one for one in root.iter(f"{SVG}circle") if one.get("r") == "5"]
    assert len(pins) == 40 + 2  # and the meter's terminals
    assert [place for place, pin in enumerate(pins[:40], 1) if "used" in (pin.get("class") or "")] == [18, 20]
    assert len([one for one in root.iter(f"{SVG}path") if one.get("class") == "never"]) == 2


class Line(NamedTuple):
    x1: float
    y1: float
    x2: float
    y2: float


def lines(path: str) -> list[Line]:
    """The straight lines of a path of M, H and V."""
    x = y = 0.0
    found = []
    for letter, numbers in re.findall(r"([MHV])([\d. ]+)", path):
        values = [float(number) for number in numbers.split()]
        nx, ny = {"M": lambda v: (v[0], v[1]), "H": lambda v, y=y: (v[0], y), "V": lambda v, x=x: (x, v[0])}[letter](
            values
        )
        if letter != "M":
            found.append(Line(min(x, nx), min(y, ny), max(x, nx), max(y, ny)))
        x, y = nx, ny
    return found


def touch(one: Line, other: Line, room: float) -> bool:
    return (
        one.x1 - room < other.x2 and other.x1 - room < one.x2 and one.y1 - room < other.y2 and other.y1 - room < one.y2
    )


@every
def test_wires_to_the_meter_keep_apart(contact: Wired) -> None:
    wires = [one for one in parsed(contact).iter(f"{SVG}path") if one.get("stroke-width") == "2.5"]
    plus, minus = (lines(one.get("d") or "") for one in wires if not one.get("stroke-dasharray"))
    assert not [pair for pair in ((a, b) for a in plus for b in minus) if touch(*pair, GAP)]


def box(text: ET.Element) -> Line:
    size = float(text.get("font-size") or 14)
    width = LETTER_WIDTH * size * len("".join(text.itertext()))
    x, y = float(text.get("x") or 0), float(text.get("y") or 0)
    x -= {"middle": width / 2, "end": width}.get(text.get("text-anchor") or "", 0)
    return Line(x, y - 0.75 * size, x + width, y + 0.1 * size)


@every
def test_no_text_lies_on_another_or_beyond_the_edge(contact: Wired) -> None:
    boxes = {"".join(one.itertext()): box(one) for one in parsed(contact).iter(f"{SVG}text") if one.get("x")}
    assert [texts for texts in combinations(boxes, 2) if touch(boxes[texts[0]], boxes[texts[1]], 0)] == []
    assert [t for t, b in boxes.items() if b.x1 < 0 or b.y1 < 0 or b.x2 > WIDTH or b.y2 > HEIGHT] == []


@pytest.mark.parametrize("constant", [0.5, 100, 10_000, 100_000])
def test_constant_has_room_in_the_meter(constant: float) -> None:
    root = parsed(Wired(24, constant))
    [text] = [box(one) for one in root.iter(f"{SVG}text") if "".join(one.itertext()) == f"{constant:g}"]
    [case] = [one for one in root.iter(f"{SVG}rect") if one.get("class") == "case"]
    assert text.x2 < float(case.get("x") or 0) + float(case.get("width") or 0)


def test_drawing_of_the_readme_is_this_one() -> None:
    kept = (www_folder() / "static" / "wiring.svg").read_text(encoding="utf-8")
    assert kept == picture(SAMPLE, TITLE, DESCRIPTION)
