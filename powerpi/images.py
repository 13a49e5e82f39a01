"""Graphs over WSGI: `/<meter>/<period>.png` and `.svg`, before any routing.

Most requests are for pictures that the house has ready: bottle's routing would cost several times the rest.
In: what draws a PictureRequest. Out: a WSGI application that answers these addresses, with ETag and 304.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from powerpi.ask import picture_request
from powerpi.pictures import Picture, PictureRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Names of meters and periods; the folder static has its own pictures.
PICTURE_PATH = re.compile(r"/(?!static/)([a-z0-9_-]+)/([a-z0-9]+)\.(png|svg)")
LEAST_FRESH_SECONDS = 2  # reloading faster shows nothing new
IMAGE_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


def with_pictures(
    app: WSGIApplication, draw: Callable[[str, PictureRequest], Picture], now: Callable[[], float]
) -> WSGIApplication:
    """Answer the addresses of pictures with what `draw` makes for the name of a meter, and leave the rest to `app`."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = PICTURE_PATH.fullmatch(environ.get("PATH_INFO", ""))
        if not asked:
            return app(environ, start_response)
        meter, period, image_format = asked.groups()
        query, accepted = environ.get("QUERY_STRING", ""), environ.get("HTTP_ACCEPT_LANGUAGE", "")
        picture = draw(meter, picture_request(period, image_format, query, accepted))
        fresh_seconds = max(LEAST_FRESH_SECONDS, picture.stale_time - int(now()))
        return _send(picture, fresh_seconds, IMAGE_TYPES[image_format], environ, start_response)

    return answer


def _send(
    picture: Picture, fresh_seconds: int, content_type: str, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer with the picture; a browser that has it already gets 304."""
    headers = [
        ("Cache-Control", f"private, max-age={fresh_seconds}, must-revalidate"),
        ("ETag", f'"{picture.etag}"'),
        ("Vary", "Accept-Language"),
    ]
    if unchanged(environ, picture.etag):
        start_response("304 Not Modified", headers)
        return []
    headers += [("Content-Type", content_type), ("Content-Length", str(len(picture.image)))]
    start_response("200 OK", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [picture.image]


def unchanged(environ: WSGIEnvironment, tag: str) -> bool:
    """Whether the browser's If-None-Match names `tag`, so that 304 is the answer (RFC 9110, 13.1.2)."""
    known = environ.get("HTTP_IF_NONE_MATCH")
    return known is not None and (
        known == "*" or f'"{tag}"' in (one.strip().removeprefix("W/") for one in known.split(","))
    )
