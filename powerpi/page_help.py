"""What the help page says: how each meter is wired, and the commands, in the words of one language.

In: the contacts as configured. Out: plain text for the template, and drawings as SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from powerpi import units
from powerpi.header import FORBIDDEN, PLACES
from powerpi.wiring import Contact, Wiring, drawing, wiring_of
from powerpi.wording import Words, number

SLOW_WATTS, FAST_WATTS = 100, 3000  # a quiet house, and one that cooks
FEW_DIGITS = 3
COMMANDS = {
    "check": "sudo powerpi check",
    "report": "sudo powerpi check --report",
    "backup": "sudo powerpi backup house.zip",
    "log": "journalctl -u powerpi",
    "restart": "sudo systemctl restart powerpi",
}
NAMES = {"3V3": "3.3 V", "5V": "5 V"}  # as they are told beside the drawing


class NamedContact(Contact, Protocol):
    """A contact of a meter that has a name."""

    @property
    def name(self) -> str:
        """The meter, as in URLs and commands."""

    @property
    def label(self) -> str:
        """What the page calls it."""


class PinView(NamedTuple):
    """One line of the legend."""

    places: str
    name: str
    where: str


class ContactView(NamedTuple):
    """One meter on the help page; every field is text in the page's language but `drawing`, which is SVG."""

    name: str
    label: str
    drawing: str
    pins: list[PinView]
    pulse: str  # what one pulse means


class HelpView(NamedTuple):
    """All of the help page that is not the same for everybody."""

    contacts: list[ContactView]
    counted: bool  # whether the contacts are of meters here; else there is one as in the sample of the configuration
    header: list[tuple[str, int, int, str]]  # row by row: name and place of the inner pin, place and name of the outer
    commands: list[tuple[str, str]]  # for the Pi's shell, and what each is for


class Sample(NamedTuple):
    """A contact that is nobody's: as in the sample of the configuration."""

    name: str = "house"
    label: str = "House"
    gpio: int = 24
    imp_per_kwh: float = 1000
    pull: str = "up"


SAMPLE = Sample()


def help_view(contacts: Sequence[NamedContact], words: Words) -> HelpView:
    """The help of a machine that counts these contacts; with none it shows how one would be wired."""
    return HelpView(
        [contact_view(contact, words) for contact in contacts or (SAMPLE,)],
        bool(contacts),
        [(PLACES[place - 1], place, place + 1, PLACES[place]) for place in range(1, len(PLACES), 2)],
        [(command, words[f"help_command_{key}"]) for key, command in COMMANDS.items()],
    )


def contact_view(contact: NamedContact, words: Words) -> ContactView:
    """What the page says of one meter that is counted here."""
    wiring = wiring_of(contact)
    title = words["help_drawing"].format(plus=wiring.plus, minus=wiring.minus)
    return ContactView(
        contact.name, contact.label, drawing(contact, title), legend(wiring, words), _pulse(contact, words)
    )


def legend(wiring: Wiring, words: Words) -> list[PinView]:
    """Which pin goes where, those that go nowhere included."""
    terminals = ((wiring.plus, "S0+"), (wiring.minus, "S0−"))
    lines = [
        PinView(str(place), _name(place, words), words["help_to_terminal"].format(terminal=terminal))
        for place, terminal in terminals
    ]
    resistor = words["help_to_resistor"].format(signal=wiring.signal)
    never = [place for place, name in enumerate(PLACES, 1) if name == FORBIDDEN]
    return [
        *lines,
        PinView(str(wiring.resistor), _name(wiring.resistor, words), resistor),
        PinView(", ".join(map(str, never)), _name(never[0], words), words["help_never"]),
    ]


def _name(place: int, words: Words) -> str:
    name = PLACES[place - 1]
    return NAMES.get(name, name).replace(".", words["graph_decimal_sign"])


def _pulse(contact: NamedContact, words: Words) -> str:
    constant = contact.imp_per_kwh
    slow, fast = (1 / (constant * watts / units.WATT_SECONDS_PER_KWH) for watts in (SLOW_WATTS, FAST_WATTS))
    return words["help_pulse"].format(
        label=contact.label,
        constant=few_digits(constant, words),
        energy=few_digits(units.watt_hours(1, constant), words),
        slow=few_digits(slow, words),
        fast=few_digits(fast, words),
    )


def few_digits(value: float, words: Words) -> str:
    """A number with as many decimals as make three digits, without zeros at its end."""
    whole = len(f"{value:.0f}") if value >= 1 else 0
    text = f"{value:.{max(FEW_DIGITS - whole, 0)}f}"
    decimals = len(text.rstrip("0").partition(".")[2])
    return number(value, decimals, words)
