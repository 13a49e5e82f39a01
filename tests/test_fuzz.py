"""Every route asked for everything: no 5xx, nothing but www/ served, nothing of a request handed to rrdtool unchecked.

The routes come from the application itself, so a new one is asked too. House, RRD and reading child are real; what
the child is told goes through a program that writes it down.
"""

from __future__ import annotations

import io
import re
import shutil
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import WSGIWarning, validator
from zoneinfo import ZoneInfo

import bottle
import pytest
from conftest import START, HandClock, Line
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_server import serving

from powerpi import front, web
from powerpi.ask import MOST_DOTS
from powerpi.assets import www_folder
from powerpi.building import Fate, build
from powerpi.config import parse
from powerpi.guard import COMMON_HEADERS
from powerpi.images import PICTURE_PATH
from powerpi.periods import PERIODS
from powerpi.texts import LANGUAGES

METERS = ("house", "shed")
SECRET = b"Xq7vK2p-this-is-nobodys-business"
MARK = "Xq7vK2p"  # in every text that a request brings along; long enough never to come up in a picture by chance
EXAMPLES = 700
WIRE_EXAMPLES = 500

# ---------------------------------------------------------------- what is asked

NASTY = [
    *("", "/", "..", "../secret.txt", "..\\secret.txt", "../../state/secret.txt", "....//secret.txt", "secret.txt"),
    *("/etc/passwd", "page.html", "../page.html", "%2e%2e%2fsecret.txt", "%252e%252e/secret.txt", "\0", "\r\nA: b"),
    *("\n", '"', "'", "`id`", "$(id)", ";", "|", "\\", ":", "DEF:x=/etc/passwd:a:AVERAGE", "PRINT:p:%s", "--imginfo"),
    *("-", "%", "%s", "%n", "{0}", "{}", "<script>", "&amp;", "é", "٣", "😀", "\u202e", "\ud800", "\ufffe", "a" * 900),
    *("a" * 5000, "0", "-1", "1e999", "NaN", "inf", "1_000", "0x10", " 1", "1.5", "9" * 10, "9" * 400, "2000", "600"),
]  # fmt: skip
KNOWN = ("house", "shed", *PERIODS, "page.js", "style.css", "favicon.ico", "static", "api", "v1", "meters", "day.png")
PARAMETERS = ("lang", "refresh", "end", "width", "height", "zoom", "v", "page", "theme")
VALUES = (*LANGUAGES, "on", "off", "200", "900", "1200", "1", "3", str(START), str(START + 60))

marked = st.text(max_size=20).map(lambda text: text + MARK)
nasty = st.sampled_from(NASTY).map(lambda text: text if text[:1].isdigit() or text[:1] == "-" else MARK + text)
pieces = st.one_of(st.sampled_from(KNOWN), st.sampled_from(NASTY), nasty, marked)
escapes: st.SearchStrategy[Callable[[str], str]] = st.sampled_from([
    lambda text: quote(text, safe="", errors="surrogatepass"),
    lambda text: quote(text, safe="/:%&=+", errors="surrogatepass"),
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass")),
])  # fmt: skip
escaped = st.builds(lambda escape, text: escape(text), escapes, pieces)
queries = st.lists(
    st.tuples(st.sampled_from(PARAMETERS) | escaped, st.sampled_from(VALUES) | escaped).map("=".join), max_size=5
).map("&".join)
methods = st.sampled_from(["GET"] * 8 + ["HEAD"] * 2 + ["POST", "PUT", "OPTIONS", "TRACE", "CONNECT", "BREW"])
HEADER_NAMES = ("Accept-Language", "If-None-Match", "Range", "Cookie", "X-Forwarded-Host", "X-Forwarded-Prefix", "Via")
header_values = st.one_of(
    st.sampled_from(["de", "en;q=0.5, de;q=1", "*", '"x"', 'W/"x", *', "bytes=0-", MARK, "q=" + "9" * 50, "," * 500]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
)
headers = st.dictionaries(st.sampled_from(HEADER_NAMES), header_values, max_size=3)


def routes_of(app: Any) -> list[str]:
    """The rules of the bottle application that is somewhere inside of this WSGI application."""
    inside = [cell.cell_contents for cell in getattr(app, "__closure__", None) or ()]
    found = [rule for one in inside if callable(one) for rule in routes_of(one)]
    return found + [route.rule for one in inside if isinstance(one, bottle.Bottle) for route in one.routes]


def paths_of(rule: str) -> st.SearchStrategy[str]:
    """Addresses that a rule may answer: each of its <wildcards> is anything."""
    literals = re.split(r"<[^>]*>", rule)
    fillings = st.lists(escaped, min_size=len(literals) - 1, max_size=len(literals) - 1)
    return fillings.map(lambda texts: "".join(a + b for a, b in zip(literals, [*texts, ""], strict=True)))


def all_routes() -> list[str]:
    """Every rule, that of the pictures too, which is no route of bottle."""
    nobody: Any = SimpleNamespace(picture=None)
    app = front.application(nobody, ZoneInfo("UTC"))
    picture = PICTURE_PATH.pattern
    assert picture.endswith(r"\.(png|svg)")
    return [*routes_of(app), "/<meter>/<period>.png", "/<meter>/<period>.svg"]


ROUTES = all_routes()
paths = st.one_of([paths_of(rule) for rule in ROUTES])
pictures = st.builds(
    "/{}/{}.{}".format, st.sampled_from(METERS), st.sampled_from(list(PERIODS)), st.sampled_from(["png", "svg"])
)
targets = st.builds(
    lambda path, query: path + (f"?{query}" if query else ""),
    st.one_of(paths, pictures, st.lists(escaped, max_size=4).map(lambda parts: "/" + "/".join(parts))),
    queries,
)


class Asked(NamedTuple):
    """One request, as it is written on the wire."""

    method: str
    target: str
    headers: Mapping[str, str]


requests = st.builds(Asked, methods, targets, headers)


def test_all_routes_are_found() -> None:
    assert {"/", "/health", "/api/v1/meters", "/api/v1/meters/<meter>", "/static/<name>"} <= set(ROUTES)


# ---------------------------------------------------------------- whom it is asked of


class House(NamedTuple):
    """The pages, their folder, and what the reading child was told."""

    app: Any
    www: Path
    told: Path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    top = tmp_path_factory.mktemp("house")
    www, told, state = top / "www", top / "told", top / "state"
    shutil.copytree(www_folder(), www)
    recorder = top / "bin" / "rrdtool"
    recorder.parent.mkdir()
    state.mkdir()
    recorder.write_text(f'#!/bin/sh\ntee -a {told} | {shutil.which("rrdtool")} "$@"\n')
    recorder.chmod(0o755)
    meters = "".join(f"[meter {name}]\ngpio = {gpio}\n" for gpio, name in enumerate(METERS, 24))
    chosen = parse(f"[powerpi]\nstate = {state}\ntimezone = UTC\nnetwork_time = no\n{meters}")
    clock = HandClock()
    line = Line(clock)
    line.pin.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "www_folder", lambda: www)
        patch.setenv("PATH", str(recorder.parent), prepend=":")
        parts = build(chosen, line.factory, clock, Fate())
        parts.counting.start()
        line.pulses(clock.now + 3.6 * n for n in range(1, 40))
        parts.counting.flush(5)
        app = front.application(parts.house, chosen.timezone, (), clock.wall)
        for folder in (top, www, www.parent, state):  # static/ itself was read before
            (folder / "secret.txt").write_bytes(SECRET)
        yield House(app, www, told)
        parts.counting.stop()
        parts.reader.close()


@pytest.fixture(scope="module")
def port(house: House) -> Iterator[int]:
    with serving(house.app) as running:
        yield running.port


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


def answer_of(app: Any, asked: Asked) -> Answer:
    """The answer through the validator, the request taken apart as waitress does."""
    path, _, query = asked.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": asked.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "HTTP_HOST": "localhost",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in asked.headers.items()},
    }
    setup_testing_defaults(environ)
    environ["wsgi.input"] = io.BytesIO()
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], int]:
        started.append((status, headers))
        return io.BytesIO().write

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WSGIWarning)  # of methods that it does not know
        parts = validator(app)(environ, start_response)
        try:
            body = b"".join(parts)
        finally:
            parts.close()
    ((status, headers),) = started
    assert len({name.title() for name, _ in headers}) == len(headers)
    return Answer(int(status[:3]), dict(headers), body)


def wire_answer(port: int, asked: Asked) -> Answer:
    """The answer of waitress to the same."""
    lines = [f"{asked.method} {asked.target} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in asked.headers.items()]
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        got = b""
        while part := client.recv(65536):
            got += part
    head, _, body = got.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    return Answer(int(first.split()[1]), dict(field.split(": ", 1) for field in fields), body)


# ---------------------------------------------------------------- what is to be answered


def check(house: House, asked: Asked, answer: Answer) -> None:
    """What holds for every answer."""
    assert answer.status in {200, 304, 400, 404, 405, 414}, answer
    assert set(COMMON_HEADERS) <= set(answer.headers.items())
    assert "Content-Security-Policy" in answer.headers
    assert SECRET not in answer.body
    assert b"root:" not in answer.body
    if answer.status == 304 or asked.method == "HEAD":
        assert answer.body == b""
    elif answer.status == 200:
        check_content(house, unquote_to_bytes(asked.target.partition("?")[0]).decode(), answer)
    else:
        check_sentence(answer)


def check_content(house: House, path: str, answer: Answer) -> None:
    """A file is one of www/static, byte for byte; everything else was made for this request."""
    if path.startswith("/static/") or path == "/favicon.ico":
        names = {file.name for file in (house.www / "static").iterdir()}
        name = path.rpartition("/")[2]
        assert name in names
        assert path in (f"/static/{name}", "/favicon.ico")
        assert answer.body == (house.www / "static" / name).read_bytes()
    else:
        kinds = (
            "text/html; charset=utf-8",
            "application/json",
            "image/png",
            "image/svg+xml",
            "text/plain; charset=utf-8",
        )
        assert answer.headers["Content-Type"] in kinds
        assert MARK.encode() not in answer.body or b"<html" in answer.body


def check_sentence(answer: Answer) -> None:
    """One plain sentence, in one line, not long."""
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert re.fullmatch(r"[^\n\r\0]{10,400}[.!]\n", answer.body.decode()), answer.body


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=requests)
@example(Asked("GET", "/static/../secret.txt", {}))
@example(Asked("GET", "/static/..%2fsecret.txt", {}))
@example(Asked("GET", "/static/%2e%2e/%2e%2e/state/secret.txt", {}))
@example(Asked("GET", "/static//etc/passwd", {}))
@example(Asked("GET", "/secret.txt", {}))
@example(Asked("GET", "/house/day.png?end=1700000000&width=200&height=120&zoom=3&lang=de", {}))
@example(Asked("GET", "/house/day.png?width=" + "9" * 400, {}))
@example(Asked("GET", "/house/day.png?width=%D9%A3%D9%A3%D9%A3", {}))
def test_every_route_answers_everything_with_sense(house: House, asked: Asked) -> None:
    check(house, asked, answer_of(house.app, asked))


@settings(max_examples=WIRE_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=requests)
@example(Asked("GET", "//secret.txt", {}))
@example(Asked("GET", "/static/../../secret.txt", {}))
@example(Asked("GET", "/static/%00", {"Range": "bytes=0-"}))
def test_every_route_answers_everything_with_sense_over_the_wire(house: House, port: int, asked: Asked) -> None:
    answer = wire_answer(port, asked)
    if answer.status == 431:
        assert sum(map(len, (asked.target, *asked.headers.values()))) > 15_000
        check_sentence(answer)
        return
    check(house, asked._replace(target="/" + asked.target.lstrip("/")), answer)


CRUMBS = (
    *(b"GET", b"POST", b" ", b"/", b"HTTP/1.1", b"\r\n", b"\n", b"\0", b":", b"Host: localhost", b"//[", b"%", b"\t"),
    *(b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"\xff", b"http://[::1/"),
)  # fmt: skip
RAW = st.binary(max_size=300) | st.lists(st.sampled_from(CRUMBS), max_size=30).map(b"".join)


@settings(max_examples=WIRE_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=RAW)
def test_bytes_that_are_no_request_get_a_sentence_or_nothing(port: int, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(raw + b"\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while part := client.recv(65536):
                got += part
        except ConnectionError:
            return
    assert SECRET not in got
    for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", got):
        assert status in {b"200", b"400", b"404", b"405", b"413", b"414", b"421", b"100"}, got


# ---------------------------------------------------------------- what rrdtool is told

NUMBER = r"-?\d{1,10}(\.\d+)?"
OPTIONS = {
    **dict.fromkeys(["--lower-limit", "--upper-limit", "--units-exponent", "--units-length", "--border"], NUMBER),
    **dict.fromkeys(["--start", "--end"], r"\d{9,10}"),
    "--step": r"\d{1,8}",
    "--width": r"[1-9]\d{0,5}",
    "--height": r"[1-9]\d{0,3}",
    "--zoom": "[123]",
    "--imgformat": "PNG|SVG",
    "--grid-dash": "1:0",
    "--color": r"[A-Z]+#[0-9a-f]{8}|[A-Z]+#[0-9a-f]{6}",
    "--font": r"(DEFAULT|AXIS|LEGEND|TITLE|UNIT):\d{1,2}:DejaVu Sans",
    "--y-grid": r"[\d.]+:1",
    "--x-grid": r"[A-Z]+:\d+:[A-Z]+:\d+:[A-Z]+:\d+:\d+:[%A-Za-z. :-]+",
    "--left-axis-format": r"%\d+\.\d+lf",
}
FLAGS = {"--full-size-mode", "--disable-rrdtool-tag", "--rigid"}
WORDS = r"[A-Za-zäöüßÄÖÜ0-9 .,:()%/\\–\u2009\u202f\u00a0*=-]*"  # of the catalogue, with figures in them
NAME = r"[a-z]+\d*"
COLOR = r"(#[0-9a-f]{6}([0-9a-f]{2})?)"
ELEMENTS = re.compile(
    rf"DEF:{NAME}=(?P<rrd>/[^:]+\.rrd):pulses:AVERAGE(:(step|start|end)=\d{{1,10}}|:reduce=(AVERAGE|MAX))*"
    rf"|CDEF:{NAME}=[A-Za-z0-9,.*/+%-]+"
    rf"|VDEF:{NAME}={NAME},([\d.]+,)?[A-Z]+"
    rf"|PRINT:{NAME}:(%\.\dlf|%s(:strftime)?)"
    rf"|(AREA|LINE[12]|LINE):({NAME}|\d+|{NUMBER}){COLOR}?(:{WORDS})?(:STACK|:dashes=[\d,]+|:skipscale)*"
    rf"|(VRULE|HRULE|TICK):[\w.]+{COLOR}(:{WORDS})?(:dashes=[\d,]+)?"
    rf"|COMMENT:{WORDS}|TEXTALIGN:(left|right|center)"
)


def told(house: House) -> list[list[str]]:
    """The arguments of each command that rrdtool got."""
    lines = house.told.read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r'("[^"]*" ?)+', line) for line in lines)
    return [re.findall(r'"([^"]*)"', line) for line in lines]


def check_command(words: list[str], rrds: set[str]) -> None:
    """One command against the whitelist: a bounded picture of the meters' own files, or figures without a picture."""
    assert words[:2] == ["graphv", "-"]
    rest, sizes, drawn = iter(words[2:]), {"--zoom": 1}, False
    for word in rest:
        if word in OPTIONS:
            value = next(rest)
            assert re.fullmatch(OPTIONS[word], value), (word, value)
            sizes |= {word: int(value)} if word in ("--width", "--height", "--zoom") else {}
        elif word not in FLAGS:
            found = ELEMENTS.fullmatch(word)
            assert found, word
            assert found["rrd"] is None or found["rrd"] in rrds
            drawn = drawn or word.startswith(("AREA", "LINE"))
    assert not drawn or sizes["--width"] * sizes["--height"] * sizes["--zoom"] ** 2 <= MOST_DOTS


numbers = st.builds(
    "end={}&width={}&height={}&zoom={}".format,
    st.integers(START - 400 * 86400, START + 86400),
    st.integers(200, 2000),
    st.integers(120, 1200),
    st.integers(1, 3),
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=pictures, query=queries | numbers, language=st.sampled_from(LANGUAGES))
def test_pictures_are_drawn_or_refused(house: House, path: str, query: str, language: str) -> None:
    asked = Asked("GET", f"{path}?{query}", {"Accept-Language": language})
    answer = answer_of(house.app, asked)
    check(house, asked, answer)
    kind = {"png": b"\x89PNG", "svg": b"<?xml"}[path[-3:]]
    assert answer.body.startswith(kind) == (answer.status == 200)


def test_rrdtool_is_told_nothing_but_pictures_of_the_meters(house: House) -> None:
    """Everything that all tests of this file made it say, and a page."""
    for target in ("/?lang=de", "/house/year?lang=de", "/shed/month.svg", "/house/day.png"):
        assert answer_of(house.app, Asked("GET", target, {})).status == 200
    commands = told(house)
    print(f"{len(commands)} commands")
    assert len(commands) >= 10
    rrds = {str(house.www.parent / "state" / f"{meter}.rrd") for meter in METERS}
    for words in commands:
        check_command(words, rrds)
        assert not any(MARK in word for word in words)
