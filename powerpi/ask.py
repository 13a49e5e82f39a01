"""What a request asks for: query strings and the Accept-Language header to checked values.

Every parameter is known, given once and within its bounds, or a RequestError says in one sentence what was wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import TypeVar
from urllib.parse import parse_qsl

from powerpi.errors import RequestError, UnknownNameError, shown
from powerpi.periods import PERIODS, Period
from powerpi.pictures import PictureRequest
from powerpi.texts import LANGUAGES

Missing = TypeVar("Missing", int, None)

DEFAULT_LANGUAGE = "en"
WIDTH_PIXELS = range(200, 2001)
HEIGHT_PIXELS = range(120, 1201)
ZOOMS = range(1, 4)
MOST_DOTS = 4_000_000  # of the drawn picture: each takes 4 bytes, and some 0.2 us of a PC's time
MOST_PARAMETERS = 20
END_TIMES = range(946_684_800, 4_102_444_801)  # Unix seconds of the years 2000 to 2099

WHOLE_NUMBER = re.compile(r"[0-9]{1,10}")  # ASCII digits only: int() alone takes '٣' and '1_000' too
LANGUAGE_PARAMETER = re.compile(rf"(?:^|&)lang=({'|'.join(LANGUAGES)})(?:&|$)")
LANGUAGE_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?")


@lru_cache(maxsize=256)
def picture_request(period: str, image_format: str, query: str, accepted: str) -> PictureRequest:
    """The picture that an address asks for; `query` is the raw query string, `accepted` the Accept-Language header.

    Raises UnknownNameError for a period that is not drawn, RequestError for a bad parameter.
    """
    known_period(period)
    given = parameters(query, ("end", "width", "height", "zoom", "lang", "v"))
    request = PictureRequest(
        period=period,
        image_format=image_format,
        end=end_time(given),
        width=_whole_number(given, "width", WIDTH_PIXELS, 900),
        height=_whole_number(given, "height", HEIGHT_PIXELS, 300),
        zoom=_whole_number(given, "zoom", ZOOMS, 1),
        language=language(given, accepted),
    )
    dots = request.width * request.height * request.zoom**2
    if dots > MOST_DOTS:
        raise RequestError("too_many_dots", most=MOST_DOTS, dots=dots)
    return request


def known_period(name: str) -> Period:
    """The period of that name; raises UnknownNameError."""
    if name not in PERIODS:
        raise UnknownNameError("no_period", name=shown(name), known=", ".join(PERIODS))
    return PERIODS[name]


def end_time(given: Mapping[str, str]) -> int | None:
    """The parameter `end`, in Unix seconds; None where it is not given: now."""
    return _whole_number(given, "end", END_TIMES, None)


def parameters(query: str, known: Iterable[str]) -> Mapping[str, str]:
    """The parameters of a raw query string by name; RequestError unless each is one of `known` and given once.

    `v` only makes an address new for a browser that keeps old pictures; its value is not looked at.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError:  # a UnicodeDecodeError is one too
        raise RequestError("unreadable_query", most=MOST_PARAMETERS) from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise RequestError("parameter_twice")
    for name in given:
        if name not in known:
            raise RequestError("no_parameter", name=shown(name), known=", ".join(known) or "-")
    return given


def _whole_number(given: Mapping[str, str], name: str, bounds: range, missing: Missing) -> int | Missing:
    if name not in given:
        return missing
    value = given[name]
    if not WHOLE_NUMBER.fullmatch(value) or int(value) not in bounds:
        raise RequestError("number_out_of_bounds", name=name, low=bounds[0], high=bounds[-1], value=shown(value))
    return int(value)


def choice(given: Mapping[str, str], name: str, choices: tuple[str, ...], missing: str) -> str:
    """The value of a parameter that is one of `choices`, `missing` where it is not given."""
    value = given.get(name, missing)
    if value not in choices:
        raise RequestError("no_choice", name=name, choices=", ".join(choices), value=shown(value))
    return value


def language(given: Mapping[str, str], accepted: str) -> str:
    """The language to answer in: the parameter `lang`, else what the browser likes best, else English."""
    return choice(given, "lang", LANGUAGES, preferred_language(accepted))


def error_language(query: str, accepted: str) -> str:
    """The language to word an error in: as `language`, but a query of any kind will do."""
    asked = LANGUAGE_PARAMETER.search(query)
    return asked[1] if asked else preferred_language(accepted)


@lru_cache(maxsize=256)
def preferred_language(accepted: str) -> str:
    """The member of LANGUAGES with the highest quality in an Accept-Language header (RFC 9110, 12.5.4), else English.

    Among equals the first named wins, as browsers list the better liked first; what is malformed is passed over.
    """
    ranges = [match for part in accepted.split(",") if (match := LANGUAGE_RANGE.fullmatch(part))]
    liked = [(match[1].lower().replace("*", DEFAULT_LANGUAGE), float(match[2] or 1)) for match in ranges]
    spoken = [(name, quality) for name, quality in liked if name in LANGUAGES and quality > 0]
    return max(spoken, key=itemgetter(1), default=(DEFAULT_LANGUAGE, 1.0))[0]
