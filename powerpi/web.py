"""The web pages: each route parses what is asked, asks the house, and returns what it says; nothing is computed here.

In: a House (readings, figures, pictures, health) and the time zone of the page. Out: a WSGI application that only
reads. Bad requests get 4xx and one plain sentence: routes raise PowerPi's errors, the doorkeeper (guard) words them.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import bottle

from powerpi import __version__
from powerpi.ask import choice, language, parameters, picture_request
from powerpi.assets import Asset, load_assets, www_folder
from powerpi.errors import ReaderError, UnknownNameError
from powerpi.graph import Figures
from powerpi.guard import guarded, own_names, shown
from powerpi.page import GraphView, graph_view, meter_view, notice_texts
from powerpi.periods import PERIODS, Period
from powerpi.pictures import BarFigures, Picture, PictureRequest
from powerpi.readings import Health, MeterReading
from powerpi.texts import LANGUAGES, texts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Names of meters and periods; the folder static has its own pictures.
PICTURE_PATH = re.compile(r"/(?!static/)([a-z0-9_-]+)/([a-z0-9]+)\.(png|svg)")
IMAGE_TYPES = {"png": "image/png", "svg": "image/svg+xml"}
NOT_STORED = "no-store"
FOR_EVER = "public, max-age=31536000, immutable"  # the address of an asset changes with its content
CHECKED = "no-cache"


class House(Protocol):
    """What the pages ask; every method may be called from several threads at once."""

    def meters(self) -> Sequence[MeterReading]:
        """All meters, in the order of the page."""

    def meter(self, name: str) -> MeterReading:
        """One meter; raises UnknownNameError."""

    def picture(self, meter: str, request: PictureRequest) -> Picture:
        """A graph, new enough; raises UnknownNameError or ReaderError."""

    def figures(self, meter: str, period: str) -> Figures | BarFigures:
        """What the graph of a period shows, None where unknown; raises UnknownNameError or ReaderError."""

    def health(self) -> Health:
        """What is wrong, if anything."""


def application(
    house: House, zone: ZoneInfo, host_names: Iterable[str] = (), now: Callable[[], float] = time.time
) -> WSGIApplication:
    """The pages of `house` as a WSGI application, in local time of `zone`.

    It answers to IP addresses, to this machine's own name, to names with a local end and to `host_names`.
    """
    pages = Pages(house, zone, now)
    app = bottle.Bottle()
    app.catchall = False  # errors reach the doorkeeper, never bottle's own pages
    for rule, callback in (
        ("/", pages.page),
        ("/health", pages.health),
        ("/api/v1/meters", pages.meters),
        ("/api/v1/meters/<meter>", pages.meter),
        ("/favicon.ico", pages.favicon),
        ("/robots.txt", pages.robots),
        ("/static/<name>", pages.static),
        ("/<path:path>", pages.nothing),
    ):
        app.route(rule, "GET", callback)
    return guarded(with_pictures(app, house), own_names(socket.gethostname()) | set(host_names))


def with_pictures(app: WSGIApplication, house: House) -> WSGIApplication:
    """Serve `/<meter>/<period>.png` and `.svg`, and leave the rest to `app`.

    Most requests are for pictures that the house has ready: bottle's routing would cost several times the rest.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = PICTURE_PATH.fullmatch(environ.get("PATH_INFO", ""))
        if not asked:
            return app(environ, start_response)
        meter, period, image_format = asked.groups()
        query, accepted = environ.get("QUERY_STRING", ""), environ.get("HTTP_ACCEPT_LANGUAGE", "")
        picture = house.picture(meter, picture_request(period, image_format, query, accepted))
        return _send_picture(picture, IMAGE_TYPES[image_format], environ, start_response)

    return answer


def _send_picture(
    picture: Picture, content_type: str, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer with the picture; a browser that has it already gets 304."""
    headers = [
        ("Cache-Control", f"private, max-age={picture.fresh_seconds}, must-revalidate"),
        ("ETag", f'"{picture.etag}"'),
        ("Vary", "Accept-Language"),
    ]
    if _unchanged(environ, picture.etag):
        start_response("304 Not Modified", headers)
        return []
    headers += [("Content-Type", content_type), ("Content-Length", str(len(picture.image)))]
    start_response("200 OK", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [picture.image]


def _unchanged(environ: WSGIEnvironment, tag: str) -> bool:
    """Whether the browser's If-None-Match names `tag`, so that 304 is the answer (RFC 9110, 13.1.2)."""
    known = environ.get("HTTP_IF_NONE_MATCH")
    return known is not None and (
        known == "*" or f'"{tag}"' in (one.strip().removeprefix("W/") for one in known.split(","))
    )


class Pages:
    """The routes, with what they ask and the files they serve."""

    def __init__(self, house: House, zone: ZoneInfo, now: Callable[[], float]) -> None:
        folder = www_folder()
        self.house, self.zone, self.now = house, zone, now
        self.assets: Mapping[str, Asset] = load_assets(folder / "static")
        self.template = bottle.SimpleTemplate((folder / "page.html").read_text(encoding="utf-8"))
        self.catalogue = {name: texts(name) for name in LANGUAGES}

    def page(self) -> bytes:
        """The page: every meter with its figures and graphs."""
        given = parameters(_query(), ("lang", "refresh"))
        words = self.catalogue[spoken := language(given, _accepted())]
        readings, health = self.house.meters(), self.house.health()
        body = self.template.render(
            language=spoken,
            words=words,
            zone=self.zone.key or "",  # without a name the script takes the browser's zone
            faults=notice_texts(health.faults, readings, words),
            warnings=notice_texts(health.warnings, readings, words),
            meters=[meter_view(reading, words, self.zone, self.now()) for reading in readings],
            graphs={reading.meter: self._graphs(reading.meter, spoken) for reading in readings},
            refreshing=choice(given, "refresh", ("on", "off"), "on") == "on",
            address=lambda **changes: _address("/", {**given, **changes}),
            static=lambda name: f"/static/{name}?v={self.assets[name].version}",
            picture=lambda meter, period, **size: _address(f"/{meter}/{period}.png", {**size, "lang": spoken}),
            version=__version__,
        )
        return _reply(body.encode(), "text/html; charset=utf-8", CHECKED, Vary="Accept-Language")

    def meters(self) -> bytes:
        """The readings of all meters as JSON."""
        parameters(_query(), ())
        return _json({"meters": [reading._asdict() for reading in self.house.meters()]})

    def meter(self, meter: str) -> bytes:
        """The reading of one meter as JSON."""
        parameters(_query(), ())
        return _json(self.house.meter(meter)._asdict())

    def health(self) -> bytes:
        """Whether all is well, for a machine that watches: 503 where something is at fault."""
        parameters(_query(), ())
        health, readings, words = self.house.health(), self.house.meters(), self.catalogue["en"]
        answer = {
            "status": "fault" if health.faults else "warning" if health.warnings else "ok",
            "faults": notice_texts(health.faults, readings, words),
            "warnings": notice_texts(health.warnings, readings, words),
        }
        return _json(answer, 503 if health.faults else 200)

    def static(self, name: str) -> bytes:
        """A file of the page; for ever where the address names its version."""
        given = parameters(_query(), ("v",))
        if name not in self.assets:
            raise UnknownNameError(f"There is no file {shown(name)}.")
        asset = self.assets[name]
        cached = FOR_EVER if given.get("v") == asset.version else CHECKED
        unchanged = _unchanged(bottle.request.environ, asset.version)
        status, content = (304, b"") if unchanged else (200, asset.content)
        return _reply(content, asset.content_type, cached, status, ETag=f'"{asset.version}"')

    def favicon(self) -> bytes:
        """The icon where browsers look for it unasked."""
        return self.static("favicon.ico")

    def robots(self) -> bytes:
        """Nothing here is for search engines."""
        return _reply(b"User-agent: *\nDisallow: /\n", "text/plain; charset=utf-8", CHECKED)

    def nothing(self, path: str) -> bytes:
        """Every other address."""
        raise UnknownNameError(f"There is no page {shown('/' + path)}.")

    def _graphs(self, meter: str, spoken: str) -> list[GraphView]:
        words = self.catalogue[spoken]
        return [graph_view(period, self._figures(meter, period), words, self.zone) for period in PERIODS.values()]

    def _figures(self, meter: str, period: Period) -> Figures | BarFigures | None:
        """The figures of a graph; the page also works while none can be had."""
        try:
            return self.house.figures(meter, period.name)
        except ReaderError:
            return None


def _address(path: str, parameters: Mapping[str, object]) -> str:
    return quote(path) + ("?" + urlencode(parameters) if parameters else "")


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
