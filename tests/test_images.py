"""Addresses of pictures and what a browser knows already; all the rest of the answer is tested in test_web."""

from __future__ import annotations

import pytest

from powerpi.images import unchanged, with_pictures
from powerpi.pictures import Picture, PictureRequest


@pytest.mark.parametrize("known", ['"tag"', 'W/"tag"', '"old", "tag"', '"old",W/"tag"', "*"])
def test_a_tag_the_browser_names_is_unchanged(known: str) -> None:
    assert unchanged({"HTTP_IF_NONE_MATCH": known}, "tag")


@pytest.mark.parametrize(
    "environ", [{}, *({"HTTP_IF_NONE_MATCH": known} for known in ("", "tag", '"tags"', '"ta", "g"'))]
)
def test_other_tags_are_not(environ: dict[str, str]) -> None:
    assert not unchanged(environ, "tag")


@pytest.mark.parametrize(
    ("path", "drawn"),
    [
        ("/house/day.png", [("house", "day", "png")]),
        ("/heat-pump_2/12h.svg", [("heat-pump_2", "12h", "svg")]),
        ("/static/day.png", []),  # a file of the page
        ("/house/day", []),
        ("/house/day.gif", []),
        ("/a/house/day.png", []),
        ("/house/day.png\n", []),
    ],
)
def test_only_addresses_of_pictures_are_drawn(path: str, drawn: list[tuple[str, str, str]]) -> None:
    asked = []

    def draw(meter: str, request: PictureRequest) -> Picture:
        asked.append((meter, request.period, request.image_format))
        return Picture(b"drawn", "tag", 1060)

    def page(environ, start_response):
        return [b"page"]

    def start_response(status, headers):
        assert drawn

    body = with_pictures(page, draw, lambda: 1000.0)({"PATH_INFO": path, "REQUEST_METHOD": "GET"}, start_response)
    assert asked == drawn
    assert body == [b"drawn" if drawn else b"page"]
