"""The help page: what it says of meters, pins and pulses, in both languages, in figures worked out by hand."""

from __future__ import annotations

import io
import re
import shlex
from typing import NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from test_web import BERLIN, NOON, Page, PlainHouse, addresses_of
from test_web import ask as ask_pages

from powerpi import cli
from powerpi.front import application
from powerpi.page_help import COMMANDS, SAMPLE, contact_view, few_digits, help_view
from powerpi.texts import LANGUAGES, texts


class Counted(NamedTuple):
    name: str
    label: str
    gpio: int
    imp_per_kwh: float
    pull: str = "up"


HOUSE = Counted("house", "Haus & Hof", 24, 1000.0)
PUMP = Counted("heat-pump", "Pump", 17, 800.0, "down")


def ask(target: str, *contacts: Counted) -> str:
    """The page of a machine that counts these contacts."""
    path, _, query = target.partition("?")
    environ: dict[str, object] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": query}
    environ["HTTP_HOST"] = "127.0.0.1:8080"
    setup_testing_defaults(environ)
    environ["wsgi.input"] = io.BytesIO()
    statuses = []

    def start_response(status, headers, exc_info=None):
        statuses.append(status)
        return io.BytesIO().write

    parts = validator(application(PlainHouse(), BERLIN, (), lambda: NOON, contacts=contacts))(environ, start_response)
    try:
        body = b"".join(parts).decode()
    finally:
        parts.close()
    assert statuses == ["200 OK"]
    return body


def test_page_says_which_pin_goes_where_as_configured() -> None:
    words = Page(ask("/help?lang=en", HOUSE, PUMP)).words
    assert "Wiring: Haus & Hof Pin 18 of the Pi's header to S0+ of the meter, pin 20 to S0−" in words
    assert "18 GPIO24 S0+ of the meter 20 GND S0− of the meter 1 3.3 V through 1 to 10 kΩ to pin 18" in words
    # the contact to 3.3 V: GPIO17 is pin 11, and pulled to the ground at pin 14
    assert "Wiring: Pump Pin 1 of the Pi's header to S0+ of the meter, pin 11 to S0−" in words
    assert "1 3.3 V S0+ of the meter 11 GPIO17 S0− of the meter 14 GND through 1 to 10 kΩ to pin 11" in words
    assert words.count("2, 4 5 V nowhere, ever") == 2


def test_page_speaks_german_with_its_signs() -> None:
    words = Page(ask("/help?lang=de", PUMP)).words
    assert "Verdrahtung: Pump" in words
    assert "1 3,3 V S0+ des Zählers" in words
    # 800 imp/kWh: a pulse is 1000 / 800 Wh; at 100 W it takes 3600 x 1.25 / 100 s, at 3000 W a thirtieth of that
    assert "Bei 800 imp/kWh ist ein Impuls 1,25 Wh. Bei 100 W kommt alle 45 s einer, bei 3000 W alle 1,5 s." in words


@pytest.mark.parametrize(
    ("constant", "told"),
    [
        (1000, "at 1000 imp/kWh one pulse is 1 Wh. At 100 W one comes every 36 s, at 3000 W every 1.2 s."),
        (10_000, "at 10,000 imp/kWh one pulse is 0.1 Wh. At 100 W one comes every 3.6 s, at 3000 W every 0.12 s."),
        (75, "at 75 imp/kWh one pulse is 13.3 Wh. At 100 W one comes every 480 s, at 3000 W every 16 s."),
    ],
)
def test_pulse_is_told_in_energy_and_time(constant: float, told: str) -> None:
    view = contact_view(HOUSE._replace(imp_per_kwh=constant), texts("en"))
    assert view.pulse.replace("\u00a0", " ") == f"Haus & Hof: {told}"


def test_few_digits_never_cut_whole_ones() -> None:
    english = texts("en")
    assert [few_digits(value, english) for value in (0.25, 1.0, 13.333, 100.0, 480.2, 12_345.6)] == [
        *("0.25", "1", "13.3", "100", "480", "12,346"),
    ]


def test_a_machine_without_meters_shows_how_one_is_wired() -> None:
    text = ask("/help?lang=en")
    words = Page(text).words
    assert "No meter is counted on this machine." in words
    assert "18 GPIO24 S0+ of the meter" in words
    assert help_view((), texts("en")).contacts == [contact_view(SAMPLE, texts("en"))]


def test_all_40_pins_are_told() -> None:
    rows = help_view((), texts("en")).header
    assert rows[0] == ("3V3", 1, 2, "5V")
    assert rows[8] == ("3V3", 17, 18, "GPIO24")
    assert [place for row in rows for place in row[1:3]] == list(range(1, 41))


def test_labels_and_names_are_escaped() -> None:
    text = ask("/help?lang=en", HOUSE._replace(label="<b>&"))
    assert "&lt;b&gt;&amp;" in text
    assert "<b>" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_is_accessible_and_asks_nobody_else(language: str) -> None:
    page = Page(ask(f"/help?lang={language}", HOUSE, PUMP))
    ids = [element["id"] for _, element in page.elements if "id" in element]
    assert len(ids) == len(set(ids))
    assert {element["aria-labelledby"] for element in page.all("section") if "aria-labelledby" in element} <= set(ids)
    assert [element.get("role") for element in page.all("svg")] == ["img", "img"]
    assert len(page.all("title")) == 1 + 2  # of the page, and of each drawing
    assert {element.get("scope") for element in page.all("th")} == {"col"}
    assert not page.all("style")
    assert not [name for _, element in page.elements for name in element if name == "style" or name.startswith("on")]
    assert all(address[0] in "/#" for address in addresses_of(page) if address)
    assert not page.all("script"), "nothing here changes"


def test_every_page_leads_to_the_help_and_the_help_back_with_the_language_kept() -> None:
    for target in ("/?lang=de", "/house/day?lang=de", "/help?lang=de"):
        assert "/help?lang=de" in addresses_of(Page(ask_pages(target).text)), target
    help_page = Page(ask("/help?lang=de&refresh=off", HOUSE))
    assert "/?lang=de&refresh=off" in addresses_of(help_page)
    asked = {address for address in addresses_of(help_page) if address and address[0] != "#"}
    assert {ask_pages(address).status for address in asked} == {200}


def test_parameter_that_is_unknown_is_refused_as_everywhere() -> None:
    assert ask_pages("/help?end=5&lang=en").status == 400


def told_commands() -> list[str]:
    text = ask("/help?lang=en", HOUSE, PUMP)
    return re.findall(r"<code>([^<]+)</code>", text)


def test_every_command_of_the_page_can_be_parsed() -> None:
    told = [shlex.split(command) for command in told_commands()]
    own = [words[2:] for words in told if words[:2] == ["sudo", "powerpi"]]
    assert ["reading", "heat-pump", "12345.6"] in own
    assert ["check", "--watch"] in own
    for words in own:
        assert cli.parser().parse_args(words).command == words[0]
    rest = [" ".join(words) for words in told if words[:2] != ["sudo", "powerpi"]]
    assert rest == [COMMANDS["log"], COMMANDS["restart"]]


def test_page_can_be_put_on_a_home_screen_also_where_viewers_log_in() -> None:
    page = Page(ask_pages("/").text)
    [manifest] = [link for link in page.all("link") if link.get("rel") == "manifest"]
    assert manifest["crossorigin"] == "use-credentials"  # else browsers ask for it without the login
    names = {meta.get("name"): meta.get("content") for meta in page.all("meta")}
    assert names["apple-mobile-web-app-capable"] == names["mobile-web-app-capable"] == "yes"
    assert names["apple-mobile-web-app-title"] == "PowerPi"
