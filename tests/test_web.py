"""The pages through the WSGI interface, checked by wsgiref's validator, and over a real waitress."""

from __future__ import annotations

import http.client
import io
import json
import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import quote_from_bytes
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import WSGIWarning, validator
from zoneinfo import ZoneInfo

import pytest
import waitress
from hypothesis import given
from hypothesis import strategies as st

from powerpi.anchors import Account, Anchor, account
from powerpi.errors import ReaderError, UnknownNameError
from powerpi.front import application
from powerpi.gaps import Gap
from powerpi.graph import Figures
from powerpi.periods import PERIODS
from powerpi.pictures import BarFigures, Picture, PictureRequest
from powerpi.pulse_health import Pulses, Trace, pulses_of
from powerpi.push_status import PushStatus
from powerpi.readings import Health, MeterReading, Notice
from powerpi.texts import TEXTS

BERLIN = ZoneInfo("Europe/Berlin")
NOON = 1_795_345_200.0  # 2026-11-22 12:00:00 in Berlin
IMAGE = b"\x89PNG drawn"

HOUSE_METER = MeterReading(
    meter="house",
    label="Haus & Hof",
    imp_per_kwh=1000.0,
    watts=304.4,
    watts_at_most=False,
    last_pulse_time=NOON - 3,
    today_watt_hours=6120.0,
    today_unknown_seconds=0,
    yesterday_watt_hours=9874.0,
    yesterday_unknown_seconds=1500,
    meter_reading_watt_hours=24_518_300.0,
    edges_rejected=2,
    edges_lost=0,
    contact_closed=False,
)


WELL = Health((), ())


@dataclass
class PlainHouse:
    """A house of plain values."""

    readings: list[MeterReading] = field(default_factory=lambda: [HOUSE_METER])
    state: Health = WELL
    fault: Exception | None = None
    asked: list[PictureRequest] = field(default_factory=list)
    figured: list[tuple[str, int | None]] = field(default_factory=list)
    holes: list[Gap] = field(default_factory=list)
    pushed: PushStatus | None = None
    seen: Pulses | None = None
    anchors: list[Anchor] = field(default_factory=list)

    def meters(self, brief: bool = False) -> list[MeterReading]:  # noqa: ARG002 (as the house has it)
        return self.readings

    def meter(self, name: str) -> MeterReading:
        for reading in self.readings:
            if reading.meter == name:
                return reading
        raise UnknownNameError("no_meter", name=repr(name), known="house")

    def picture(self, meter: str, request: PictureRequest) -> Picture:
        self.meter(meter)
        self.asked.append(request)
        if self.fault:
            raise self.fault
        return Picture(IMAGE, f"tag-{request.language}", int(NOON) + 60)

    def figures(self, meter: str, period: str, end: int | None = None) -> Figures | BarFigures:
        assert meter in {one.meter for one in self.readings}
        self.figured.append((period, end))
        if self.fault:
            raise self.fault
        if PERIODS[period].bars:
            return BarFigures(8700.0, 18_420.0, int(NOON), 0)
        return Figures(304.2, 2111.0, NOON - 3 * 3600, 0, 658.0)

    def gaps(self, meter: str) -> list[Gap]:
        self.meter(meter)
        return self.holes

    def noted(self, meter: str) -> Account:
        return account(self.anchors, self.meter(meter).imp_per_kwh, self.holes)

    def pulses(self, meter: str) -> Pulses | None:
        self.meter(meter)
        return self.seen

    def labels(self) -> dict[str, str]:
        return {reading.meter: reading.label for reading in self.readings}

    def health(self) -> Health:
        return self.state

    def push_status(self) -> PushStatus | None:
        return self.pushed


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(target: str, house: PlainHouse | None = None, method: str = "GET", **environ: str) -> Answer:
    """One request through the validator; `environ` adds to the WSGI environment."""
    path, _, query = target.partition("?")
    request = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": query,
        "HTTP_HOST": "127.0.0.1:8080",
    }
    full: dict[str, object] = {**request, **environ}
    setup_testing_defaults(full)
    full["wsgi.input"] = io.BytesIO()
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status, headers, exc_info=None):
        started.append((status, headers))
        return io.BytesIO().write

    app = application(house or PlainHouse(), BERLIN, ("strom.example",), lambda: NOON)
    parts = validator(app)(full, start_response)
    try:
        body = b"".join(parts)
    finally:
        parts.close()
    ((status, headers),) = started
    names = [name for name, _ in headers]
    assert len(names) == len(set(names)), "a header is given twice"
    return Answer(int(status[:3]), {name.title(): value for name, value in headers}, body)


@contextmanager
def served(house: PlainHouse) -> Iterator[int]:
    """The pages on a real waitress; the value is its port."""
    server = waitress.create_server(application(house, BERLIN), host="127.0.0.1", port=0, ident=None)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.effective_port
    finally:
        server.trigger.pull_trigger(server.close)  # in the server's own thread, or its loop stumbles
        thread.join()
        server.task_dispatcher.shutdown()


class Page(HTMLParser):
    """Elements of a page with their attributes, and its visible words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += f" {data}"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_page_says_power_energy_and_meter_reading_in_german() -> None:
    words = Page(ask("/?lang=de").text).words
    assert "Leistung jetzt" in words
    assert "304 W" in words
    assert "Letzter Impuls 11:59:57" in words
    assert "Heute 6,12 kWh" in words
    assert "Gestern 9,87 kWh 25 min unbekannt" in words
    assert "Zählerstand 24 518,3 kWh" in words  # str.split took the narrow space apart


def test_page_says_the_same_in_english() -> None:
    words = Page(ask("/?lang=en").text).words
    assert "Yesterday 9.87 kWh 25 min unknown" in words
    assert "Meter reading 24,518.3 kWh" in words


def test_power_that_waits_for_the_next_pulse_is_at_most() -> None:
    def hidden(at_most: bool) -> bool:
        page = Page(ask("/", PlainHouse([HOUSE_METER._replace(watts_at_most=at_most)])).text)
        (element,) = [one for one in page.all("span") if one.get("class") == "at-most"]
        return "hidden" in element

    assert (hidden(False), hidden(True)) == (True, False)


def test_before_the_very_first_pulse_the_page_says_so_and_where_help_is_instead_of_a_bound() -> None:
    def page(*, no_pulse_yet: bool) -> Page:
        bound = HOUSE_METER._replace(watts=82.0, watts_at_most=True, last_pulse_time=None)
        return Page(ask("/?lang=de", PlainHouse([bound._replace(no_pulse_yet=no_pulse_yet)])).text)

    def hidden(shown: Page) -> list[str | None]:
        return [one.get("class") for one in (*shown.all("span"), *shown.all("p")[1:]) if "hidden" in one]

    unwired, waiting = page(no_pulse_yet=True), page(no_pulse_yet=False)
    assert (hidden(unwired), hidden(waiting)) == (["at-most", "last-pulse"], [])
    assert "Noch ist kein Impuls gekommen: so wird verdrahtet, darauf ist zu achten Heute" in unwired.words
    links = [one["href"] for one in unwired.all("a") if (one.get("href") or "").startswith("/help")]
    assert links == [links[0]] * 2  # here and at the foot
    assert "kein Impuls gekommen" not in waiting.words
    assert ("– W" in unwired.words, "82 W" in unwired.words, "82 W" in waiting.words) == (True, False, True)


def test_unknown_is_never_zero() -> None:
    unknown = HOUSE_METER._replace(watts=None, last_pulse_time=None, today_watt_hours=None, contact_closed=None)
    words = Page(ask("/?lang=en", PlainHouse([unknown])).text).words
    assert "– W Waiting for the first pulses Today – kWh" in words
    assert "Contact – " in words


def test_label_is_escaped() -> None:
    body = ask("/", PlainHouse([HOUSE_METER._replace(label="<b>&")])).text
    assert "&lt;b&gt;&amp;" in body
    assert "<b>" not in body


def test_graphs_carry_their_figures_as_alternative_text() -> None:
    alts = [(image["alt"] or "").replace("\u00a0", " ") for image in Page(ask("/?lang=de").text).all("img")][1:]
    assert alts[2] == "Leistung der letzten 24 Stunden: Mittel 304 W, Spitze 2111 W um 09:00"
    assert alts[4] == "Energie je Tag der letzten 31 Tage: Mittel 8,7 kWh, Höchstwert 18,4 kWh am 22.11.2026"
    assert len(alts) == 7


def test_page_works_while_graphs_fail() -> None:
    answer = ask("/?lang=en", PlainHouse(fault=ReaderError("The child died.")))
    assert answer.status == 200
    assert Page(answer.text).all("img")[1]["alt"] == "Power of the last hour"


POWER_CUT = Gap(int(NOON) - 5 * 3600, int(NOON) - 4 * 3600, "power_cut")
STOPPED = Gap(int(NOON) - 40 * 86400, int(NOON) - 40 * 86400 + 40, "stopped")


def test_page_lists_the_gaps_of_a_meter_behind_a_title_that_counts_them() -> None:
    page = Page(ask("/?lang=de", PlainHouse(holes=[POWER_CUT, STOPPED])).text)
    assert [one.get("class") for one in page.all("details")] == [None, "gaps"]
    told = "22.11.2026 07:00 – 08:00 1 h Stromausfall oder Absturz des Rechners 13.10.2026 13:00:00 – 13:00:40 40 s"
    assert f"Lücken (1 in den letzten 31 Tagen) Von – bis Dauer Grund {told} PowerPi wurde angehalten" in page.words
    assert {one.get("scope") for one in page.all("th")} == {"col"}
    assert "/api/v1/meters/house/gaps" not in addresses_of(page)


@pytest.mark.parametrize("target", ["/?lang=en", "/house/day?lang=en"])
def test_without_gaps_nothing_is_said_of_them(target: str) -> None:
    text = ask(target).text
    assert "Gaps" not in text
    assert "<table" not in text


@pytest.mark.parametrize("target", ["/?lang=en", "/house/day?lang=en"])
def test_gaps_too_many_to_be_listed_are_led_to(target: str) -> None:
    many = [POWER_CUT._replace(start=POWER_CUT.start - 60 * n, end=POWER_CUT.start - 60 * n + 30) for n in range(21)]
    house = PlainHouse(holes=many)
    page = Page(ask(target, house).text)
    assert len(page.all("tr")) == 1 + 20
    assert "/api/v1/meters/house/gaps" in addresses_of(page)
    assert ask("/api/v1/meters/house/gaps", house).status == 200


def test_page_of_a_graph_lists_the_gaps_of_its_time_alone() -> None:
    house = PlainHouse(holes=[POWER_CUT, STOPPED])
    now, past = ask("/house/day?lang=en", house), ask(f"/house/day?lang=en&end={STOPPED.start + 3600}", house)
    bars = Page(ask("/house/quarter?lang=en", house).text).words
    assert "2026-11-22 07:00 – 08:00 1 h Power cut, or the machine crashed" in Page(now.text).words
    assert "2026-10-13 13:00:00 – 13:00:40 40 s PowerPi was stopped" in Page(past.text).words
    assert ("2026-10-13" in now.text, "2026-11-22" in past.text) == (False, False)
    assert "Gaps From – to Length Reason 2026-11-22 07:00" in bars
    assert "2026-10-13" in bars
    assert "<table" not in ask("/house/hour?lang=en", house).text


def test_api_gives_every_gap_with_null_for_an_end_that_is_to_come() -> None:
    answer = ask("/api/v1/meters/house/gaps", PlainHouse(holes=[Gap(int(NOON) - 60, None, "disk"), STOPPED]))
    assert json.loads(answer.body) == {
        "gaps": [
            {"start": 1_795_345_140, "end": None, "reason": "disk"},
            {"start": 1_791_889_200, "end": 1_791_889_240, "reason": "stopped"},
        ]
    }
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert json.loads(ask("/api/v1/meters/house/gaps").body) == {"gaps": []}


def test_api_gives_every_noted_reading_with_what_was_counted_since_the_one_before() -> None:
    # 412 300 of 412 600 pulses at 1000 imp/kWh; then another meter
    anchors = [Anchor(NOON - 9000, 12345600.0, 1000.0), Anchor(NOON - 600, 12758200.0, 413300.04)]
    anchors.append(Anchor(NOON, 0.0, 413400.0, new_meter=True))
    house = PlainHouse(anchors=anchors, holes=[Gap(NOON - 8000, NOON - 7000, "stopped")])
    answer = ask("/api/v1/meters/house/readings", house)
    assert answer.headers["Cache-Control"] == "no-store"
    first = {"counted_watt_hours": None, "missing_pulses": None, "unknown_seconds": None}
    assert json.loads(answer.body) == {
        "readings": [
            {"time": NOON, "watt_hours": 0.0, "new_meter": True, **first},
            {
                "time": NOON - 600,
                "watt_hours": 12758200.0,
                "new_meter": False,
                "counted_watt_hours": 412300.0,
                "missing_pulses": 300.0,
                "unknown_seconds": 1000,
            },
            {"time": NOON - 9000, "watt_hours": 12345600.0, "new_meter": False, **first},
        ]
    }
    assert json.loads(ask("/api/v1/meters/house/readings").body) == {"readings": []}
    assert ask("/api/v1/meters/garage/readings").status == 404


def test_page_says_the_last_noted_reading_and_how_well_was_counted() -> None:
    anchors = [Anchor(NOON - 40 * 86400, 12345600.0, 1000.0), Anchor(NOON - 86400, 12758200.0, 413300.0)]
    german = Page(ask("/?lang=de", PlainHouse(anchors=anchors)).text)
    assert "Letzte Ablesung 12 758,2 kWh, " in german.words
    assert "412,3 von 412,6 kWh Wie genau es fehlen 0,07 % (300 Impulse)" in german.words
    assert "Last noted reading" not in ask("/?lang=en").text


def seen_pulses(offset: float | None = NOON - 1200) -> Pulses:
    """20 pulses of 30 ms, 10 s apart from 1000 s on, and a disturbance of 9 ms."""
    trace = Trace(0.01)
    for number in range(20):
        trace.pulse(1000 + 10 * number, 1000.03 + 10 * number)
    trace.reject(1192, 1192.009)
    return pulses_of(trace.seen(), 1000, 1200, offset)


def test_page_shows_the_health_of_pulses_that_are_counted_here_alone() -> None:
    page = Page(ask("/?lang=en", PlainHouse(seen=seen_pulses())).text)
    assert [one.get("class") for one in page.all("details")] == [None, "pulses"]
    assert "Widths of the newest pulses (20) and rejected closings (1)" in page.words
    assert "min_pulse_ms = 16 would lie better between disturbances and pulses than 10." in page.words
    assert "0–10 ms 0 + 1 rejected 10–20 ms 0 20–30 ms 0 30–40 ms 20" in page.words
    assert "/api/v1/meters/house/pulses" in addresses_of(page)
    assert "style" not in {name for _, attributes in page.elements for name in attributes}
    assert "Pulse health" not in ask("/?lang=en").text


def test_api_gives_the_newest_closings_and_what_they_say() -> None:
    answer = ask("/api/v1/meters/house/pulses", PlainHouse(seen=seen_pulses()))
    said = json.loads(answer.body)
    assert answer.headers["Cache-Control"] == "no-store"
    assert said["closings"][:2] == [
        {"time": NOON - 8, "counted": False, "width_ms": 9.0, "pause_ms": 1970.0, "watts": None},
        {"time": NOON - 10, "counted": True, "width_ms": 30.0, "pause_ms": 9970.0, "watts": 360.0},
    ]
    assert len(said["closings"]) == 21
    assert (said["summary"]["pulses"], said["summary"]["proposed_min_pulse_ms"]) == (20, 16.0)
    assert said["summary"]["pauses"] == [{"from_ms": 3000, "until_ms": 10_000, "pulses": 19, "rejected": 0}]


def test_api_knows_no_times_without_a_clock_and_no_pulses_of_a_contact_elsewhere() -> None:
    said = json.loads(ask("/api/v1/meters/house/pulses", PlainHouse(seen=seen_pulses(None))).body)
    assert {one["time"] for one in said["closings"]} == {None}
    assert json.loads(ask("/api/v1/meters/house/pulses").body) == {"closings": None, "summary": None}


def addresses_of(page: Page) -> set[str]:
    return {
        address.split(" ")[0]
        for _, element in page.elements
        for name in ("href", "src", "srcset")
        for address in (element.get(name) or "").split(", ")
    }


def test_every_address_on_the_page_is_answered() -> None:
    page = Page(ask("/?lang=de&refresh=off", PlainHouse([HOUSE_METER, HOUSE_METER._replace(meter="pump")])).text)
    addresses = addresses_of(page)
    anchors = {address[1:] for address in addresses if address.startswith("#")}
    assert anchors == {"figures", "meter-house", "meter-pump"}
    assert anchors <= {element.get("id") for _, element in page.elements}
    asked = [address for address in addresses if address and address[0] != "#"]
    house = PlainHouse([HOUSE_METER, HOUSE_METER._replace(meter="pump")])
    assert {ask(address, house).status for address in asked} == {200}
    assert all(address.startswith("/") for address in asked), "an external host"


PAST = int(NOON) - 30 * 86400


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("query", ["", f"?end={PAST}"])
def test_every_address_on_the_page_of_a_graph_is_answered(period: str, query: str) -> None:
    page = Page(ask(f"/house/{period}{query}").text)
    asked = {address for address in addresses_of(page) if address and address[0] != "#"}
    assert {ask(address).status for address in asked} == {200}
    assert all(address.startswith("/") for address in asked), "an external host"


def test_graph_leads_to_its_own_page() -> None:
    links = [one["href"] for one in Page(ask("/?lang=de").text).all("a")]
    assert "/house/week?lang=de" in links


def test_page_of_a_graph_says_its_figures_in_words() -> None:
    words = Page(ask("/house/day?lang=de").text).words
    assert "Haus & Hof Letzte 24 Stunden Leistung der letzten 24 Stunden: Mittel 304 W, Spitze 2111 W um 09:00" in words


def test_page_of_a_graph_leads_to_earlier_and_later_times() -> None:
    def neighbours(target: str) -> dict[str | None, str | None]:
        return {one["rel"]: one["href"] for one in Page(ask(target).text).all("a") if "rel" in one}

    # NOON is 1795345200; a day has 86400 s
    assert neighbours("/house/day") == {"prev": "/house/day?end=1795258800"}
    assert neighbours("/house/day?lang=de&end=1795172400") == {
        "prev": "/house/day?lang=de&end=1795086000",
        "next": "/house/day?lang=de&end=1795258800",
    }


def test_page_of_a_past_graph_asks_for_past_pictures_and_figures_and_stands_still() -> None:
    house = PlainHouse()
    text = ask(f"/house/day?end={PAST}&lang=en", house).text
    assert house.figured == [("day", PAST)]
    pictures = [address for address in addresses_of(Page(text)) if ".png" in address and "/house/" in address]
    assert pictures
    assert all(f"end={PAST}" in address for address in pictures)
    assert "http-equiv" not in text
    assert "script.js" not in text
    assert 'href="/house/day?lang=en"' in text  # back to now


def test_page_of_the_newest_graph_refreshes_itself_like_the_main_page() -> None:
    on, off = ask("/house/day").text, ask("/house/day?refresh=off").text
    assert "script.js" in on
    assert 'http-equiv="refresh" content="60"' in on
    assert 'href="/?refresh=off"' in off
    assert "script.js" not in off


def test_page_of_a_graph_without_figures_still_shows_it() -> None:
    answer = ask("/house/day?lang=en", PlainHouse(fault=ReaderError("The child died.")))
    assert answer.status == 200
    assert "Power of the last 24 hours" in answer.text


@pytest.mark.parametrize(
    ("target", "status", "sentence"),
    [
        ("/cellar/day?lang=de", 404, "Es gibt keinen Zähler 'cellar'; bekannt: house.\n"),
        ("/house/decade.png?lang=de", 404, "Es gibt keinen Zeitraum 'decade'; bekannt: " + ", ".join(PERIODS) + ".\n"),
        ("/house/day?lang=de&end=5", 400, "end muss eine ganze Zahl von 946684800 bis 4102444800 sein, nicht '5'.\n"),
    ],
)
def test_errors_are_answered_in_the_language_of_the_address(target: str, status: int, sentence: str) -> None:
    answer = ask(target, HTTP_ACCEPT_LANGUAGE="en")
    assert (answer.status, answer.text) == (status, sentence)
    assert answer.headers["Content-Language"] == "de"


@pytest.mark.parametrize(
    ("target", "method", "host", "status", "sentence"),
    [
        ("/nichts", "GET", "pi.local", 404, "Es gibt keine Seite '/nichts'."),
        ("/static/nichts", "GET", "pi.local", 404, "Es gibt keine Datei 'nichts'."),
        ("/?lang=fr", "GET", "pi.local", 400, "lang muss eines von en, de sein, nicht 'fr'."),
        ("/?x=1", "GET", "pi.local", 400, "Es gibt hier keinen Parameter 'x'; bekannt: lang, refresh."),
        ("/", "POST", "pi.local", 405, "Diese Seiten lassen sich nur lesen: mit den Methoden GET und HEAD."),
        (
            "/house/day.png",
            "GET",
            "pi.local",
            503,
            "Der Graph lässt sich gerade nicht zeichnen; das Protokoll sagt, warum.",
        ),
    ],
)
def test_errors_are_answered_in_the_language_of_the_browser(
    target: str, method: str, host: str, status: int, sentence: str
) -> None:
    house = PlainHouse(fault=ReaderError("rrdtool ended"))
    answer = ask(target, house, method, HTTP_HOST=host, HTTP_ACCEPT_LANGUAGE="de-AT,de;q=0.9")
    assert (answer.status, answer.text) == (status, sentence + "\n")


def test_images_have_their_size_so_that_nothing_jumps() -> None:
    page = Page(ask("/").text + ask("/house/day").text)
    assert all({"width", "height"} <= one.keys() for one in page.all("img") + page.all("source"))


def test_nothing_is_inline() -> None:
    page = Page(ask("/").text + ask("/house/day").text)
    assert all(one.get("src") for one in page.all("script"))
    assert not page.all("style")
    assert not [name for _, one in page.elements for name in one if name == "style" or name.startswith("on")]


def test_several_meters_have_anchors_one_has_none() -> None:
    two = Page(ask("/", PlainHouse([HOUSE_METER, HOUSE_METER._replace(meter="pump", label="Pump")])).text)
    assert [one["href"] for one in two.all("a") if (one["href"] or "").startswith("#meter")] == [
        "#meter-house",
        "#meter-pump",
    ]
    assert "#meter-house" not in ask("/").text


def test_refresh_is_switched_off_by_a_link_that_keeps_the_language() -> None:
    on, off = ask("/?lang=de").text, ask("/?lang=de&refresh=off").text
    assert 'href="/?lang=de&amp;refresh=off"' in on
    assert 'href="/?lang=de&amp;refresh=on"' in off
    assert "script.js" in on
    assert 'http-equiv="refresh" content="60"' in on
    assert "script.js" not in off
    assert "http-equiv" not in off


def test_language_is_asked_for_or_negotiated() -> None:
    assert '<html lang="de"' in ask("/", HTTP_ACCEPT_LANGUAGE="de-AT,de;q=0.9,en;q=0.8").text
    assert '<html lang="en"' in ask("/?lang=en", HTTP_ACCEPT_LANGUAGE="de").text
    assert ask("/").headers["Vary"] == "Accept-Language"


NOTICES = ("no_pulse", "clock_waiting", "clock_untrusted", "disk", "thread_dead", "reader", "edges_lost", "stored_late")


@pytest.mark.parametrize("key", NOTICES)
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_notice_has_its_sentence(key: str, language: str) -> None:
    house = PlainHouse(state=Health((), (Notice(key, "house", "VALUE"),)))
    sentence = TEXTS[f"notice_{key}"][language].replace("{value}", "VALUE")
    assert f"Haus & Hof: {sentence}" in Page(ask(f"/?lang={language}", house).text).words


def test_health_says_ok_warning_and_fault() -> None:
    late, disk = Notice("stored_late", None, None), Notice("disk", "house", "No space left")
    healths = [Health((), ()), Health((), (late,)), Health((disk,), (late,))]
    answers = [ask("/health", PlainHouse(state=health)) for health in healths]
    assert [answer.status for answer in answers] == [200, 200, 503]
    bodies = [json.loads(answer.body) for answer in answers]
    assert [body["status"] for body in bodies] == ["ok", "warning", "fault"]
    assert bodies[2]["warnings"] == ["The newest values are still waiting to be stored."]
    assert bodies[2]["faults"] == ["Haus & Hof: Storing fails; what is counted is kept in memory: No space left"]


def test_api_gives_readings_with_null_for_unknown() -> None:
    house = PlainHouse([HOUSE_METER._replace(watts=None)])
    one, many = ask("/api/v1/meters/house", house), ask("/api/v1/meters", house)
    assert json.loads(one.body) == {**HOUSE_METER._asdict(), "watts": None}
    assert json.loads(many.body) == {"meters": [json.loads(one.body)]}
    assert one.headers["Content-Type"] == "application/json"
    assert one.headers["Cache-Control"] == "no-store"


def test_api_says_no_more_digits_than_mean_something() -> None:
    reading = HOUSE_METER._replace(
        imp_per_kwh=96.25, watts=304.4499, last_pulse_time=NOON - 2.87654, meter_reading_watt_hours=24_518_300.06
    )
    body = json.loads(ask("/api/v1/meters/house", PlainHouse([reading])).body)
    assert (body["watts"], body["last_pulse_time"]) == (304.4, 1_795_345_197.123)
    assert (body["meter_reading_watt_hours"], body["imp_per_kwh"]) == (24_518_300.1, 96.25)


def test_picture_is_asked_for_with_all_that_the_address_says() -> None:
    house = PlainHouse()
    answer = ask("/house/day.svg?end=1700000000&width=358&height=230&zoom=2&lang=de&v=17", house)
    assert house.asked == [PictureRequest("day", "svg", 1_700_000_000, 358, 230, 2, "de")]
    assert answer.body == IMAGE
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Content-Length"] == str(len(IMAGE))
    assert answer.headers["Cache-Control"] == "private, max-age=60, must-revalidate"
    assert answer.headers["Etag"] == '"tag-de"'


def test_picture_has_defaults() -> None:
    house = PlainHouse()
    ask("/house/12h.png", house, HTTP_ACCEPT_LANGUAGE="de")
    assert house.asked == [PictureRequest("12h", "png", None, 900, 300, 1, "de")]


@pytest.mark.parametrize("known", ['"tag-en"', '"old", W/"tag-en"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_picture_that_the_browser_has_is_304(known: str, method: str) -> None:
    answer = ask("/house/day.png", method=method, HTTP_IF_NONE_MATCH=known)
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["Etag"] == '"tag-en"'
    assert answer.headers["Cache-Control"].startswith("private")


def test_other_etags_get_the_picture() -> None:
    assert ask("/house/day.png", HTTP_IF_NONE_MATCH='"tag-e", "tag"').status == 200


def test_picture_that_cannot_be_drawn_is_503_with_the_sentence() -> None:
    answer = ask("/house/day.png", PlainHouse(fault=ReaderError("rrdtool ended")))
    assert (answer.status, answer.text) == (503, "The graph cannot be drawn at the moment; the log says why.\n")


@pytest.mark.parametrize(
    "target", ["/cellar/day.png", "/house/decade.png", "/house/day.gif", "/cellar/day", "/house/decade", "/cellar",
               "/static/../page.html",
               "/static/page.html", "/api/v1/meters/cellar", "/api/v1/meters/cellar/gaps",
               "/api/v1/meters/house/holes", "/api/v2/meters", "/Haus/day.png", "/static/day.png"]
)  # fmt: skip
def test_unknown_names_are_404(target: str) -> None:
    answer = ask(target)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert re.fullmatch(r"There is no .*\.\n", answer.text)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("width=199", "width must be a whole number from 200 to 2000, not '199'."),
        ("width=2001", "width must be a whole number from 200 to 2000, not '2001'."),
        ("height=119", "height must be a whole number from 120 to 1200, not '119'."),
        ("height=1201", "height must be a whole number from 120 to 1200, not '1201'."),
        ("zoom=4", "zoom must be a whole number from 1 to 3, not '4'."),
        ("zoom=%C2%B2", r"zoom must be a whole number from 1 to 3, not '\xb2'."),
        ("zoom=%D9%A3", r"zoom must be a whole number from 1 to 3, not '\u0663'."),
        ("width=1_000", "width must be a whole number from 200 to 2000, not '1_000'."),
        ("end=-1", "end must be a whole number from 946684800 to 4102444800, not '-1'."),
        ("end=" + "9" * 400, f"end must be a whole number from 946684800 to 4102444800, not '{'9' * 60}...'."),
        ("end=", "end must be a whole number from 946684800 to 4102444800, not ''."),
        ("lang=fr", "lang must be one of en, de, not 'fr'."),
        ("color=red", "There is no parameter 'color' here; known: end, width, height, zoom, lang, v."),
        ("zoom=1&zoom=2", "A parameter is given twice."),
        ("zoom=%ff", "The query is not a list of at most 20 parameters in UTF-8."),
        ("&".join("zoom=1" for _ in range(21)), "The query is not a list of at most 20 parameters in UTF-8."),
    ],
)
def test_bad_parameters_are_400_and_name_what_was_wanted(query: str, sentence: str) -> None:
    answer = ask(f"/house/day.png?{query}")
    assert (answer.status, answer.text) == (400, sentence + "\n")


@pytest.mark.parametrize(
    "target",
    ["/", "/health", "/api/v1/meters", "/api/v1/meters/house", "/api/v1/meters/house/gaps", "/static/style.css"],
)
def test_unknown_parameters_are_400_everywhere(target: str) -> None:
    assert ask(f"{target}?colour=1").status == 400


def test_head_answers_like_get_without_a_body() -> None:
    for target in ("/", "/house/day.png", "/static/style.css", "/health", "/nothing"):
        get, head = ask(target), ask(target, method="HEAD")
        assert head == get._replace(body=b"")
        assert get.headers["Content-Length"] == str(len(get.body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("target", ["/", "/house/day.png", "/api/v1/meters"])
def test_nothing_can_be_changed(method: str, target: str) -> None:
    with pytest.warns(WSGIWarning) if method == "BREW" else nullcontext():
        answer = ask(target, method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


ANSWERS = [
    ("/", 200), ("/house/day.png", 200), ("/static/style.css", 200), ("/health", 200), ("/nothing", 404),
    ("/?lang=fr", 400), ("/favicon.ico", 200), ("/robots.txt", 200),
]  # fmt: skip


@pytest.mark.parametrize(("target", "status"), ANSWERS)
def test_every_answer_carries_the_security_headers(target: str, status: int) -> None:
    answer = ask(target)
    assert answer.status == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy or answer.headers["Content-Type"].startswith("image/")


def test_unexpected_error_is_logged_and_answered_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = ask("/house/day.png", PlainHouse(fault=ZeroDivisionError("secret")))
    assert (answer.status, answer.text) == (500, "PowerPi failed; its log says why.\n")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "ZeroDivisionError: secret" in caplog.text


def test_assets_are_kept_for_ever_only_under_their_version() -> None:
    (address,) = re.findall(r'href="(/static/style\.css\?v=[0-9a-f]+)"', ask("/").text)
    versioned, plain = ask(address), ask("/static/style.css")
    assert versioned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert plain.headers["Cache-Control"] == ask("/static/style.css?v=old").headers["Cache-Control"] == "no-cache"
    assert ask(address, HTTP_IF_NONE_MATCH=versioned.headers["Etag"]).status == 304


def test_icon_and_robots_are_where_they_are_looked_for() -> None:
    assert ask("/favicon.ico").headers["Content-Type"] == "image/x-icon"
    assert ask("/robots.txt").text == "User-agent: *\nDisallow: /\n"


def test_manifest_names_icons_that_exist() -> None:
    manifest = json.loads(ask("/static/manifest.webmanifest").body)
    assert {icon.get("purpose") for icon in manifest["icons"]} == {None, "maskable"}
    assert {ask(icon["src"]).status for icon in manifest["icons"]} == {200}


def test_foreign_host_learns_nothing() -> None:
    answer = ask("/house/day.png", HTTP_HOST="evil.example")
    assert answer.status == 421
    assert "'evil.example'" in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_configured_and_own_names_are_served() -> None:
    for host in ("strom.example", "STROM.example:8080", socket.gethostname(), "[::1]:8080", "pi.local"):
        assert ask("/health", HTTP_HOST=host).status == 200


@given(st.binary(max_size=60), st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_absurd_addresses_get_4xx_never_5xx(path: bytes, query: str) -> None:
    answer = ask("/", PATH_INFO="/" + path.decode("latin-1"), QUERY_STRING=query)
    assert 200 <= answer.status < 500


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_absurd_headers_never_fail(value: str) -> None:
    answer = ask("/house/day.png", HTTP_ACCEPT_LANGUAGE=value, HTTP_IF_NONE_MATCH=value)
    assert answer.status in (200, 304)
    assert ask("/", HTTP_HOST=value).status in (200, 421)


def test_too_long_and_unreadable_addresses_are_refused() -> None:
    assert ask("/?lang=" + "x" * 10_000).status == 414
    assert ask("/" + "x" * 10_000).status == 414
    assert ask("/\xff\xfe").status == 400
    assert ask("/a\0b").status == 400


def raw(port: int, request: bytes) -> bytes:
    """The answer to bytes as they stand, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_waitress_keeps_the_connection_for_pictures() -> None:
    with served(PlainHouse()) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(3):
            connection.request("GET", "/house/day.png")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, IMAGE)
            assert answer.headers["Connection"] != "close"
        connection.close()


@pytest.mark.parametrize("path", [b"/\xc3\x28", b"/%00", b"/%ff.png", b"/house/day.png?zoom=\xb2", b"/?%00=1", b"/?x"])
def test_waitress_answers_absurd_bytes_with_one_sentence(path: bytes) -> None:
    with served(PlainHouse()) as port:
        answer = raw(port, b"GET " + path + b" HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert re.match(rb"HTTP/1\.0 4\d\d ", answer), quote_from_bytes(answer[:80])
    assert b"<html" not in answer.lower()


def test_waitress_refuses_a_request_without_a_host() -> None:
    with served(PlainHouse()) as port:
        assert raw(port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 421 ")


# ---------------------------------------------------------------- mirrors


MANY = [HOUSE_METER._replace(meter=f"flat-{n}", label=f"Wohnung {n}", received_from="pi-hq") for n in range(1, 8)]


def test_many_meters_are_a_list_and_each_has_a_page_of_its_own() -> None:
    house = PlainHouse(MANY)
    page = ask("/?lang=de", house).text
    assert page.count("Empfangen von pi-hq") == 7
    assert '<a href="/flat-7?lang=de">Wohnung 7</a>' in page
    assert house.figured == []  # no graph was asked for
    assert "Wohnung 3" in ask("/flat-3?lang=de", house).text
    assert {meter for meter, _ in house.figured} != set()


def test_a_few_meters_stand_on_one_page_with_their_graphs() -> None:
    house = PlainHouse(MANY[:6])
    assert "overview" not in ask("/", house).text
    assert len(house.figured) == 6 * len(PERIODS)


def test_a_mirror_that_has_received_nothing_says_so() -> None:
    assert "Nothing has been received yet." in ask("/", PlainHouse([])).text
    assert "Noch wurde nichts empfangen." in ask("/?lang=de", PlainHouse([])).text


def test_the_page_and_health_tell_how_the_mirror_stands() -> None:
    in_step = PushStatus("power.example.org", in_step=True, since=NOON, identical_until=int(NOON) - 10)
    assert "Mirror power.example.org: in step, identical up to 11:59" in ask("/", PlainHouse(pushed=in_step)).text
    away = PushStatus("power.example.org", behind_rows=12_345, since=NOON - 86400, why="away", said="it is away")
    page = ask("/?lang=de", PlainHouse(pushed=away)).text
    assert (
        "Spiegel power.example.org: 12\u202f345 Zeilen zurück seit 21.11.2026 12:00: er ist nicht zu erreichen" in page
    )
    told = json.loads(ask("/health", PlainHouse(pushed=away)).body)["push"]
    assert told["why"] == "away"
    assert told["said"] == "it is away"
    assert told["behind_rows"] == 12_345
    assert told["text"].startswith("Mirror power.example.org: 12,345 rows behind since 2026-11-21 12:00")


def test_without_a_mirror_nothing_is_told_of_one() -> None:
    assert "Mirror" not in ask("/").text
    assert "push" not in json.loads(ask("/health").body)


def test_a_received_meter_says_from_whom_and_since_when_nothing_came() -> None:
    received = HOUSE_METER._replace(received_from="pi-hq", received_time=NOON - 60)
    assert '<p class="origin">Received from pi-hq</p>' in ask("/", PlainHouse([received])).text
    silent = received._replace(received_time=NOON - 7200, silent=True, watts=None, sampled=True)
    page = ask("/", PlainHouse([silent])).text
    assert '<p class="origin">Received from pi-hq, last heard of 10:00; made of power samples</p>' in page
    assert 'data-waiting="Waiting for the first pulses">–</p>' in page
