"""A meter on its way to a server of the old system: a little real one, which speaks as that system did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest
from conftest import START, HandClock
from pair import PASSWORD, SENDER, Pi, push_settings
from test_push import FACTS, NOTHING_YET
from tls import Answering, Authority, Forwarder, Request, http

from powerpi.errors import PeerError, RefusedError
from powerpi.keys import GET_PHP
from powerpi.logins import basic
from powerpi.messages import State
from powerpi.peer import Peer
from powerpi.push import Push, Sending
from powerpi.sample_course import KEPT_SECONDS, SampleCourse
from powerpi.sync import Verdict
from powerpi.telling import Telling

# Pi.write begins with a row without a pulse: six rows of 600 W come to (0 + 5 * 600) / 6 = 500 W
FIRST = 1_700_000_040  # the first whole minute after START


class GetPhp:
    """What get.php did: form field `val`, `<epoch>;<watts>`; 0 if the round-robin file took it, else 1."""

    def __init__(self) -> None:
        self.samples: list[tuple[int, float]] = []
        self.status = 200

    def __call__(self, request: Request) -> list[bytes]:
        if request.headers.get("authorization") != basic(SENDER, PASSWORD):
            return [http(401, b"<h1>401</h1>", "text/html")]
        if self.status != 200:
            return [http(self.status, b"<h1>no</h1>", "text/html")]
        assert request.line == "POST /get.php HTTP/1.1"
        [value] = parse_qs(request.body.decode(), strict_parsing=True)["val"]
        time, watts = value.split(";")
        assert len(time) == 10
        if self.samples and int(time) <= self.samples[-1][0]:  # as rrdtool update refuses it
            return [http(200, b"1", "text/html")]
        self.samples.append((int(time), float(watts)))
        return [http(200, b"0", "text/html")]


@pytest.fixture
def php() -> GetPhp:
    return GetPhp()


@pytest.fixture
def server(php: GetPhp) -> Iterator[Answering]:
    with Answering(php) as running:
        yield running


@pytest.fixture
def pi(tmp_path: Path, server: Answering) -> Pi:
    return Pi(tmp_path, server.url, archive_years=0)


def nobody() -> State | None:
    raise AssertionError("such a server is not told of the state")


def course(pi: Pi, url: str, interval_seconds: int = 60) -> SampleCourse:
    return SampleCourse("house", pi.ledger, Peer(push_settings(url, protocol=GET_PHP)), 1000.0, interval_seconds)


def test_one_sample_comes_for_each_interval_that_is_over(pi: Pi, server: Answering, php: GetPhp) -> None:
    pi.write(5)  # 22:13:20 to 22:14:00
    way = course(pi, server.url)
    assert list(way.catch_up(nobody)) == []  # the time before it began is not sent
    pi.write(6, watts=720)
    pi.write(7, watts=360)
    assert [progress.behind_rows for progress in way.catch_up(nobody)] == [6, 0]
    assert php.samples == [(FIRST + 60, 600.0), (FIRST + 120, 300.0)]
    assert list(way.catch_up(nobody)) == []
    pi.write(5, watts=100)  # with the seventh row of before: (360 + 0 + 4 * 100) / 6
    assert [progress.acknowledged for progress in way.catch_up(nobody)] == [FIRST + 180]
    assert php.samples[2:] == [(FIRST + 180, 126.7)]


def test_intervals_are_rounded_up_to_whole_rows(pi: Pi, server: Answering, php: GetPhp) -> None:
    pi.write(1)  # 22:13:20, a multiple of 20
    way = course(pi, server.url, interval_seconds=15)
    list(way.catch_up(nobody))
    pi.write(4, watts=600)
    list(way.catch_up(nobody))
    assert php.samples == [(START + 20, 300.0), (START + 40, 600.0)]


def test_intervals_with_unknown_rows_are_left_out(pi: Pi, server: Answering, php: GetPhp) -> None:
    pi.write(5)
    way = course(pi, server.url)
    list(way.catch_up(nobody))
    pi.write(6, watts=600)
    pi.write(8, watts=600, gap_rows=3)  # of the second minute three rows are unknown, of the third none
    list(way.catch_up(nobody))
    assert php.samples == [(FIRST + 60, 500.0), (FIRST + 180, 600.0)]


def test_nothing_is_sent_of_an_empty_store(pi: Pi, server: Answering) -> None:
    assert list(course(pi, server.url).catch_up(nobody)) == []
    assert not server.requests


def spoil(line: Forwarder) -> None:
    line.most_request = 200


def lose(line: Forwarder) -> None:
    line.most_answer = 0


def cut(line: Forwarder) -> None:
    line.target = 1


@pytest.mark.parametrize("fault", [spoil, lose, cut])
def test_samples_of_an_outage_come_once_each_afterwards(
    pi: Pi, server: Answering, php: GetPhp, fault: Callable[[Forwarder], None]
) -> None:
    pi.write(5)
    with Forwarder(server.port) as line:
        way = course(pi, line.url)
        list(way.catch_up(nobody))
        fault(line)
        for _ in range(3):
            pi.write(6, watts=600)
            with pytest.raises(PeerError):
                list(way.catch_up(nobody))
        line.heal()
        line.target = server.port
        list(way.catch_up(nobody))
    assert php.samples == [(FIRST + 60 * minute, 500.0) for minute in (1, 2, 3)]


def test_an_outage_is_caught_up_as_far_back_as_such_a_server_keeps(pi: Pi, server: Answering, php: GetPhp) -> None:
    pi.write(5)
    with Forwarder(1) as line:
        way = course(pi, line.url, interval_seconds=3600)
        list(way.catch_up(nobody))
        pi.write(9 * 8640)
        with pytest.raises(PeerError):
            list(way.catch_up(nobody))
        line.target = server.port
        list(way.catch_up(nobody))
    assert len(php.samples) == 7 * 24
    assert KEPT_SECONDS == 7 * 86400
    assert php.samples[-1][0] - php.samples[0][0] == 7 * 86400 - 3600


def test_a_sample_that_is_refused_is_named_and_not_sent_again(pi: Pi, server: Answering, php: GetPhp) -> None:
    pi.write(5)
    way = course(pi, server.url)
    list(way.catch_up(nobody))
    php.samples = [(FIRST + 86400, 1.0)]  # somebody else was there with a wrong clock
    pi.write(6, watts=600)
    with pytest.raises(RefusedError) as failure:
        list(way.catch_up(nobody))
    assert str(failure.value) == f"127.0.0.1 refused the sample {FIRST + 60};500"
    assert list(way.catch_up(nobody)) == []
    php.samples.clear()
    pi.write(6, watts=300)
    list(way.catch_up(nobody))
    assert php.samples == [(FIRST + 120, 250.0)]


def test_nothing_can_be_compared_or_shortened(pi: Pi, server: Answering) -> None:
    way = course(pi, server.url)
    assert way.verify(fresh=True) == Verdict()
    way.slow()
    assert not server.requests


def test_the_thread_sends_samples_over_tls_and_backs_off(pi: Pi, php: GetPhp, tmp_path: Path) -> None:
    authority, clock = Authority(), HandClock()
    pi.write(5)
    with Answering(php, authority.context()) as server:
        peer = Peer(push_settings(server.url, protocol=GET_PHP, ca_file=authority.pem(tmp_path)))
        way = SampleCourse("house", pi.ledger, peer, 1000.0, 60)
        telling = Telling(FACTS, SimpleNamespace(live=NOTHING_YET), lambda: 0, clock.monotonic, 60)  # type: ignore[arg-type]
        push = Push(
            "old.lan",
            [Sending(way, telling, lambda: pi.store.last_row.time if pi.store.last_row else 0)],
            60,
            trusted=clock.trusted,
            flush=bool,
            hang_up=peer.close,
            monotonic=clock.monotonic,
            now=clock.wall,
            on_death=lambda *_: None,
            chance=lambda: 1.0,
        )
        push.turn()
        assert not push.status.in_step  # nothing was sent yet: nobody knows whether it takes anything
        clock.now += 60
        php.status = 503
        pi.write(6, watts=600)
        for pause in (5, 10, 20):
            push.turn()
            assert (push.status.why, push.status.said) == ("away", "127.0.0.1 answered 503 Service Unavailable")
            assert round(push.wake_seconds, 6) == pause
            clock.now += push.wake_seconds
        php.status = 200
        push.turn()
        assert (push.status.in_step, push.status.identical_until) == (True, None)
    assert php.samples == [(FIRST + 60, 500.0)]
