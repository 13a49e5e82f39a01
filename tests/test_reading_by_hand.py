"""`powerpi reading`: with a PowerPi that runs and without, at the keyboard and in a script."""

from __future__ import annotations

import io
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pair import HASH
from test_daemon import Process, start  # noqa: F401 (a fixture)
from test_door import wait_until
from test_notary import answers

from powerpi import anchors, cli
from powerpi.anchors import Anchor
from powerpi.folder import locked_folder
from powerpi.pulses import Row
from powerpi.store import Store

Streams = pytest.CaptureFixture[str]
NOW = 1_795_714_204  # 2026-11-26 18:30:04 in Berlin
ROWS_END = NOW - 4  # the newest row: since then nobody has counted
HOUR = 3600


class Desk:
    """Where somebody types commands; 30 hours at 360 W are counted, 10 800 pulses."""

    def __init__(self, folder: Path, capsys: Streams) -> None:
        self.state = folder / "state"
        self.conf = folder / "powerpi.conf"
        self.conf.write_text(
            f"[powerpi]\nstate = {self.state}\nlisten = 127.0.0.1:0\ntimezone = Europe/Berlin\nnetwork_time = no\n"
            "[meter house]\ngpio = 24\n[meter shed]\ngpio = 25\nimp_per_kwh = 500\n"
            f"[mirror]\naccept = yes\n[mirror pi-hq]\npassword_hash = {HASH}\nmeters = hut\n"
        )
        self._capsys = capsys

    def reading(self, *arguments: str) -> tuple[int, list[str], str]:
        """Exit code, lines on standard output, and what is on standard error."""
        code = cli.main(["reading", *arguments, "--config", str(self.conf)])
        told = self._capsys.readouterr()
        return code, told.out.splitlines(), told.err

    def noted(self, meter: str = "house") -> tuple[Anchor, ...]:
        return anchors.read(anchors.path_of(self.state / f"{meter}.rrd"))[0]


@pytest.fixture
def desk(tmp_path: Path, capsys: Streams, make_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(tmp_path, capsys)
    made.state.mkdir()
    store = Store(made.state, "house", 20, make_store()._gate)
    first = ROWS_END - 30 * HOUR
    store.open(first - 10)
    store.write([Row(first + 10 * number, float(number)) for number in range(10_801)])
    store.save_register(10_800, ROWS_END)
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return made


# ---------------------------------------------------------------- without a PowerPi that runs


def test_a_reading_is_noted_and_told(desk: Desk) -> None:
    assert desk.reading("house") == (
        0,
        [
            "house: no reading is noted; `powerpi reading house KWH` notes what the display shows",
            "house: the display shows 10.8 kWh now",
        ],
        "",
    )
    assert desk.reading("house", "12345,6") == (
        0,
        ["house: 2026-11-26 18:30:04  12345.6 kWh is noted", "house: the display shows 12345.6 kWh now"],
        "",
    )
    assert desk.noted() == (Anchor(NOW, 12_345_600.0, 10_800.0),)


def test_the_display_is_told_with_its_own_decimals(desk: Desk) -> None:
    assert desk.reading("house", "12345.678")[1][-1] == "house: the display shows 12345.678 kWh now"


def test_a_reading_noted_earlier_leads_to_what_the_display_shows_now(desk: Desk) -> None:
    # ten hours at 360 W since then
    assert desk.reading("house", "100.5", "--at", "2026-11-26T08:30")[1] == [
        "house: 2026-11-26 08:30  100.5 kWh is noted",
        "house: the display shows 104.1 kWh now",
    ]
    assert desk.noted()[0].pulses == pytest.approx(7200)


def test_from_the_second_on_it_says_how_well_was_counted(desk: Desk) -> None:
    desk.reading("house", "100.0", "--at", "2026-11-25 18:30")
    # 8.64 kWh in 24 hours; the meter says 8.7, and then 10.0 in all
    assert desk.reading("house", "108.7", "--at", "2026-11-26 18:30")[1] == [
        "house: 2026-11-26 18:30  108.7 kWh is noted",
        "since 2026-11-25 18:30: 8.6 kWh counted, 8.7 on the meter, as exact as the display tells",
        "house: the display shows 108.7 kWh now",
    ]
    assert desk.reading("house", "110,0")[1] == [
        "house: 2026-11-26 18:30:04  110 kWh is noted",
        "since 2026-11-26 18:30: 0.0 kWh counted, 1.3 on the meter, 100.0 % missing (1300 pulses)",
        "in all: since 2026-11-25 18:30: 8.6 kWh counted, 10.0 on the meter, 13.6 % missing (1360 pulses)",
        "house: the display shows 110.0 kWh now",
    ]
    desk.reading("house", "0,3", "--new-meter")
    assert desk.reading("house")[1] == [
        "2026-11-25 18:30  100 kWh",
        "2026-11-26 18:30  108.7 kWh"
        "  since 2026-11-25 18:30: 8.6 kWh counted, 8.7 on the meter, as exact as the display tells",
        "2026-11-26 18:30:04  110 kWh"
        "  since 2026-11-26 18:30: 0.0 kWh counted, 1.3 on the meter, 100.0 % missing (1300 pulses)",
        "2026-11-26 18:30:04  0.3 kWh  new meter",
        "house: the display shows 0.3 kWh now",
    ]


def test_a_reading_in_the_place_of_another_is_told(desk: Desk) -> None:
    desk.reading("house", "100.0", "--at", "2026-11-26 18:30")
    assert desk.reading("house", "99.5", "--at", "2026-11-26 18:30")[1][0] == (
        "house: 2026-11-26 18:30  99.5 kWh is noted in the place of 100 kWh"
    )


def test_what_is_unknown_since_an_earlier_reading_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: float(NOW + 2 * HOUR))
    assert desk.reading("house", "100", "--at", "2026-11-26 18:00")[1][1] == (
        "of the time since then 2 h are unknown: what the display shows now lacks what was used then"
    )


def test_a_meter_that_was_never_counted_can_have_its_first_reading(desk: Desk) -> None:
    assert desk.reading("shed", "7")[0] == 0
    assert desk.noted("shed") == (Anchor(NOW, 7_000.0, 0.0),)
    code, _, said = desk.reading("shed", "5", "--at", "2026-11-26 17:00")
    assert (code, said) == (65, "powerpi: nothing had been counted yet at 2026-11-26 17:00:00: wanted a later time\n")
    assert not (desk.state / "shed.rrd").exists()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["garage", "5"], "there is no meter 'garage' here: wanted one that is counted here (house, shed)"),
        (["hut", "5"], "hut is received from pi-hq: its readings are noted where it is counted"),
        (["house", "12.345"], "'12.345' may be 12.345 kWh or 12345 kWh"),
        (["house", "much"], "'much' is no reading: wanted kWh"),
        (["house", "5", "--at", "18:30"], "'18:30' is no time: wanted a date and a time"),
        (["house", "5", "--at", "2026-10-25T02:30"], "'2026-10-25T02:30' comes twice in Europe/Berlin"),
        (["house", "5", "--at", "2026-03-29T02:30"], "'2026-03-29T02:30' does not exist in Europe/Berlin"),
        (["house", "5", "--at", "2026-11-26T18:31"], "2026-11-26 18:31:00 is still to come: it is 2026-11-26 18:30:04"),
        (["house", "5", "--at", "2026-11-20T18:31"], "nothing had been counted yet at 2026-11-20 18:31:00"),
        (["house", "--at", "2026-11-26T18:30"], "--at goes with a reading: wanted kWh as well"),
        (["house", "--new-meter"], "--new-meter goes with a reading: wanted kWh as well"),
        (["house", "5", "--remove", "2026-11-26T18:30"], "--remove takes a reading away: wanted neither kWh nor --at"),
        (["house", "--remove", "2026-11-26T18:30"], "no reading of 2026-11-26 18:30:00 is noted for house"),
    ],
)
def test_what_cannot_be_is_refused_with_one_sentence(desk: Desk, arguments: list[str], said: str) -> None:
    code, out, told = desk.reading(*arguments)
    assert (code, out) == (65, [])
    assert told.startswith(f"powerpi: {said}")
    assert told.count("\n") == 1
    assert desk.noted() == ()


def test_without_a_state_folder_nothing_is_made(desk: Desk) -> None:
    desk.state.rename(desk.state.with_name("elsewhere"))
    code, _, said = desk.reading("house", "5")
    assert code == 74
    assert said == f"powerpi: there is no folder {desk.state} yet: wanted PowerPi started once before\n"
    assert not desk.state.exists()


def test_a_clock_that_nobody_has_set_notes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.conf.write_text(desk.conf.read_text().replace("network_time = no", "network_time = yes"))
    monkeypatch.setattr("powerpi.clock.SystemClock.trusted", lambda _: False)
    code, _, said = desk.reading("house", "5")
    assert (code, said.partition(",")[0]) == (65, "powerpi: the clock is not synchronised")
    assert desk.reading("house")[0] == 0


def test_a_powerpi_that_runs_and_does_not_answer_is_told(desk: Desk) -> None:
    with locked_folder(desk.state):
        code, _, said = desk.reading("house", "5")
    assert code == 69
    assert said.startswith(f"powerpi: no PowerPi answers in {desk.state}")


def test_a_damaged_file_is_told_and_kept(desk: Desk) -> None:
    (desk.state / "house.readings").write_text("torn")
    _, _, said = desk.reading("house", "5")
    assert said.startswith("house: the readings in ")
    [kept] = desk.state.glob("house.readings.damaged-*")
    assert kept.read_text() == "torn"


def test_a_counter_that_was_lost_is_told_and_not_counted_up(desk: Desk) -> None:
    noted = anchors.path_of(desk.state / "house.rrd")
    anchors.write(noted, [Anchor(NOW - 20 * HOUR, 12_345_600.0, 12_345_600.0)], damaged=False)
    said = "house: the counter is at 10800 pulses, lower than the 12345600 at the newest reading: the display is"
    assert said in desk.reading("house")[2]
    code, _, told = desk.reading("house", "12349")
    assert (code, said in told) == (0, True)
    _, lines, told = desk.reading("house")
    assert lines == [
        "2026-11-25 22:30:04  12345.6 kWh",
        "2026-11-26 18:30:04  12349 kWh  the counter was lost before",
        "house: the display shows 12349.0 kWh now",
    ]
    assert told == ""


# ---------------------------------------------------------------- what is asked


class Keyboard(io.StringIO):
    """A terminal at which this is typed."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("Yes\n", 0), ("n\n", 65), ("\n", 65), ("", 65)])
def test_a_doubtful_reading_is_asked_about(desk: Desk, typed: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.reading("house", "100", "--at", "2026-11-26 08:30")
    monkeypatch.setattr("sys.stdin", Keyboard(typed))
    found, out, said = desk.reading("house", "150")
    assert found == code
    assert out[0].startswith(
        "150 kWh is 46.4 kWh more than was counted, by which it would be 103.6 kWh. Is that right?"
    )
    assert len(desk.noted()) == (1 if code else 2)
    assert said == ("nothing was changed\n" if code else "")


def test_so_is_one_before_any_row_is_there(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.reading("shed", "5")
    clock = iter(range(NOW + 10, NOW + 1000, 5))  # it takes somebody a while to answer
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    monkeypatch.setattr("sys.stdin", Keyboard("y\n"))
    assert desk.reading("shed", "5000")[0] == 0
    assert [anchor.watt_hours for anchor in desk.noted("shed")] == [5_000, 5_000_000]


def test_without_a_keyboard_a_doubtful_reading_takes_a_yes(desk: Desk) -> None:
    desk.reading("house", "100", "--at", "2026-11-26 08:30")
    code, out, said = desk.reading("house", "150")
    assert (code, out) == (65, [])
    assert said == (
        "powerpi: 150 kWh is 46.4 kWh more than was counted, by which it would be 103.6 kWh: wanted --yes if that is"
        " right\nnothing was changed\n"
    )
    assert desk.reading("house", "150", "--yes")[0] == 0
    assert [anchor.watt_hours for anchor in desk.noted()] == [100_000, 150_000]


def test_a_reading_is_taken_away_after_a_yes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.reading("house", "100", "--at", "2026-11-26 08:30")
    desk.reading("house", "103.6")
    monkeypatch.setattr("sys.stdin", Keyboard("y\n"))
    code, out, _ = desk.reading("house", "--remove", "2026-11-26 18:30")
    assert code == 0
    assert out[0].startswith("the reading 103.6 kWh of 2026-11-26 18:30:04 will be taken away. Is that right?")
    assert out[0].endswith("house: 2026-11-26 18:30:04  103.6 kWh was taken away")
    assert out[1] == "house: the display shows 103.6 kWh now"
    assert desk.reading("house", "--remove", "2026-11-26 08:30", "--yes")[1] == [
        "house: 2026-11-26 08:30  100 kWh was taken away",
        "house: the display shows 10.8 kWh now",  # as configured
    ]
    assert desk.noted() == ()


# ---------------------------------------------------------------- a whole PowerPi that runs


@pytest.fixture
def demo(tmp_path: Path, start: Callable[..., Process]) -> Iterator[Callable[[], Process]]:  # noqa: F811
    def begin() -> Process:
        process = start("demo", "--port", "0", "--state", str(tmp_path / "state"), "--seed", "7", "--empty")
        assert process.port
        wait_until(lambda: answers(tmp_path / "state"))
        return process

    yield begin


def meter_reading(process: Process) -> float:
    return float(json.loads(process.get("/api/v1/meters/house"))["meter_reading_watt_hours"])


def test_a_reading_survives_kills_of_the_powerpi_that_runs(
    demo: Callable[[], Process], tmp_path: Path, capsys: Streams
) -> None:
    desk = Desk(tmp_path, capsys)
    desk.conf.write_text(desk.conf.read_text().replace("timezone = Europe/Berlin\n", ""))
    process = demo()
    shown, times = 0.0, dict[int, float]()
    for kwh in ("45678.9", "45679.0", "45680.0"):
        code, out, said = desk.reading("house", kwh, "--yes")
        assert (code, said) == (0, ""), out
        assert meter_reading(process) >= float(kwh) * 1000
        times[desk.noted()[-1].time] = float(kwh) * 1000
        shown = max(shown, float(kwh) * 1000)
        assert process.end(signal.SIGKILL)[0] == -signal.SIGKILL
        process = demo()
        assert meter_reading(process) >= shown
    told = json.loads(process.get("/api/v1/meters/house/readings"))["readings"]
    noted = {reading["time"]: reading["watt_hours"] for reading in told}
    assert noted == times  # of two in one second the later one
    assert told[0]["watt_hours"] == 45_680_000
    assert b"Last noted reading" in process.get("/?lang=en")
    assert process.end()[0] == 0
