"""Everything that is served, put together: who may look and who may write are two questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import START, HandClock
from pair import LOGIN, PASSWORD, SENDER, STATE, Mirroring, ask, contents

from powerpi import passwords
from powerpi.logins import basic
from powerpi.messages import Push, Rows, push_message
from powerpi.ring import UNKNOWN
from powerpi.wire import pack

HOUSE = "/api/v1/mirror/house"
VIEWER, VIEWER_PASSWORD = "anna", "darf schauen"
VIEWER_LOGIN = basic(VIEWER, VIEWER_PASSWORD)
VIEWERS = f"[viewer {VIEWER}]\npassword_hash = {passwords.hashed(VIEWER_PASSWORD, 10)}\n"
# somebody who may look bears a sender's name, with a password of his own
NAMESAKE_LOGIN = basic(SENDER, "ein anderes")
VIEWERS += f"[viewer {SENDER}]\npassword_hash = {passwords.hashed('ein anderes', 10)}\n"
PAGES = ["/", "/house/day", "/house/day.png", "/api/v1/meters", "/api/v1/meters/house", "/api/v1/meters/house/gaps"]
PAGES += ["/help", "/static/style.css", "/favicon.ico", "/robots.txt"]
NOTHING = pack(push_message(Push(Rows(10, START, UNKNOWN[:0]), None, STATE)))
GZIP = {"Content-Encoding": "gzip"}


def serving(folder: Path, clock: HandClock, extra: str) -> Mirroring:
    """A mirror that knows of its meter."""
    clock.ahead += 60
    made = Mirroring(folder, clock, extra)
    rates = UNKNOWN[:0]
    rates.extend([0.25] * 6)
    made.meter().take(Push(Rows(10, START, rates), 15.0, STATE), clock.wall())
    return made


@pytest.fixture
def open_to_all(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    with serving(tmp_path / "mirror", clock, "").serving() as running:
        yield running


@pytest.fixture
def closed(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    with serving(tmp_path / "mirror", clock, VIEWERS).serving() as running:
        yield running


def test_without_viewers_everybody_may_look(open_to_all: Mirroring) -> None:
    for login in (None, LOGIN, basic("nobody", "x"), "Basic x"):
        for page in PAGES:
            assert ask(open_to_all.port, "GET", page, login=login).status == 200, page
    assert ask(open_to_all.port, "POST", HOUSE, NOTHING, login=VIEWER_LOGIN, headers=GZIP).status == 401


def test_with_viewers_only_they_may_look(closed: Mirroring) -> None:
    for page in [*PAGES, "/no/such/page", "/health"]:
        found = ask(closed.port, "GET", page, login=None)
        assert found.status == 401, page
        assert found.headers["www-authenticate"] == 'Basic realm="PowerPi", charset="UTF-8"'
        assert found.headers["cache-control"] == "no-store"
        assert "content-security-policy" in found.headers
        assert b"Haus" not in found.body
        expected = {"/no/such/page": 404, "/health": 503}.get(page, 200)  # no thread counts in this test
        for login in (VIEWER_LOGIN, NAMESAKE_LOGIN):
            assert ask(closed.port, "GET", page, login=login).status == expected, page


def test_a_head_request_of_a_stranger_gets_no_body(closed: Mirroring) -> None:
    found = ask(closed.port, "HEAD", "/", login=None)
    assert (found.status, found.body) == (401, b"")
    assert "www-authenticate" in found.headers


def test_a_senders_password_opens_no_page_and_a_viewers_writes_nothing(closed: Mirroring) -> None:
    before = contents(closed.settings.state)
    assert ask(closed.port, "GET", "/", login=LOGIN).status == 401
    assert ask(closed.port, "GET", "/api/v1/meters", login=basic(VIEWER, PASSWORD)).status == 401
    for login in (VIEWER_LOGIN, NAMESAKE_LOGIN):
        assert ask(closed.port, "GET", HOUSE, login=login).status == 401
        assert ask(closed.port, "POST", HOUSE, NOTHING, login=login, headers=GZIP).status in (401, 429)
    assert contents(closed.settings.state) == before
    assert ask(closed.port, "POST", HOUSE, NOTHING, headers=GZIP).status in (200, 429)


def test_who_fails_at_the_pages_slows_no_sender_down(closed: Mirroring) -> None:
    guesses = [ask(closed.port, "GET", "/", login=basic(SENDER, "wrong")).status for _ in range(4)]
    assert guesses == [401, 401, 401, 429]
    assert ask(closed.port, "POST", HOUSE, NOTHING, headers=GZIP).status == 200


def test_who_fails_as_a_sender_slows_no_viewer_down(closed: Mirroring) -> None:
    guesses = [ask(closed.port, "GET", HOUSE, login=basic(SENDER, "wrong")).status for _ in range(4)]
    assert guesses == [401, 401, 401, 429]
    assert ask(closed.port, "GET", "/", login=NAMESAKE_LOGIN).status == 200


def test_a_foreign_host_is_not_even_asked_for_a_password(closed: Mirroring) -> None:
    for path in ("/", HOUSE):
        found = ask(closed.port, "GET", path, login=None, headers={"Host": "evil.example"})
        assert found.status == 421
        assert "www-authenticate" not in found.headers


def test_pages_take_nothing_whoever_asks(closed: Mirroring) -> None:
    for path in ("/", "/api/v1/meters", "/get.php", "/api/v1/mirror"):
        for login in (None, LOGIN, VIEWER_LOGIN):
            found = ask(closed.port, "POST", path, b"x", login=login)
            assert (found.status, found.headers["allow"]) == (405, "GET, HEAD")
