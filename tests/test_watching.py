"""`powerpi check --watch`: each line that it prints, on mock pins and beside a daemon's real parts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import ClockedFactory, HandClock, Line, wait_for_door

from powerpi import contacts, watching
from powerpi.building import Fate, Parts, build
from powerpi.config import Settings, parse
from powerpi.contacts import Asking, Listening
from powerpi.errors import DataError
from powerpi.pulse_health import KEPT
from powerpi.watching import Watch

TOP = Path(__file__).parent.parent


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(
        f"[powerpi]\nstate = {tmp_path}\ntimezone = Europe/Berlin\nnetwork_time = no\n"
        "[meter house]\ngpio = 24\n[meter shed]\ngpio = 25\nimp_per_kwh = 100\n"
    )


def clock_text(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%T}"


@pytest.fixture
def watch(settings: Settings, line: Line) -> Watch:
    """The house alone, on its own pin."""
    source = Listening(line.factory, settings.meters[:1], line.clock)
    return Watch(source, settings.meters[:1], clock_text, line.clock)


@pytest.fixture
def start(settings: Settings, line: Line) -> Iterator[Callable[[], Parts]]:
    """Starts a daemon's parts; those that ran before end."""
    running: list[Parts] = []

    def end() -> None:
        for parts in running:
            parts.door.stop()
            parts.counting.stop()
            parts.reader.close()
            for pin in parts.pins:
                pin.close()
        running.clear()

    def begin() -> Parts:
        end()
        parts = build(settings, line.factory, line.clock, Fate())
        running.append(parts)
        line.pin = parts.pins[0]
        parts.counting.start()
        parts.door.start()
        wait_for_door(settings.state)
        return parts

    yield begin
    end()


def test_it_begins_with_what_is_watched(watch: Watch, line: Line) -> None:
    assert list(watch.opening()) == [
        "house: GPIO24 (pin 18), 1000 imp/kWh, contact open now",
        "Watching the pins; Ctrl-C ends it.",
    ]
    assert list(watch.turn()) == []


def test_each_pulse_has_a_line_with_width_pause_and_power(watch: Watch, line: Line) -> None:
    line.pulse(1010)
    # START + 10 s is 22:13:30 UTC; of the first pulse nobody knows what was before
    assert list(watch.turn()) == ["22:13:30  house  30 ms wide"]
    line.pulse(1017.2, width=0.045)
    line.pulse(1018.2)
    # 3600 / 7.2 s = 500 W, 3600 / 1 s = 3600 W; pauses: 1017.2 - 1010.03 and 1018.2 - 1017.245
    assert list(watch.turn()) == [
        "22:13:37  house  45 ms wide, 7.2 s pause, 500 W",
        "22:13:38  house  30 ms wide, 955 ms pause, 3600 W",
    ]
    assert list(watch.turn()) == []


def test_closings_that_do_not_count_say_why(watch: Watch, line: Line) -> None:
    line.pulse(1010, width=0.003)
    line.pulse(1020)
    line.pulse(1020.035, width=0.04)
    assert list(watch.turn()) == [
        "22:13:30  house  3 ms: too short, rejected (min_pulse_ms = 10)",
        "22:13:40  house  30 ms wide",
        "22:13:40  house  40 ms: too soon after the pulse, which bounces; rejected",
    ]


def test_the_end_sums_up(watch: Watch, line: Line) -> None:
    assert list(watch.summary()) == ["house: 0 pulses (0 Wh) in 0 s"]
    line.pulse(1010)
    list(watch.turn())
    assert list(watch.summary()) == ["house: 1 pulse (1 Wh), 30 ms wide in 10 s"]
    line.pulse(1020, width=0.05)
    line.pulse(1030, width=0.008)
    list(watch.turn())
    line.clock.now = 1075
    assert list(watch.summary()) == [
        "house: 2 pulses (2 Wh), 30 ms to 50 ms wide, 1 rejected, up to 8 ms wide in 1 min"
    ]  # fmt: skip


# ---------------------------------------------------------------- nothing comes


def test_an_open_contact_without_pulses_says_once_what_to_try(watch: Watch, line: Line) -> None:
    line.clock.now += 29.9
    assert list(watch.turn()) == []
    line.clock.now += 0.1
    [said] = watch.turn()
    assert said == (
        "house: no pulse for 30 s. The contact is open. At 500 W a pulse comes every 7.2 s: switch something on. Else"
        " turn the two wires of S0 round, and look whether they are at GPIO24 (pin 18) and ground (pin 20)."
    )
    line.clock.now += 60
    assert list(watch.turn()) == []


def test_a_closed_contact_is_the_wrong_way_round_or_shorted(watch: Watch, line: Line) -> None:
    line.close()
    line.clock.now += 30
    [said] = watch.turn()
    assert "The contact is closed all the time: turn the two wires of S0 round" in said
    assert said.endswith("try pull = down.")


def test_disturbances_alone_point_to_the_leads_and_the_limit(watch: Watch, line: Line) -> None:
    line.pulse(1030, width=0.004)
    *_, said = watch.turn()
    assert "What closed did so for 4 ms at most: are the leads long, or is min_pulse_ms = 10 too much?" in said


def test_after_a_pulse_a_quiet_time_is_nothing_to_speak_of(watch: Watch, line: Line) -> None:
    line.pulse(1001)
    list(watch.turn())
    line.clock.now += 300
    assert list(watch.turn()) == []


# ---------------------------------------------------------------- beside the PowerPi that runs


def beside(settings: Settings, line: Line) -> Watch:
    return Watch(Asking(settings.state), settings.meters[:1], clock_text, line.clock)


def test_pulses_of_before_are_not_shown_and_give_the_next_one_its_power(
    settings: Settings, line: Line, start: Callable[[], Parts]
) -> None:
    parts = start()
    line.pulse(1010)
    parts.counting.flush(5)
    watch = beside(settings, line)
    assert list(watch.opening())[-1] == "Watching what the PowerPi that runs counts; Ctrl-C ends it."
    assert list(watch.turn()) == []
    line.pulse(1020)
    parts.counting.flush(5)
    assert list(watch.turn()) == ["22:13:40  house  30 ms wide, 10.0 s pause, 360 W"]
    assert list(watch.turn()) == []


def test_none_of_many_is_missed_or_doubled(settings: Settings, line: Line, start: Callable[[], Parts]) -> None:
    parts = start()
    watch = beside(settings, line)
    shown: list[str] = []
    for number in range(100):
        line.pulse(1010 + 0.06 * number)
        if number % 7 == 0:
            shown += watch.turn()
    parts.counting.flush(5)
    shown += watch.turn()
    assert len(shown) == 100
    assert shown == sorted(shown)
    assert next(watch.summary()).startswith("house: 100 pulses (100 Wh), 30 ms wide in ")


def test_more_than_are_kept_are_counted_and_told(settings: Settings, line: Line, start: Callable[[], Parts]) -> None:
    parts = start()
    watch = beside(settings, line)
    for number in range(KEPT + 5):
        line.pulse(1010 + 0.1 * number)
    parts.counting.flush(5)
    first, second, *others = watch.turn()
    assert first == "house: 5 more pulses came in between; they are counted, and too many to be shown"
    assert second.endswith("  house  30 ms wide")  # what was before it is not known
    assert len(others) == KEPT - 1
    assert next(watch.summary()).startswith(f"house: {KEPT + 5} pulses")


def test_a_restart_is_waited_for_and_no_power_is_told_across_it(
    settings: Settings, line: Line, start: Callable[[], Parts]
) -> None:
    parts = start()
    watch = beside(settings, line)
    line.pulse(1010)
    parts.counting.flush(5)
    assert len(list(watch.turn())) == 1
    parts.door.stop()
    [away] = watch.turn()
    assert away.startswith("PowerPi does not answer any more, waiting for it: no PowerPi answers in")
    assert list(watch.turn()) == []
    line.clock.now += 5
    parts = start()
    line.pulse(1030)
    parts.counting.flush(5)
    assert list(watch.turn()) == ["PowerPi answers again.", "22:13:50  house  30 ms wide"]


# ---------------------------------------------------------------- the command


def ended_after(turns: int, between: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """A pause in which Ctrl-C comes after so many turns."""
    left = iter(range(turns))

    def pause() -> None:
        between()
        if next(left, None) is None:
            raise KeyboardInterrupt

    return pause


def test_ctrl_c_ends_it_with_a_summary_and_0(
    settings: Settings, clock: HandClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    factory = ClockedFactory(clock)
    monkeypatch.setattr(contacts, "open_factory", lambda: factory)

    def pulse() -> None:
        clock.now += 10
        factory.pin(25).drive_low()
        clock.now += 0.03
        factory.pin(25).drive_high()

    assert watching.run(settings, "shed", clock, ended_after(1, pulse)) == 0
    # Berlin is an hour ahead: 22:13:20 UTC and 10 s
    assert capsys.readouterr().out.splitlines() == [
        "shed: GPIO25 (pin 22), 100 imp/kWh, contact open now",
        "Watching the pins; Ctrl-C ends it.",
        "23:13:30.0  shed  30 ms wide",
        "",
        "shed: 1 pulse (10 Wh), 30 ms wide in 20 s",
    ]
    assert factory.pin(25).when_changed is None


def test_a_meter_that_is_none_is_told_with_those_there_are(settings: Settings, clock: HandClock) -> None:
    with pytest.raises(DataError, match=r"--meter 'garage': wanted one of .*, house, shed"):
        watching.run(settings, "garage", clock)


def test_a_real_ctrl_c_ends_a_real_process(tmp_path: Path) -> None:
    conf = tmp_path / "powerpi.conf"
    conf.write_text(f"[powerpi]\nstate = {tmp_path}/state\nnetwork_time = no\n[meter house]\ngpio = 24\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "powerpi", "check", "--watch", "--config", str(conf)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=TOP,
        env={**os.environ, "GPIOZERO_PIN_FACTORY": "mock"},
    )  # fmt: skip
    try:
        assert process.stdout
        assert process.stdout.readline() == "house: GPIO24 (pin 18), 1000 imp/kWh, contact open now\n"
        assert process.stdout.readline() == "Watching the pins; Ctrl-C ends it.\n"
        process.send_signal(signal.SIGINT)
        told, complaints = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, complaints) == (0, "")
    assert told.startswith("\nhouse: 0 pulses (0 Wh) in ")
