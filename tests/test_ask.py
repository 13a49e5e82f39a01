"""Query strings and Accept-Language headers; bad parameters are tested with their sentences in test_web."""

from __future__ import annotations

import pytest

from powerpi.ask import error_language, known_period, parameters, picture_request, preferred_language
from powerpi.errors import RequestError, UnknownNameError


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("fr, it;q=0.9", "en"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("en;q=0.2, de;q=0.3", "de"),
        ("fr, de;q=0.1", "de"),
        ("de, en", "de"),
        ("en, de", "en"),
        ("de;q=0", "en"),
        ("de;q=0.000, fr", "en"),
        ("de;q=0.5, *;q=0.9", "en"),
        ("de;q=x, en;q=0.1", "en"),
        ("den, dex;q=1", "en"),
        (" de ; q=0.7 , en;q=0.6", "de"),
        (";;,,==", "en"),
    ],
)
def test_browser_gets_the_language_it_likes_best(accepted: str, language: str) -> None:
    assert preferred_language(accepted) == language


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "de", "de"),
        ("lang=en", "de", "en"),
        ("width=1&lang=de&colour=%ff", "", "de"),
        ("lang=fr", "de", "de"),
        ("lang=den&slang=de", "", "en"),
        ("lang=", "", "en"),
    ],
)
def test_errors_are_worded_in_the_language_asked_for_whatever_else_is_wrong(
    query: str, accepted: str, language: str
) -> None:
    assert error_language(query, accepted) == language


def test_a_period_is_known_by_its_name() -> None:
    assert known_period("12h").seconds == 43_200
    with pytest.raises(UnknownNameError, match="There is no period 'decade'; known: hour, 12h, "):
        known_period("decade")


def test_parameters_are_decoded() -> None:
    assert parameters("lang=d%65&v=a+b", ("lang", "v")) == {"lang": "de", "v": "a b"}


def test_no_query_is_no_parameters() -> None:
    assert parameters("", ()) == {}


def test_parameter_without_a_value_is_not_passed_over() -> None:
    with pytest.raises(RequestError, match="There is no parameter 'width' here; known: -"):
        parameters("width", ())


def test_a_picture_with_too_many_dots_is_refused() -> None:
    with pytest.raises(RequestError, match=r"width x height x zoom² must be at most 4000000, not 9600000\."):
        picture_request("day", "png", "width=2000&height=1200&zoom=2", "")
    assert picture_request("day", "png", "width=1600&height=600&zoom=2", "").zoom == 2
