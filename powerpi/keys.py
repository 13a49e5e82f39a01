"""Every key of the configuration file: name, default as written in the file, how to read it, what is wanted, meaning.

`SECTIONS` is the one table of all keys. Tests compare the keys and defaults of the sample file and the README with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from powerpi import values
from powerpi.passwords import read_hash

S0_PULSE_MS = 30  # EN 62053-31: the shortest pulse a meter may send
POWERPI, GET_PHP = "powerpi", "get.php"  # protocols
HIDDEN = "********"
NAMED = {"meter": "meter", "mirror": "sender", "viewer": "viewer"}  # first word of a section to its kind


class Key(NamedTuple):
    """One key of the file; `read` turns its text into a value and raises ValueError for anything else."""

    name: str
    default: str
    read: Callable[[str], Any]
    wanted: str
    meaning: str
    secret: bool = False  # its value is never shown


YES_NO = values.one_of({"yes": True, "no": False})
PROTOCOL = values.one_of({POWERPI: POWERPI, GET_PHP: GET_PHP})
CONSTANT = values.decimal(0.001, 100_000)
CONSTANT_WANTED = "a number above 0, at most 100000, with a point for decimals and none for thousands"
HASH = Key(
    "password_hash", "", read_hash, "what `powerpi password` prints, such as scrypt$14$8$1$...",
    "The password, as `powerpi password` prints it: nobody can read it back from there.", True,
)  # fmt: skip

SECTIONS: dict[str, tuple[Key, ...]] = {
    "powerpi": (
        Key(
            "state", "/var/lib/powerpi", values.absolute, "an absolute path without colons, quotes and backslashes",
            "Folder of everything that is written.",
        ),
        Key(
            "listen", "0.0.0.0:8080", values.listen, "ADDRESS:PORT",
            "Where browsers find the page; [::]:8080 for IPv6.",
        ),
        Key(
            "timezone", "", values.zone, "a name such as Europe/Berlin",
            "Where days begin; empty: the system's time zone.",
        ),
        Key(
            "network_time", "yes", YES_NO, "yes or no",
            "yes: rows wait until the clock is synchronised; no: there is no network time, take the clock as it is.",
        ),
        Key(
            "clock_wait_seconds", "900", values.number(0, 86400), "a whole number of seconds from 0 to 86400",
            "How long rows wait for a synchronised clock before they are written by the clock as it is.",
        ),
        Key(
            "host_names", "", values.host_names, "host names, separated by commas",
            "Further names under which browsers may ask for the page; addresses and local names always may.",
        ),
    ),
    "meter": (
        Key(
            "label", "", values.label, "at most 40 characters in one line",
            "What the page calls the meter (else its name).",
        ),
        Key(
            "gpio", "", values.number(0, 27), "a GPIO number from 0 to 27",
            "GPIO (not the pin's place) of the S0 contact.",
        ),
        Key(
            "imp_per_kwh", "1000", CONSTANT, CONSTANT_WANTED,
            "The meter constant as printed on the meter, in impulses per kWh.",
        ),
        Key(
            "pull", "up", values.one_of({"up": "up", "down": "down"}), "up or down",
            "up: the contact closes to ground; down: it closes to 3.3 V.",
        ),
        Key(
            "min_pulse_ms", "10", values.number(0.1, math.nextafter(S0_PULSE_MS, 0), float),
            "milliseconds from 0.1 to below 30 (S0 sends 30 or more)", "Shorter closings of the contact are rejected.",
        ),
        Key(
            "offset_kwh", "0", values.decimal(-1e9, 1e9),
            "a number of kWh, with a point for decimals (not exactly three) and none for thousands",
            "What the meter's display showed when PowerPi's own counter stood at 0.",
        ),
    ),
    "store": (
        Key(
            "flush_seconds", "300", values.number(10, 3600), "a whole number of seconds from 10 to 3600",
            "How often rows are written when nobody looks: what a power cut can cost of the curve.",
        ),
        Key(
            "register_seconds", "60", values.number(1, 3600), "a whole number of seconds from 1 to 3600",
            "How often the counter is written: what a power cut can cost of the meter reading.",
        ),
        Key(
            "archive_years", "20", values.number(0, 50), "a whole number of years from 0 to 50",
            "How long 15-minute means are kept; 0: only the 366 days of every 10 seconds.",
        ),
    ),
    "backup": (
        Key(
            "folder", "", values.optional_path, "an absolute path without colons, quotes and backslashes",
            "Where backups go that are made without a FILE; empty: the folder backups in the state folder.",
        ),
        Key(
            "keep", "8", values.number(1, 1000), "a whole number of backups from 1 to 1000",
            "How many of them are kept; then the oldest goes.",
        ),
    ),
    "push": (
        Key(
            "url", "", values.url, "https:// and the mirror's host, with a path if need be, without user and password",
            "Address of the mirror: another PowerPi that receives.",
        ),
        Key("user", "", values.user, "at most 64 characters without a colon", "This Pi's name at the mirror."),
        Key("password", "", values.password, "at most 1000 characters in one line", "Its password there.", True),
        Key(
            "ca_file", "", values.optional_path, "an absolute path without colons, quotes and backslashes",
            "Certificates (PEM) of a certification authority of your own; without it those of the system count.",
        ),
        Key(
            "interval_seconds", "60", values.number(10, 3600), "a whole number of seconds from 10 to 3600",
            "How often new rows are sent.",
        ),
        Key(
            "meters", "all", values.pushed_meters, "all, or names of this file's meters, separated by commas",
            "Which meters are sent.",
        ),
        Key(
            "protocol", POWERPI, PROTOCOL, f"{POWERPI} or {GET_PHP}",
            "get.php: the server is of the system that PowerPi replaces; it gets one power sample per interval.",
        ),
        Key(
            "allow_http", "no", YES_NO, "yes or no",
            "yes: send without encryption over foreign networks too; everybody in between can read and change it.",
        ),
    ),
    "mirror": (
        Key("accept", "no", YES_NO, "yes or no", "yes: receive the rows of the senders below, and show them."),
    ),
    "sender": (
        HASH,
        Key(
            "meters", "", values.received_meters,
            "names of meters, separated by commas, such as house, workshop as garage",
            "Which meters it may send; `house as hut` keeps its meter house here as hut.",
        ),
        Key(
            "protocol", POWERPI, PROTOCOL, f"{POWERPI} or {GET_PHP}",
            "get.php: a Pi of the system that PowerPi replaces, which sends power samples of one meter.",
        ),
        Key(
            "imp_per_kwh", "1000", CONSTANT, CONSTANT_WANTED,
            "With get.php: the meter constant, in impulses per kWh; a PowerPi tells its own.",
        ),
        Key(
            "sample_seconds", "60", values.number(1, 3600), "a whole number of seconds from 1 to 3600",
            "With get.php: for how long a sample may stand where the time of one pulse at its power is shorter.",
        ),
    ),
    "viewer": (HASH,),
}  # fmt: skip
HEADINGS = {"meter": "meter NAME", "sender": "mirror NAME", "viewer": "viewer NAME"}  # of sections there may be many of


def key_of(section: str, name: str) -> Key:
    """The key of that name in a kind of section."""
    return next(key for key in SECTIONS[section] if key.name == name)


def kind_of(section: str) -> str:
    """The kind of a section: its first word, but [mirror NAME] is one of its own; "" where there is none such."""
    first, *name = section.split(maxsplit=1)
    if name or first in ("meter", "viewer"):
        return NAMED.get(first, "")
    return section if section in SECTIONS and section != "sender" else ""  # a blank behind the name is none of it


def heading(kind: str) -> str:
    """How a section of that kind is headed, without brackets."""
    return HEADINGS.get(kind, kind)
