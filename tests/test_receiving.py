"""The receiving routes over a real waitress: who may write what, and that what is refused changes nothing."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import math
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from conftest import START, ClockedFactory, HandClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pair import HASH, LOGIN, PASSWORD, SENDER, STATE, Answer, Mirroring, ask, contents, known_rows

from powerpi import building, config, passwords
from powerpi.guard import PAGE_HEADERS
from powerpi.logins import basic
from powerpi.messages import MOST_PULSES, Push, Rows, push_message
from powerpi.pulses import STEP_SECONDS
from powerpi.ring import UNKNOWN
from powerpi.wire import API, PACKED_BYTES, PLAIN_BYTES, pack

OTHER, OTHER_PASSWORD = "pi-two", "anderes"
OTHER_LOGIN = basic(OTHER, OTHER_PASSWORD)
EXTRA = f"""[mirror {OTHER}]
password_hash = {passwords.hashed(OTHER_PASSWORD, 10)}
meters = shed
[meter cellar]
gpio = 24
[store]
archive_years = 1
"""
HOUSE = API + "house"
ROWS = 100
NEWEST = START + ROWS * STEP_SECONDS  # what the mirror of these tests holds of the house
JSON_GZIP = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def message(after: int = NEWEST, rates: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A push of a PowerPi whose rows follow those that are held; `changes` are what is wrong with it."""
    whole = {"step_seconds": 10, "after": after, "rates": [0.1, None, 0.3] if rates is None else rates, "pulses": 30.5}
    return {**whole, "state": None, **changes}


def state(**changes: Any) -> dict[str, Any]:
    """A push of no rows, whose state is wrong in `changes`."""
    said = push_message(Push(Rows(10, NEWEST, UNKNOWN[:0]), None, STATE._replace(pulses=31)))
    return {**said, "state": {**said["state"], **changes}}


def post(port: int, path: str, said: dict[str, Any], login: str | None = LOGIN) -> Answer:
    return ask(port, "POST", path, pack(said), login=login, headers=JSON_GZIP)


def plain(port: int, body: str | bytes, path: str = HOUSE, **headers: str) -> Answer:
    """A body that is not packed."""
    return ask(port, "POST", path, body.encode() if isinstance(body, str) else body, headers=headers)


def one_sentence(answer: Answer, status: int, words: str = "") -> None:
    """The answer is this status and one clear sentence, with everything that all answers carry."""
    assert (answer.status, words in answer.text) == (status, True), (answer.status, answer.text)
    assert answer.text.endswith(".\n")
    assert answer.text.count("\n") == 1
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert {(name.lower(), value) for name, value in PAGE_HEADERS} <= set(answer.headers.items())


def hold(port: int) -> None:
    """Let the mirror hold ROWS rows of the house, 0.25 pulses a second but for one that is unknown, and a state."""
    rates: list[float | None] = [0.25] * ROWS
    rates[50] = None
    said = message(START, rates, pulses=300.25, state={**state()["state"], "pulses": 301})
    assert post(port, HOUSE, said).status == 200


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirroring]:
    """A mirror that refuses everything that it is asked in these tests, and stays as it is."""
    clock = HandClock(NEWEST + 60)
    folder = tmp_path_factory.mktemp("held")
    made = Mirroring(folder, clock, EXTRA, meters="house, workshop as garage", factory=ClockedFactory(clock))
    with made.serving() as running:
        hold(running.port)
        before = contents(folder)
        yield running
        assert contents(folder) == before


@pytest.fixture
def mirroring(tmp_path: Path) -> Iterator[Mirroring]:
    """A mirror of its own for a test that writes; it holds the same rows."""
    clock = HandClock(NEWEST + 60)
    with Mirroring(tmp_path / "m", clock, EXTRA, "house, workshop as garage", ClockedFactory(clock)).serving() as made:
        hold(made.port)
        yield made


@contextlib.contextmanager
def unchanged(mirroring: Mirroring) -> Iterator[None]:
    """No file in the state folder is written, and nothing of what is remembered changes.

    `held` compares all bytes at its end: of 50 MB once, not 200 times.
    """

    def known() -> list[object]:
        assert mirroring.parts.mirror
        return [
            (one.standing(whole=True), one.facts, one.edition, one.live, one.faults)
            for one in mirroring.parts.mirror.meters
        ]

    folder = mirroring.settings.state
    before, known_before = stamps(folder), known()
    yield
    assert stamps(folder) == before
    assert known() == known_before


def stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What tells that a file was written, without a look at its megabytes."""
    found = {path.name: path.stat() for path in folder.iterdir()}
    return {name: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


# ---------------------------------------------------------------- messages that will not do

BOMB = gzip.compress(bytes(100_000_000), 1)[:PACKED_BYTES]
GOOD = pack(message())
BODIES = [
    (b"", "gzip", "is not one whole gzip stream"),
    (b"{}", "gzip", "is not gzip"),
    (GOOD[:-1], "gzip", "is not one whole gzip stream"),
    (GOOD[: len(GOOD) // 2], "gzip", "is not one whole gzip stream"),
    (GOOD + b"x", "gzip", "is not one whole gzip stream"),
    (GOOD + GOOD, "gzip", "is not one whole gzip stream"),
    (GOOD[:-6] + bytes(6), "gzip", "is not gzip"),
    (BOMB, "gzip", f"unpacks to more than {PLAIN_BYTES} bytes"),
    (gzip.compress(b" " * PLAIN_BYTES + b"{}"), "gzip", f"unpacks to more than {PLAIN_BYTES} bytes"),
    (GOOD, "br", "is encoded as 'br': wanted gzip"),
    (GOOD, "gzip, gzip", "is encoded as 'gzip, gzip': wanted gzip"),
    (GOOD, "identity", "is not JSON"),
    (b"", "identity", "is not JSON"),
    (b"[]", "identity", "the body is '[]': wanted an object"),
    (b"null", "identity", "the body is missing: wanted an object"),
    (b'{"a": 1} {}', "identity", "is not JSON"),
    (b"\xff\xfe\xfd", "identity", "is not JSON"),
    (b"[" * 200_000, "identity", "is not JSON"),
    (b'{"rates":' * 50_000, "identity", "is not JSON"),
    (b"9" * 5000, "identity", ""),
]


@pytest.mark.parametrize(
    ("body", "coding", "words"), BODIES, ids=[f"{number} {words}" for number, (_, _, words) in enumerate(BODIES)]
)
def test_a_body_that_is_no_message_changes_nothing(held: Mirroring, body: bytes, coding: str, words: str) -> None:
    with unchanged(held):
        for path in (HOUSE, HOUSE + "/repair", HOUSE + "/counter"):
            one_sentence(plain(held.port, body, path, **{"Content-Encoding": coding}), 400, words)


def with_rate(text: str) -> str:
    """A message whose second row is `text`, as JSON."""
    return json.dumps(message(rates=[0.1, "HERE", 0.3])).replace('"HERE"', text)


VALUES = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e400",
    "-0.1",
    "-1e-300",
    "1000000.1",
    '"0.1"',
    "true",
    "[]",
    "{}",
]
VALUES += ["9" * 400, "[0.1]", '"NaN"', '"0.1"']


@pytest.mark.parametrize("value", VALUES)
def test_a_row_that_is_no_rate_is_named_and_nothing_changes(held: Mirroring, value: str) -> None:
    constant = value.strip("-") in ("NaN", "Infinity")
    words = f"{value} is no value" if constant else f"the row at {NEWEST + 20} is "
    with unchanged(held):
        for path in (HOUSE, HOUSE + "/repair"):
            one_sentence(plain(held.port, with_rate(value), path), 400, words)


def test_zero_and_the_greatest_rate_are_rows(mirroring: Mirroring) -> None:
    assert plain(mirroring.port, json.dumps(message(rates=[0, -0.0, 1e6, 5e-324]))).status == 200
    found = known_rows(mirroring.meter().ledger, NEWEST, NEWEST + 40)
    assert list(found.values()) == [0.0, 0.0, 1e6, 5e-324]


WRONG = [
    (message(rates=[0.1] * 8641), "rates has 8641 entries: wanted a list of at most 8640"),
    (message(rates="0.1"), "rates is "),  # type: ignore[arg-type]
    ({"step_seconds": 10, "after": NEWEST, "pulses": 1}, "rates is missing"),
    (message(after=NEWEST + 5), f"after is {NEWEST + 5}: wanted a multiple of 10"),
    (message(after=-10), "after is '-10'"),
    (message(after=1 << 40), "after is "),
    (message(after=NEWEST + 0.0), "after is "),  # type: ignore[arg-type]
    (message(after=None), "after is missing"),  # type: ignore[arg-type]
    (message(after=True), "after is 'true'"),
    (message(step_seconds=60), "step_seconds is '60': wanted one of 10, 900"),
    (message(step_seconds=True), "step_seconds is 'true'"),
    (message(step_seconds=[]), "step_seconds is '[]'"),
    (message(step_seconds={}), "step_seconds is '{}'"),
    (message(step_seconds="10"), "step_seconds is "),
    (message(step_seconds=None), "step_seconds is missing"),
]
WRONG_PUSHES = [
    (message(step_seconds=900, after=NEWEST // 900 * 900), "step_seconds is 900: wanted 10 for new rows"),
    (message(pulses=None), "pulses is missing"),
    (message(pulses=-0.5), "pulses is "),
    (message(pulses=2 * MOST_PULSES), "pulses is "),
    (message(pulses="30"), "pulses is "),
    (message(state=[]), "state is '[]': wanted an object"),
    (message(state=1), "state is '1': wanted an object"),
    (message(state={}), "label is missing"),
    (message(after=0, rates=[1]), "2020"),
    (message(after=10, rates=[1]), "2020"),
    (message(after=1_577_836_790, rates=[1]), "2020"),
]


@pytest.mark.parametrize(("said", "words"), WRONG, ids=[words for _, words in WRONG])
def test_wrong_rows_change_nothing(held: Mirroring, said: dict[str, Any], words: str) -> None:
    with unchanged(held):
        for path in (HOUSE, HOUSE + "/repair", API + "workshop"):
            one_sentence(post(held.port, path, said), 400, words)


@pytest.mark.parametrize(("said", "words"), WRONG_PUSHES, ids=[words for _, words in WRONG_PUSHES])
def test_wrong_pushes_change_nothing(held: Mirroring, said: dict[str, Any], words: str) -> None:
    with unchanged(held):
        one_sentence(post(held.port, API + "workshop", said), 400, words)


STATES: list[tuple[str, Any]] = [
    *(("label", value) for value in ("", "x" * 41, "a\nb", "\ud800", 5, None, "a\x7f")),
    *(("imp_per_kwh", value) for value in (0, -1, 100_001, "1000", None, True)),
    *(("offset_kwh", value) for value in (1e10, -1e10, "0", None)),
    *(("pulses", value) for value in (-1, 1.5, MOST_PULSES + 1, None, True, 1e300, 10**400)),
    *(("interval_seconds", value) for value in (0, -1, 1e10, "4")),
    *(("last_pulse_age_seconds", value) for value in (-1, 1e10, "2")),
    *(("begun_age_seconds", value) for value in (-1, None)),
    *(("contact_closed_age_seconds", value) for value in (-1, False)),
    *(("edges_rejected", value) for value in (-1, 0.5, None)),
    *(("edges_lost", value) for value in (-1, None)),
    *(("lost_edge_age_seconds", value) for value in (-1,)),
    *(("push_seconds", value) for value in (0, 86401, 1.5, None)),
    *(("gaps", value) for value in ("", {}, [1], [[1, 2]], [[1, 2, "bored"]], [[2, 1, "stopped"]], [[1, 1, "ended"]])),
    *(("gaps", value) for value in ([[0, 1, "ended"]], [[True, 2, "ended"]], [[1, 1 << 33, "ended"]])),
    ("gaps", [[1, 2, "ended"]] * 1002),
]


def test_a_state_with_one_wrong_value_changes_nothing(held: Mirroring) -> None:
    with unchanged(held):
        for name, value in STATES:
            said = state(**{name: value})
            one_sentence(plain(held.port, json.dumps(said)), 400, "gap" if name == "gaps" else name)
            # the rows that come along are not taken either
            one_sentence(plain(held.port, json.dumps({**message(), "state": said["state"]})), 400)


# ---------------------------------------------------------------- rows that do not fit

CONFLICTS = [
    ("twice", message(START, [0.25] * ROWS)),
    ("the last one twice", message(NEWEST - 10, [0.25])),
    ("overlapping", message(NEWEST - 50, [0.25] * 10)),
    ("out of order", message(START - 1000, [0.25] * 10)),
]


@pytest.mark.parametrize("said", [said for _, said in CONFLICTS], ids=[name for name, _ in CONFLICTS])
def test_rows_that_are_there_already_are_refused_and_change_nothing(held: Mirroring, said: dict[str, Any]) -> None:
    with unchanged(held):
        one_sentence(post(held.port, HOUSE, said), 409, f"{NEWEST}")
        one_sentence(post(held.port, HOUSE, {**said, "state": state()["state"]}), 409)


def test_rows_in_the_future_are_refused_and_change_nothing(held: Mirroring) -> None:
    now = NEWEST + 60
    with unchanged(held):
        one_sentence(post(held.port, HOUSE, message(now // 10 * 10 + 300, [0.1])), 422, "")
        one_sentence(post(held.port, HOUSE, message(4_294_967_290, [0.1])), 422)
        one_sentence(post(held.port, HOUSE, message(NEWEST, [0.1] * 37)), 422)  # the last one ends 310 s from now


def test_rows_up_to_five_minutes_ahead_are_taken(mirroring: Mirroring) -> None:
    assert post(mirroring.port, HOUSE, message(NEWEST, [0.1] * 36)).status == 200  # ends 300 s from now


REPAIRS = [
    ("before what is held", message(START - 367 * 86400, [0.1])),
    ("after what is held", message(NEWEST, [0.1])),
    ("partly after", message(NEWEST - 10, [0.1, 0.1])),
    ("in the future", message(NEWEST + 86400, [0.1])),
    ("means after what is held", message((NEWEST // 900 + 1) * 900, [0.1], step_seconds=900)),
]


@pytest.mark.parametrize("said", [said for _, said in REPAIRS], ids=[name for name, _ in REPAIRS])
def test_only_what_is_held_is_repaired(held: Mirroring, said: dict[str, Any]) -> None:
    with unchanged(held):
        one_sentence(post(held.port, HOUSE + "/repair", said), 409)
        one_sentence(post(held.port, API + "workshop/repair", said), 409)  # nothing is held of that


def test_a_repair_puts_known_rows_in_place_and_keeps_what_it_does_not_know(mirroring: Mirroring) -> None:
    said = message(START + 480, [0.5, None, 0.75, None])  # rows 49 to 52; the second of them, number 50, is unknown
    assert post(mirroring.port, HOUSE + "/repair", said).status == 200
    found = known_rows(mirroring.meter().ledger, START, NEWEST)
    expected = {START + 10 * (number + 1): 0.25 for number in range(ROWS)}
    expected |= {START + 490: 0.5, START + 510: 0.75}
    assert found == expected


# ---------------------------------------------------------------- the counter

COUNTERS = [None, -1, 1.5, True, "5", MOST_PULSES + 1, 1e400, [], 10**400]


@pytest.mark.parametrize("value", COUNTERS, ids=[str(value)[:20] for value in COUNTERS])
def test_a_counter_that_is_none_changes_nothing(held: Mirroring, value: Any) -> None:
    with unchanged(held):
        answer = plain(held.port, json.dumps({"pulses": value}).replace("Infinity", "1e400"), HOUSE + "/counter")
        one_sentence(answer, 400, "pulses is ")


def test_the_counter_never_goes_back_by_itself_but_it_can_be_set(mirroring: Mirroring) -> None:
    port = mirroring.port
    assert post(port, HOUSE, state(pulses=500)).json["pulses"] == 500
    assert post(port, HOUSE, state(pulses=499)).json["pulses"] == 500
    assert post(port, HOUSE, {**message(pulses=3.5), "state": state(pulses=0)["state"]}).json["pulses"] == 500
    found = post(port, HOUSE + "/counter", {"pulses": 499})
    assert (found.status, found.json["pulses"], found.json["pulses_time"]) == (200, 499, NEWEST + 30)
    assert ask(port, "GET", HOUSE).json["pulses"] == 499
    assert mirroring.meter().store.stored_pulses == 499


# ---------------------------------------------------------------- what is read


def test_the_standing_tells_what_is_held(mirroring: Mirroring) -> None:
    found = ask(mirroring.port, "GET", HOUSE)
    assert (found.status, found.headers["content-type"]) == (200, "application/json")
    assert found.headers["cache-control"] == "no-store"
    until = NEWEST // 900 * 900
    assert found.json == {
        "newest": NEWEST,
        "newest_pulses": 300.25,
        "pulses": 301,
        "pulses_time": NEWEST,
        "spans": {"10": [NEWEST - 366 * 86400, NEWEST], "900": [until - 366 * 86400, until]},
        "watched": False,
        "offset_kwh": 12.5,
        "gaps": [],
    }


def test_of_a_meter_that_never_came_nothing_is_held(held: Mirroring) -> None:
    with unchanged(held):
        found = ask(held.port, "GET", API + "workshop").json
        assert (found["newest"], found["pulses"], found["spans"]) == (None, 0, {})
        query = f"?step_seconds=10&after={START}&until={START + 30}"
        assert ask(held.port, "GET", f"{API}workshop/rows{query}").json["rates"] == [None] * 3
        assert ask(held.port, "GET", f"{API}workshop/digests{query}").json == {"digests": []}


def test_rows_are_read_as_they_were_sent(held: Mirroring) -> None:
    with unchanged(held):
        found = ask(held.port, "GET", f"{HOUSE}/rows?step_seconds=10&after={START + 490}&until={START + 520}").json
    assert found == {"step_seconds": 10, "after": START + 490, "rates": [0.25, None, 0.25]}


def test_a_longer_answer_comes_packed_to_who_takes_that(held: Mirroring) -> None:
    path = f"{HOUSE}/rows?step_seconds=10&after={START - 4000}&until={START + 1000}"
    found = ask(held.port, "GET", path, headers={"Accept-Encoding": "deflate, gzip"})
    assert found.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(found.body)) == ask(held.port, "GET", path).json


FULL_DAY = {"step_seconds": 10, "after": 86400 * 19675, "until": 86400 * 19676}
QUERIES = [
    ({}, "step_seconds is ''"),
    ({**FULL_DAY, "step_seconds": 60}, "step_seconds is '60': wanted one of 10, 900"),
    ({**FULL_DAY, "step_seconds": -10}, "step_seconds is '-10'"),
    ({**FULL_DAY, "step_seconds": "1e1"}, "step_seconds is '1e1'"),
    ({**FULL_DAY, "step_seconds": "٣"}, "step_seconds is "),
    ({**FULL_DAY, "after": 86400 * 19675 + 5}, "wanted a multiple of 10"),
    ({**FULL_DAY, "step_seconds": 900, "after": 86400 * 19675 + 10}, "wanted a multiple of 900"),
    ({**FULL_DAY, "after": "9" * 11}, "after is "),
    ({**FULL_DAY, "after": 9_999_999_990}, "after is "),
    ({**FULL_DAY, "until": ""}, "until is ''"),
    ({**FULL_DAY, "until": FULL_DAY["after"]}, "wanted a time later than the first"),
    ({**FULL_DAY, "until": FULL_DAY["after"] - 10}, "wanted a time later than the first"),
    ({**FULL_DAY, "fresh": "perhaps"}, "fresh"),
    ({**FULL_DAY, "days": 3}, "days"),
]


@pytest.mark.parametrize(("query", "words"), QUERIES, ids=[words for _, words in QUERIES])
def test_a_query_that_will_not_do_is_refused(held: Mirroring, query: dict[str, Any], words: str) -> None:
    with unchanged(held):
        for what in ("rows", "digests"):
            one_sentence(ask(held.port, "GET", f"{HOUSE}/{what}?{urlencode(query)}"), 400, words)


def test_a_parameter_given_twice_or_where_none_is_known_is_refused(held: Mirroring) -> None:
    query = urlencode(FULL_DAY)
    with unchanged(held):
        one_sentence(ask(held.port, "GET", f"{HOUSE}/rows?{query}&after=0"), 400)
        one_sentence(ask(held.port, "GET", f"{HOUSE}?{query}"), 400)
        for path in (HOUSE, HOUSE + "/repair", HOUSE + "/counter"):
            one_sentence(post(held.port, path + "?force=yes", message()), 400, "'force'")


def test_rows_and_digests_are_bounded(held: Mirroring) -> None:
    day = 86400
    begin = FULL_DAY["after"]

    def get(what: str, until: int, after: int = begin) -> Answer:
        return ask(held.port, "GET", f"{HOUSE}/{what}?step_seconds=10&after={after}&until={until}")

    with unchanged(held):
        one_sentence(get("rows", begin + day + 10), 400, "one unit")
        one_sentence(get("rows", begin + 10, after=begin - 10), 400, "one unit")
        one_sentence(get("rows", 4_294_967_280), 400, "one unit")
        one_sentence(get("digests", begin + 1000 * day + 10), 400, "at most 1000 units")
        assert len(get("rows", begin + day).json["rates"]) == 8640


# ---------------------------------------------------------------- methods, paths, hosts, sizes


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize(("path", "allowed"), [("", "GET, POST"), ("/repair", "POST"), ("/rows", "GET")])
def test_other_methods_are_refused(held: Mirroring, method: str, path: str, allowed: str) -> None:
    with unchanged(held):
        found = ask(held.port, method, HOUSE + path, None if method in ("HEAD", "TRACE") else GOOD)
    assert (found.status, found.headers["allow"]) == (405, allowed)
    if method != "HEAD":
        one_sentence(found, 405)


def test_reading_routes_take_nothing_and_writing_ones_tell_nothing(held: Mirroring) -> None:
    with unchanged(held):
        for path in ("/rows", "/digests"):
            assert post(held.port, HOUSE + path, message()).status == 405
        for path in ("/repair", "/counter"):
            assert ask(held.port, "GET", HOUSE + path).status == 405


PATHS = [
    "",
    "/",
    "house/",
    "house/rows/",
    "house/rows/x",
    "house/../house",
    "/house",
    "house//rows",
    "HOUSE",
    "house%20",
]
PATHS += ["%00", "..%2f..%2fetc", "house%2frows%2fx", "hous%65%2565", "h%C3%A4user", "hou%2573e"]


@pytest.mark.parametrize("path", PATHS)
def test_other_paths_are_not_found(held: Mirroring, path: str) -> None:
    with unchanged(held):
        found = ask(held.port, "GET", API + path)
        if path != "house/":
            one_sentence(found, 400 if path == "%00" else 404)
        posted = ask(held.port, "POST", API + path + "x", GOOD, headers=JSON_GZIP)
        assert posted.status in (400, 404)


def test_a_foreign_host_learns_nothing(held: Mirroring) -> None:
    with unchanged(held):
        for login in (LOGIN, None):
            found = ask(held.port, "POST", HOUSE, GOOD, login=login, headers={**JSON_GZIP, "Host": "evil.example"})
            one_sentence(found, 421)
            assert "www-authenticate" not in found.headers


@pytest.mark.parametrize("path", [HOUSE, HOUSE + "/repair", HOUSE + "/counter", API])
def test_a_body_that_is_too_long_is_refused(held: Mirroring, path: str) -> None:
    asked = (
        f"POST {path} HTTP/1.1\r\nHost: pi.local\r\nAuthorization: {LOGIN}\r\nContent-Length: {PACKED_BYTES + 1}\r\n"
    )
    with unchanged(held), socket.create_connection(("127.0.0.1", held.port), timeout=20) as client:
        client.sendall(f"{asked}\r\n".encode() + bytes(1000))
        assert b"".join(iter(lambda: client.recv(65536), b"")).startswith(b"HTTP/1.1 413 ")


def test_the_longest_body_is_looked_at(held: Mirroring) -> None:
    with unchanged(held):
        one_sentence(ask(held.port, "POST", HOUSE, bytes(PACKED_BYTES), headers=JSON_GZIP), 400, "gzip")


def test_an_address_that_is_too_long_is_refused(held: Mirroring) -> None:
    with unchanged(held):
        one_sentence(ask(held.port, "GET", API + "h" * 1000), 414)


def test_a_body_in_chunks_is_a_body_too(mirroring: Mirroring) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", mirroring.port, timeout=20)
    body = iter([GOOD[:7], GOOD[7:]])
    connection.request("POST", HOUSE, body, {**JSON_GZIP, "Authorization": LOGIN}, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert mirroring.meter().standing().newest == NEWEST + 30


# ---------------------------------------------------------------- who


WRONG_LOGINS = [
    None, "", "Basic", "Bearer x", "Basic !", basic(SENDER, "wrong"), basic("nobody", PASSWORD),
    basic(SENDER, OTHER_PASSWORD), basic(OTHER, PASSWORD), basic(SENDER.upper(), PASSWORD), basic("house", PASSWORD),
]  # fmt: skip


@pytest.mark.parametrize("login", WRONG_LOGINS)
def test_nobody_else_reads_or_writes(tmp_path: Path, login: str | None) -> None:
    clock = HandClock(NEWEST + 60)
    with Mirroring(tmp_path / "m", clock, EXTRA, factory=ClockedFactory(clock)).serving() as mirroring:
        before = contents(mirroring.settings.state)
        for method, path in (("POST", HOUSE), ("GET", HOUSE), ("GET", API + "nothing")):
            found = ask(mirroring.port, method, path, GOOD if method == "POST" else None, login=login)
            if found.status != 429:  # the fourth wrong password in a row
                one_sentence(found, 401)
                assert found.headers["www-authenticate"] == 'Basic realm="PowerPi", charset="UTF-8"'
            assert not {"house", "shed", "cellar"} & set(found.text.split())
        assert contents(mirroring.settings.state) == before


def test_guesses_are_slowed_down_and_a_sender_that_logged_in_goes_on(mirroring: Mirroring) -> None:
    port = mirroring.port
    guesses = [ask(port, "GET", HOUSE, login=basic(SENDER, f"wrong{number}")) for number in range(5)]
    assert [found.status for found in guesses] == [401, 401, 401, 429, 429]
    one_sentence(guesses[3], 429, "try again in 1 s")
    assert guesses[3].headers["retry-after"] == "1"
    assert post(port, HOUSE, message()).status == 200
    assert ask(port, "GET", HOUSE, login=basic(SENDER, "wrong")).status == 429
    assert ask(port, "GET", API + "shed", login=OTHER_LOGIN).status == 200  # its name is slowed down for itself alone


FOREIGN = ["shed", "cellar", "garage", "nothing", "house2", ""]


@pytest.mark.parametrize("meter", FOREIGN)
def test_a_sender_has_its_own_meters_and_no_others(held: Mirroring, meter: str) -> None:
    """Not those of another sender, nor one that is counted here, nor its own by the name that it has here."""
    query = f"?step_seconds=10&after={START}&until={NEWEST}"
    with unchanged(held):
        for method, path in (
            ("GET", ""), ("POST", ""), ("POST", "/repair"), ("POST", "/counter"), ("GET", "/rows"), ("GET", "/digests"),
        ):  # fmt: skip
            wanted = query if path in ("/rows", "/digests") else ""
            body = pack({**message(), "pulses": 7}) if method == "POST" else None
            found = ask(held.port, method, API + meter + path + wanted, body, headers=JSON_GZIP)
            one_sentence(found, 404)
            if meter:
                assert "house, workshop" in found.text
            assert "shed" not in found.text.replace("'shed'", "")
            assert "cellar" not in found.text.replace("'cellar'", "")


def test_a_meter_is_kept_under_the_name_that_it_has_here(mirroring: Mirroring) -> None:
    assert post(mirroring.port, API + "workshop", {**message(), "state": state()["state"]}).status == 200
    assert mirroring.meter("garage").standing().newest == NEWEST + 30
    assert mirroring.meter("garage").facts == ("garage", "Haus (garage)", 1000.0, 12.5)
    assert {path.name for path in mirroring.settings.state.glob("*.rrd")} == {"house.rrd", "garage.rrd", "cellar.rrd"}
    shown = [reading.meter for reading in mirroring.parts.house.meters()]
    assert shown == ["cellar", "house", "garage"]


# ---------------------------------------------------------------- only if configured


@pytest.mark.parametrize(
    "switch", ["", f"[mirror]\naccept = no\n[mirror {SENDER}]\npassword_hash = {HASH}\nmeters = a\n"]
)
def test_without_senders_there_is_nothing_to_learn(tmp_path: Path, switch: str) -> None:
    clock = HandClock()
    made = Mirroring(tmp_path / "m", clock)
    made.settings = config.parse(
        f"[powerpi]\nstate = {tmp_path / 'c'}\nlisten = 127.0.0.1:0\n[meter house]\ngpio = 4\n{switch}"
    )
    (tmp_path / "c").mkdir()
    made.parts = building.build(made.settings, ClockedFactory(clock), clock, building.Fate())
    made.parts.counting.turn()
    with made.serving() as running:
        for path in (HOUSE, API, HOUSE + "/rows", "/get.php"):
            for login in (LOGIN, None):
                there, nowhere = (ask(running.port, "GET", one, login=login) for one in (path, "/no/such/page"))
                one_sentence(there, 404)
                assert there.text.replace(path, "X") == nowhere.text.replace("/no/such/page", "X")
                posted, elsewhere = (ask(running.port, "POST", one, b"x", login=login) for one in (path, "/no/such"))
                assert (posted.status, posted.body) == (elsewhere.status, elsewhere.body) == (405, elsewhere.body)


def test_get_php_is_there_only_for_who_is_configured_so(held: Mirroring) -> None:
    with unchanged(held):
        one_sentence(ask(held.port, "GET", "/get.php"), 404)
        found = ask(held.port, "POST", "/get.php", f"val={NEWEST};5".encode())
        one_sentence(found, 405)
        assert "www-authenticate" not in found.headers


# ---------------------------------------------------------------- many at once


def pushed_by_all(port: int, said: list[tuple[str, dict[str, Any], str]]) -> list[int]:
    """Send all at the same moment; their statuses."""
    begin, found = Barrier(len(said)), [0] * len(said)

    def send(number: int) -> None:
        path, body, login = said[number]
        begin.wait(10)
        found[number] = post(port, path, body, login).status

    threads = [Thread(target=send, args=(number,)) for number in range(len(said))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_eight_who_push_different_meters_at_once_do_not_meet(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(8)]
    with Mirroring(tmp_path / "m", HandClock(START + 3600), meters=", ".join(names)).serving() as mirroring:
        assert ask(mirroring.port, "GET", API + names[0]).status == 200  # else few may wait to log in
        for turn in range(5):
            after = START + 100 * turn
            said = [
                (
                    API + name,
                    {**message(after, [place + turn / 8] * 10, pulses=turn + 1.0), "state": state(pulses=9)["state"]},
                    LOGIN,
                )
                for place, name in enumerate(names)
            ]
            assert pushed_by_all(mirroring.port, said) == [200] * 8
        for place, name in enumerate(names):
            found = known_rows(mirroring.meter(name).ledger, START, START + 500)
            assert list(found.values()) == [place + turn / 8 for turn in range(5) for _ in range(10)]
            assert mirroring.meter(name).pulses == 9


def test_of_eight_who_push_the_same_rows_at_once_one_writes_them(mirroring: Mirroring) -> None:
    for turn in range(5):
        said = message(NEWEST + 30 * turn, [turn + 0.5] * 3, pulses=400.5 + turn)
        said["state"] = state(pulses=400 + turn)["state"]
        found = pushed_by_all(mirroring.port, [(HOUSE, said, LOGIN)] * 8)
        assert sorted(found) == [200] + [409] * 7
    meter = mirroring.meter()
    assert list(known_rows(meter.ledger, NEWEST, NEWEST + 150).values()) == [
        turn + 0.5 for turn in range(5) for _ in range(3)
    ]
    assert (meter.standing().newest_pulses, meter.pulses) == (404.5, 404)


def test_pushes_and_repairs_of_one_meter_at_once_leave_it_sane(mirroring: Mirroring) -> None:
    for turn in range(5):
        row = (HOUSE, message(NEWEST + 10 * turn, [turn + 1.0], pulses=301.0 + turn), LOGIN)
        repairs = [(HOUSE + "/repair", message(START + 10 * number, [turn / 4]), LOGIN) for number in range(7)]
        assert pushed_by_all(mirroring.port, [row, *repairs]) == [200] * 8
    found = known_rows(mirroring.meter().ledger, START, NEWEST + 50)
    assert [found[START + 10 * number] for number in range(1, 8)] == [1.0] * 7
    assert [found[NEWEST + 10 * number] for number in range(1, 6)] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert math.fsum(found.values()) == 7.0 + 15.0 + 0.25 * (ROWS - 1 - 7)


# ---------------------------------------------------------------- whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(NEWEST) | st.just(10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["step_seconds", "after", "rates", "pulses", "state", *STATE._fields]
MESSAGES = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4).map(lambda wrong: {**message(START), **wrong})
STATED = st.dictionaries(st.sampled_from(STATE._fields), JSON, min_size=1, max_size=3).map(lambda wrong: state(**wrong))
PATH_PARTS = st.sampled_from(["house", "workshop", "shed", "rows", "repair", "counter", "digests", "", ".", "é", "%00"])
BODY = (
    st.one_of(MESSAGES, STATED).map(lambda said: json.dumps(said).encode())
    | st.binary(max_size=60)
    | st.binary(max_size=60).map(gzip.compress)
    | st.one_of(MESSAGES, STATED, JSON).map(lambda said: gzip.compress(json.dumps(said).encode(), 1))
)


@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE"]) | st.just("POST"),
    parts=st.lists(PATH_PARTS, max_size=3) | st.just(["house"]),
    query=st.sampled_from(["", f"step_seconds=10&after={START}&until={NEWEST}"]) | st.text(max_size=20),
    body=BODY,
    coding=st.sampled_from(["gzip", "", "identity", "GZIP", "br"]),
    login=st.sampled_from([LOGIN, LOGIN, LOGIN, OTHER_LOGIN, "Basic x", ""]),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_there_is_no_failure_and_a_refusal_changes_nothing(  # noqa: PLR0917 (hypothesis names them)
    fuzzed: Mirroring, method: str, parts: list[str], query: str, body: bytes, coding: str, login: str
) -> None:
    path = quote(API + "/".join(parts), safe="/%") + "?" + quote(query, safe="=&")
    before = stamps(fuzzed.settings.state)
    sent = None if method in ("GET", "HEAD") else body
    found = ask(fuzzed.port, method, path, sent, login=login, headers={"Content-Encoding": coding} if coding else {})
    assert found.status in (200, 400, 401, 404, 405, 409, 413, 422)
    if found.status != 200:
        assert stamps(fuzzed.settings.state) == before
        assert fuzzed.parts.house.health().faults[1:] == ()  # the first: that no thread counts in this test


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirroring]:
    clock = HandClock(NEWEST + 60)
    folder = tmp_path_factory.mktemp("fuzzed")
    with Mirroring(folder, clock, EXTRA, "house, workshop as garage", ClockedFactory(clock)).serving() as running:
        hold(running.port)
        yield running


NOISE = st.binary(max_size=200) | st.builds(
    lambda path, name, value: f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{name}: {value}\r\n\r\n".encode("latin-1"),
    st.sampled_from([HOUSE, API, "/get.php", "*"]),
    st.sampled_from(["Authorization", "Content-Length", "Transfer-Encoding", "Content-Encoding", "Expect", "Host"]),
    st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n"), max_size=30),
)


@given(noise=NOISE)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_on_the_line_is_no_failure(fuzzed: Mirroring, noise: bytes) -> None:
    before = stamps(fuzzed.settings.state)
    with socket.create_connection(("127.0.0.1", fuzzed.port), timeout=10) as client:
        client.sendall(noise)
        client.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(ConnectionError):
            while part := client.recv(65536):
                got += part
    assert not got or int(got.split(b" ", 2)[1]) in (*range(400, 430), 431, 501)
    assert stamps(fuzzed.settings.state) == before
