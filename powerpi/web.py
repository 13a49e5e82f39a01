"""The web pages: each route parses what is asked, asks the house, and returns what it says; nothing is computed here.

In: a House (readings, figures, pictures, health) and the time zone of the page. Out: a WSGI application that only
reads. Bad requests get 4xx and one plain sentence: routes raise PowerPi's errors, the doorkeeper (guard) words them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import bottle

from powerpi import __version__
from powerpi.as_json import health_json, noted_json, pulses_json, reading_json
from powerpi.ask import choice, end_time, known_period, language, parameters
from powerpi.asking import House
from powerpi.assets import Asset, load_assets, www_folder
from powerpi.errors import ReaderError, UnknownNameError, shown
from powerpi.graph import Figures
from powerpi.images import unchanged
from powerpi.page import (
    GapsView,
    GraphView,
    gaps_title,
    gaps_view,
    gaps_within,
    graph_view,
    meter_view,
    neighbours,
    notice_texts,
)
from powerpi.page_help import NamedContact, help_view
from powerpi.page_mirror import push_text
from powerpi.page_noted import noted_details
from powerpi.page_pulses import PulsesView, pulses_view
from powerpi.periods import PERIODS, Period
from powerpi.pictures import BarFigures
from powerpi.readings import MeterReading
from powerpi.texts import LANGUAGES, texts

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

NOT_STORED = "no-store"
FOR_EVER = "public, max-age=31536000, immutable"  # the address of an asset changes with its content
CHECKED = "no-cache"
KEPT = ("lang", "refresh")  # parameters that go along from page to page
MANY_METERS = 6  # a page with the graphs of more is long, and slow to draw


def pages(
    house: House, zone: ZoneInfo, now: Callable[[], float] = time.time, contacts: Sequence[NamedContact] = ()
) -> WSGIApplication:
    """The pages of `house`, in local time of `zone`; pictures and the doorkeeper belong in front (see `front`).

    `contacts` are those that are counted here, which the help page shows the wiring of.
    """
    shown_pages = Pages(house, zone, now, contacts)
    app = bottle.Bottle()
    app.catchall = False  # errors reach the doorkeeper, never bottle's own pages
    for rule, callback in (
        ("/", shown_pages.page),
        ("/health", shown_pages.health),
        ("/help", shown_pages.help),
        ("/api/v1/meters", shown_pages.meters),
        ("/api/v1/meters/<meter>", shown_pages.meter),
        ("/api/v1/meters/<meter>/gaps", shown_pages.gaps),
        ("/api/v1/meters/<meter>/pulses", shown_pages.pulses),
        ("/api/v1/meters/<meter>/readings", shown_pages.noted),
        ("/favicon.ico", shown_pages.favicon),
        ("/robots.txt", shown_pages.robots),
        ("/static/<name>", shown_pages.static),
        ("/<meter:re:[a-z0-9_-]+>/<period:re:[a-z0-9]+>", shown_pages.graph),
        ("/<meter:re:[a-z0-9_-]+>", shown_pages.one),
        ("/<path:path>", shown_pages.nothing),
    ):
        app.route(rule, "GET", callback)
    return app  # type: ignore[no-any-return]


class Pages:
    """The routes, with what they ask and the files they serve."""

    def __init__(
        self, house: House, zone: ZoneInfo, now: Callable[[], float], contacts: Sequence[NamedContact]
    ) -> None:
        folder = www_folder()
        self.house, self.zone, self.now, self.contacts = house, zone, now, contacts
        self.assets: Mapping[str, Asset] = load_assets(folder / "static")
        self.templates = {
            name: bottle.SimpleTemplate(name=f"{name}.html", lookup=[str(folder)])
            for name in ("page", "graph", "overview", "help")
        }
        self.catalogue = {name: texts(name) for name in LANGUAGES}

    def page(self) -> bytes:
        """The page: every meter with its figures and graphs, or where there are many, a list of them."""
        brief = self.house.meters(brief=True)
        if len(brief) > MANY_METERS:
            return self._overview(brief)
        return self._meters(self.house.meters())

    def one(self, meter: str) -> bytes:
        """The page of one meter."""
        if meter not in self.house.labels():
            return self.nothing(meter)
        return self._meters([self.house.meter(meter)])

    def _overview(self, readings: Sequence[MeterReading]) -> bytes:
        """A list of all meters."""
        given = parameters(_query(), KEPT)
        words = self.catalogue[language(given, _accepted())]
        views = [meter_view(reading, words, self.zone, self.now()) for reading in readings]
        return self._html("overview", given, listed=views, there=lambda meter: _address(f"/{meter}", given))

    def _meters(self, readings: Sequence[MeterReading]) -> bytes:
        given = parameters(_query(), KEPT)
        spoken = language(given, _accepted())
        words = self.catalogue[spoken]
        return self._html(
            "page",
            given,
            meters=[meter_view(reading, words, self.zone, self.now()) for reading in readings],
            noted={each.meter: noted_details(self.house.noted(each.meter), words, self.zone) for each in readings},
            gaps={reading.meter: self._gaps(reading.meter, words) for reading in readings},
            pulses={reading.meter: self._pulses(reading.meter, words) for reading in readings},
            graphs={reading.meter: self._graphs(reading.meter, spoken) for reading in readings},
            enlarged=lambda meter, period: _address(f"/{meter}/{period}", given),
            picture=lambda meter, period, **size: _address(f"/{meter}/{period}.png", {**size, "lang": spoken}),
        )

    def graph(self, meter: str, period: str) -> bytes:
        """The page of one graph: the newest one, or one that ends at `end`."""
        given = parameters(_query(), ("end", *KEPT))
        reading, asked, end = self.house.meter(meter), known_period(period), end_time(given)
        spoken = language(given, _accepted())
        words, now, past = self.catalogue[spoken], self.now(), {} if end is None else {"end": end}
        shown_gaps = gaps_within(self.house.gaps(meter), asked, end, self.zone, now)
        return self._html(
            "graph",
            given,
            meter=meter,
            label=reading.label,
            graph=graph_view(asked, self._figures(meter, asked, end), words, self.zone, end),
            gaps=gaps_view(words["gaps"], shown_gaps, words, self.zone, now),
            beside=neighbours(asked, end, self.zone, now),
            spans=[(name, words[f"span_{name}"], _address(f"/{meter}/{name}", given)) for name in PERIODS],
            newest=_address(f"/{meter}/{period}", _kept(given)),
            picture=lambda kind, **size: _address(f"/{meter}/{period}.{kind}", {**size, **past, "lang": spoken}),
        )

    def help(self) -> bytes:
        """How the meters are wired, and what to do if nothing comes."""
        given = parameters(_query(), KEPT)
        return self._html("help", given, told=help_view(self.contacts, self.catalogue[language(given, _accepted())]))

    def meters(self) -> bytes:
        """The readings of all meters as JSON."""
        parameters(_query(), ())
        return _json({"meters": [reading_json(reading) for reading in self.house.meters()]})

    def meter(self, meter: str) -> bytes:
        """The reading of one meter as JSON."""
        parameters(_query(), ())
        return _json(reading_json(self.house.meter(meter)))

    def gaps(self, meter: str) -> bytes:
        """All gaps of one meter as JSON, newest first."""
        parameters(_query(), ())
        return _json({"gaps": [gap._asdict() for gap in self.house.gaps(meter)]})

    def pulses(self, meter: str) -> bytes:
        """The newest closings of one meter's contact as JSON, and what they say."""
        parameters(_query(), ())
        return _json(pulses_json(self.house.pulses(meter)))

    def noted(self, meter: str) -> bytes:
        """The noted readings of one meter as JSON, newest first."""
        parameters(_query(), ())
        return _json(noted_json(self.house.noted(meter)))

    def health(self) -> bytes:
        """Whether all is well, for a machine that watches: 503 where something is at fault."""
        parameters(_query(), ())
        health = self.house.health()
        answer = health_json(health, self.house.labels(), self.house.push_status(), self.zone, self.now())
        return _json(answer, 503 if health.faults else 200)

    def static(self, name: str) -> bytes:
        """A file of the page; for ever where the address names its version."""
        given = parameters(_query(), ("v",))
        if name not in self.assets:
            raise UnknownNameError("no_file", name=shown(name))
        asset = self.assets[name]
        cached = FOR_EVER if given.get("v") == asset.version else CHECKED
        known = unchanged(bottle.request.environ, asset.version)
        status, content = (304, b"") if known else (200, asset.content)
        return _reply(content, asset.content_type, cached, status, ETag=f'"{asset.version}"')

    def favicon(self) -> bytes:
        """The icon where browsers look for it unasked."""
        return self.static("favicon.ico")

    def robots(self) -> bytes:
        """Nothing here is for search engines."""
        return _reply(b"User-agent: *\nDisallow: /\n", "text/plain; charset=utf-8", CHECKED)

    def nothing(self, path: str) -> NoReturn:
        """Every other address."""
        raise UnknownNameError("no_page", name=shown("/" + path))

    def _html(self, template: str, given: Mapping[str, str], **views: object) -> bytes:
        """A page of that template, with what all pages share: language, notices, links in head and foot."""
        path, spoken = bottle.request.path, language(given, _accepted())
        words, health = self.catalogue[spoken], self.house.health()
        refresh, push = choice(given, "refresh", ("on", "off"), "on"), self.house.push_status()
        body = self.templates[template].render(
            language=spoken,
            words=words,
            zone=self.zone.key or "",  # without a name the script takes the browser's zone
            faults=notice_texts(health.faults, self.house.labels(), words),
            warnings=notice_texts(health.warnings, self.house.labels(), words),
            refresh=None if "end" in given or template == "help" else refresh,  # the past stays as it is
            home=_address("/", _kept(given)),
            help=_address("/help", _kept(given)),
            address=lambda **changes: _address(path, {**given, **changes}),
            static=lambda name: f"/static/{name}?v={self.assets[name].version}",
            push=push_text(push, words, self.zone, self.now()) if push else None,
            version=__version__,
            **views,
        )
        return _reply(body.encode(), "text/html; charset=utf-8", CHECKED, Vary="Accept-Language")

    def _gaps(self, meter: str, words: Mapping[str, str]) -> GapsView:
        """All gaps of a meter; the title says how many there were of late."""
        gaps, now = self.house.gaps(meter), self.now()
        return gaps_view(gaps_title(gaps, words, now), gaps, words, self.zone, now)

    def _pulses(self, meter: str, words: Mapping[str, str]) -> PulsesView | None:
        pulses = self.house.pulses(meter)
        return pulses_view(pulses.health, words) if pulses else None

    def _graphs(self, meter: str, spoken: str) -> list[GraphView]:
        """All graphs of a meter; once one cannot be drawn the others are not asked for: each may take long to fail."""
        views, failed = [], False
        for period in PERIODS.values():
            figures = None if failed else self._figures(meter, period)
            failed = figures is None
            views.append(graph_view(period, figures, self.catalogue[spoken], self.zone))
        return views

    def _figures(self, meter: str, period: Period, end: int | None = None) -> Figures | BarFigures | None:
        """The figures of a graph; the page also works while none can be had."""
        try:
            return self.house.figures(meter, period.name, end)
        except ReaderError:
            return None


def _address(path: str, parameters: Mapping[str, object]) -> str:
    return quote(path) + ("?" + urlencode(parameters) if parameters else "")


def _kept(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name] for name in KEPT if name in given}


def _query() -> str:
    return bottle.request.environ.get("QUERY_STRING", "")  # type: ignore[no-any-return]


def _accepted() -> str:
    return bottle.request.environ.get("HTTP_ACCEPT_LANGUAGE", "")  # type: ignore[no-any-return]


def _json(value: object, status: int = 200) -> bytes:
    body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return _reply(body, "application/json", NOT_STORED, status)


def _reply(body: bytes, content_type: str, cached: str, status: int = 200, **headers: str) -> bytes:
    """Set bottle's response for this request; the body is the route's result."""
    response = bottle.response
    response.status = status
    response.content_type = content_type
    response.set_header("Cache-Control", cached)
    for name, value in headers.items():
        response.set_header(name, value)
    return body
