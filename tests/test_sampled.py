"""A Pi of the system that PowerPi replaces sends power samples; the figures are worked out by hand at 1000 imp/kWh.

3600 W are one pulse a second then, and one pulse is one watt-hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from urllib.parse import urlencode

import pair
import pytest
from conftest import START, HandClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pair import Answer, Mirroring, ask, contents, known_rows
from test_mirror import no_room

from powerpi import passwords
from powerpi.logins import basic

OLD, OLD_PASSWORD = "old-pi", "wie früher"
LOGIN = basic(OLD, OLD_PASSWORD)
EXTRA = f"""[mirror {OLD}]
password_hash = {passwords.hashed(OLD_PASSWORD, 10)}
protocol = get.php
meters = attic
[store]
archive_years = 1
"""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class OldPi:
    """What is left in the field: a POST for every sample, and an answer of one figure."""

    def __init__(self, mirroring: Mirroring) -> None:
        self.mirroring = mirroring
        self.meter = mirroring.meter("attic")

    def post(self, body: str | bytes, login: str | None = LOGIN, method: str = "POST") -> Answer:
        content = body.encode() if isinstance(body, str) else body
        return ask(self.mirroring.port, method, "/get.php", content, login=login, headers=FORM)

    def send(self, seconds: int, watts: float | str) -> str:
        """The sample of START + `seconds`; the answer."""
        return self.value(f"{START + seconds};{watts}")

    def value(self, text: str) -> str:
        found = self.post(urlencode({"val": text}))
        assert found.status == 200
        assert found.headers["content-type"] == "text/html; charset=utf-8"
        return found.text

    def rows(self, until: int) -> dict[int, float]:
        """The known rows by seconds after START."""
        found = known_rows(self.meter.ledger, START - 1000, START + until)
        return {time - START: rate for time, rate in found.items()}


@pytest.fixture
def mirroring(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    clock.ahead += 1000
    with Mirroring(tmp_path / "mirror", clock, EXTRA).serving() as running:
        yield running


@pytest.fixture
def old(mirroring: Mirroring) -> OldPi:
    return OldPi(mirroring)


def send_a_minute(old: OldPi) -> None:
    """Four samples, 55 pulses: 10 s of 3600 W, 15 s of 7200 W, 15 s of 3600 W; the first stands for nothing."""
    assert [old.send(*sample) for sample in ((0, 3600), (10, 3600), (25, 7200), (40, "3600.0"))] == ["0"] * 4


def test_samples_become_rows_and_energy(old: OldPi) -> None:
    send_a_minute(old)
    # the third row: 5 s of 7200 W and 5 s of 3600 W
    assert old.rows(40) == {10: 1.0, 20: 2.0, 30: 1.5, 40: 1.0}
    assert old.meter.pulses == 10 + 30 + 15
    assert old.meter.standing().newest_pulses == 55
    assert old.meter.facts == ("attic", "attic", 1000.0, 0.0)


def test_what_was_lost_stays_unknown(old: OldPi) -> None:
    send_a_minute(old)
    assert old.send(200, 3600) == "0"  # stands for 60 s, not for 160
    assert old.rows(200) == {10: 1.0, 20: 2.0, 30: 1.5, 40: 1.0, **dict.fromkeys(range(150, 201, 10), 1.0)}
    assert old.meter.pulses == 55 + 60


def test_a_sender_that_is_silent_for_one_pulse_has_lost_nothing(old: OldPi) -> None:
    """36 W are a pulse each 100 s: 0.01 pulses a second."""
    assert old.send(0, 36) == old.send(100, 36) == old.send(200, 36) == "0"
    assert old.rows(200) == dict.fromkeys(range(10, 201, 10), pytest.approx(0.01))
    assert old.meter.pulses == 2


def test_zero_watts_are_rows_too(old: OldPi) -> None:
    assert old.send(0, 0) == old.send(60, 0) == "0"
    assert old.rows(60) == dict.fromkeys(range(10, 61, 10), 0.0)
    assert old.meter.pulses == 0


def test_a_sample_that_comes_twice_is_counted_once(old: OldPi) -> None:
    send_a_minute(old)
    before = contents(old.mirroring.settings.state)
    assert [old.send(40, 3600) for _ in range(3)] == ["0"] * 3
    assert old.send(40, 9999) == "0"  # two pulses in one second: the next sample covers both
    assert contents(old.mirroring.settings.state) == before
    assert old.send(50, 3600) == "0"
    assert old.meter.pulses == 65


def test_eight_at_once_with_the_same_samples_count_once(old: OldPi) -> None:
    assert old.send(0, 3600) == "0"
    for turn in range(1, 6):
        begin, found = Barrier(8), list[str]()

        def send(turn: int = turn, begin: Barrier = begin, found: list[str] = found) -> None:
            begin.wait(10)
            found.append(old.send(10 * turn, 3600))

        threads = [Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert found == ["0"] * 8
    assert old.rows(50) == dict.fromkeys(range(10, 51, 10), 1.0)
    assert old.meter.pulses == 50


WRONG = [
    "", "x", f"{START + 50}", f"{START + 50};", f"{START + 50};-1", f"{START + 50};nan", f"{START + 50};inf",
    f"{START + 50};1e3", f"{START + 50};1000000.1", f"{START + 50};5\n", f" {START + 50};5", f"{START + 50},5",
    f"{START + 50};5;5", "170000005;5", f"0{START};5", f"{START + 50};" + "9" * 30, f"{START + 50}.0;5", "٣700000050;5",
    f"{START + 39};5", f"{START - 1};5", "0000000001;5", "1577836799;5", f"{START + 1301};5", "9999999999;5",
]  # fmt: skip


def test_a_wrong_sample_is_answered_1_and_changes_nothing(old: OldPi) -> None:
    send_a_minute(old)
    before, standing = contents(old.mirroring.settings.state), old.meter.standing()
    assert [old.value(text) for text in WRONG] == ["1"] * len(WRONG)
    bodies = (b"", b"val", b"value=5", b"{}", b"val=\xff\xfe", b"%", b"&" * 4000, b"a=1&" * 50, b"val=%00;5")
    for body in bodies:
        found = old.post(body)
        assert (found.status, found.text) == (200, "1")
    assert contents(old.mirroring.settings.state) == before
    assert old.meter.standing() == standing
    assert old.meter.faults == {}
    assert old.send(50, 3600) == "0"
    assert old.rows(50)[50] == 1.0


def test_the_first_sample_of_an_old_century_does_no_harm(old: OldPi) -> None:
    assert [old.value(text) for text in ("0000000001;5", "0000000099;5", "1577836799;5")] == ["1"] * 3
    send_a_minute(old)
    assert old.meter.pulses == 55


def test_samples_up_to_five_minutes_ahead_are_taken(old: OldPi) -> None:
    assert (old.send(1300, 5), old.send(1301, 5)) == ("0", "1")


def test_a_restarted_mirror_goes_on_from_its_newest_row(old: OldPi) -> None:
    send_a_minute(old)
    assert old.send(47, 3600) == "0"  # no row: lost with the restart, and so the next sample stands for it
    with Mirroring(old.mirroring.settings.state, old.mirroring.clock, EXTRA).serving() as mirroring:
        again = OldPi(mirroring)
        assert (again.meter.pulses, again.meter.facts) == (55, ("attic", "attic", 1000.0, 0.0))
        assert (again.send(30, 3600), again.send(40, 3600), again.send(70, 3600)) == ("1", "0", "0")
        assert again.meter.pulses == 55 + 30
        assert again.rows(70) == {10: 1.0, 20: 2.0, 30: 1.5, 40: 1.0, 50: 1.0, 60: 1.0, 70: 1.0}


def test_own_rows_in_the_future_of_a_right_clock_are_set_aside(old: OldPi) -> None:
    """Both clocks were an hour and more ahead, and are right again."""
    send_a_minute(old)
    old.mirroring.clock.ahead -= 3600 + 2000
    old.mirroring.parts.counting.turn()
    assert [old.send(seconds - 5600, 3600) for seconds in (0, 10, 20)] == ["0"] * 3
    assert len(list(old.mirroring.settings.state.glob("attic.rrd.future-*"))) == 1
    found = known_rows(old.meter.ledger, START - 5600, START)
    assert found == {START - 5590: 1.0, START - 5580: 1.0}
    assert old.meter.pulses == 55 + 20


def test_a_disk_that_refuses_is_answered_1_and_told_in_health(old: OldPi) -> None:
    """An old Pi ends for good at anything else than 200; the time until the next sample is its to cover."""
    send_a_minute(old)
    before = contents(old.mirroring.settings.state)
    with no_room():
        assert (old.send(50, 3600), old.send(60, 3600)) == ("1", "1")
        [fault] = ask(old.mirroring.port, "GET", "/health").json["faults"][1:]
        assert "attic.rrd" in fault
    assert contents(old.mirroring.settings.state) == before
    assert old.send(70, 3600) == "0"
    assert old.meter.pulses == 55 + 30
    assert old.rows(70) == {10: 1.0, 20: 2.0, 30: 1.5, **dict.fromkeys((40, 50, 60, 70), 1.0)}
    assert old.meter.faults == {}


def test_without_a_clock_the_answer_is_1_until_it_is_set(tmp_path: Path) -> None:
    clock = HandClock(wall=1000, trusted=False)
    with Mirroring(tmp_path / "mirror", clock, EXTRA).serving() as mirroring:
        old = OldPi(mirroring)
        assert old.send(0, 3600) == "1"
        clock.ahead += START
        clock.is_trusted = True
        mirroring.parts.counting.turn()
        assert old.send(0, 3600) == "0"


# ---------------------------------------------------------------- what is shown


def test_the_page_and_the_api_tell_that_it_is_sampled(old: OldPi) -> None:
    port, clock = old.mirroring.port, old.mirroring.clock
    send_a_minute(old)
    page = ask(port, "GET", "/?lang=en", login=None).text
    assert f"Received from {OLD}; made of power samples" in page
    assert "aus Leistungswerten" in ask(port, "GET", "/?lang=de", login=None).text
    reading = ask(port, "GET", "/api/v1/meters/attic", login=None).json
    assert (reading["sampled"], reading["received_from"], reading["silent"]) == (True, OLD, False)
    assert (reading["watts"], reading["meter_reading_watt_hours"]) == (3600.0, 55.0)
    clock.now += 181
    reading = ask(port, "GET", "/api/v1/meters/attic", login=None).json
    assert (reading["watts"], reading["silent"], reading["meter_reading_watt_hours"]) == (None, True, 55.0)
    [warning] = ask(port, "GET", "/health", login=None).json["warnings"]
    assert "attic" in warning
    old.send(1181, 0)
    assert ask(port, "GET", "/api/v1/meters/attic", login=None).json["watts"] == 0.0


def test_the_constant_and_the_time_that_a_sample_stands_for_are_configured(tmp_path: Path, clock: HandClock) -> None:
    clock.ahead += 1000
    extra = EXTRA.replace("meters = attic", "meters = attic\nimp_per_kwh = 500\nsample_seconds = 300")
    with Mirroring(tmp_path / "mirror", clock, extra).serving() as mirroring:
        old = OldPi(mirroring)
        assert old.send(0, 7200) == old.send(300, 7200) == "0"  # one pulse a second: 2 Wh
        assert old.meter.pulses == 300
        assert len(old.rows(300)) == 30
        reading = ask(mirroring.port, "GET", "/api/v1/meters/attic", login=None).json
        assert (reading["watts"], reading["meter_reading_watt_hours"], reading["imp_per_kwh"]) == (7200, 600, 500)
        clock.now += 900
        assert not old.meter.is_silent
        clock.now += 1
        assert old.meter.is_silent


# ---------------------------------------------------------------- who, and how


def test_only_who_is_configured_so_sends_samples(old: OldPi) -> None:
    body = urlencode({"val": f"{START};5"})
    before = contents(old.mirroring.settings.state)
    for login in (None, basic(OLD, "wrong"), basic("nobody", OLD_PASSWORD), "Basic x"):
        found = old.post(body, login=login)
        assert found.status == 401
        assert found.headers["www-authenticate"].startswith("Basic ")
    assert old.post(body, login=pair.LOGIN).status == 404  # a PowerPi sends rows
    query = f"?step_seconds=10&after={START}&until={START + 10}"
    for path in ("attic", "attic/rows" + query, "house"):
        assert ask(old.mirroring.port, "GET", "/api/v1/mirror/" + path, login=LOGIN).status == 404
    assert contents(old.mirroring.settings.state) == before


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_samples_are_posted(old: OldPi, method: str) -> None:
    found = old.post(b"", method=method)
    assert (found.status, found.headers["allow"]) == (405, "POST")
    assert old.post(b"", method=method, login=None).status == 401


def test_a_form_that_is_too_long_is_refused(old: OldPi) -> None:
    assert old.post(b"val=" + b"5" * 4093).status == 413


@given(body=st.binary(max_size=80) | st.text(max_size=40).map(lambda text: urlencode({"val": text}).encode()))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_posted_the_answer_is_a_figure(old: OldPi, body: bytes) -> None:
    found = old.post(body)
    assert (found.status, found.text) in ((200, "0"), (200, "1"))
