"""What judges PowerPi in the virtual machines must itself be right: pulses as the host heard them, and rows."""

from pathlib import Path

from tests.vm import truth
from tests.vm.results import Result, kept, table
from tests.vm.truth import Row, Sent

# a pulse every 2 s from Unix second 100 on, 11 of them
LIFE = [Sent(number, number * 2.0, 98 + number * 2.0) for number in range(1, 12)]


def test_each_boot_begins_with_number_one_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    told = tmp_path / "truth"
    told.write_text("1 5.0 100.0\n2 6.0 101.0\n1 4.0 200.0\n2 4.5 20", encoding="ascii")
    assert truth.lives(told) == [[Sent(1, 5.0, 100.0), Sent(2, 6.0, 101.0)], [Sent(1, 4.0, 200.0)]]


def test_the_counter_is_read_on_the_line_between_two_pulses_and_unknown_outside() -> None:
    assert truth.counter_at(LIFE, 103.0) == 2.5
    assert truth.counter_at(LIFE, 99.0) is None
    assert truth.counter_at(LIFE, 121.0) is None


def test_a_row_is_compared_with_the_pulses_of_its_step() -> None:
    rows = [Row(110, 1.0), Row(120, 5.25), Row(130, 7.0)]  # the first and the last reach out of the life
    assert truth.deviations(rows, LIFE) == [0.25]


def test_rows_of_the_time_down_and_holes_are_found() -> None:
    rows = [Row(110, 5.0), Row(120, None), Row(130, None), Row(140, 5.0)]
    assert truth.known_between(rows, 95, 145) == [rows[0], rows[3]]
    assert truth.known_between(rows, 105, 145) == [rows[3]]
    assert truth.holes(rows) == 2


def test_pulses_before_the_clock_was_set_are_placed_by_the_clock_as_it_was_set() -> None:
    life = [Sent(1, 10.0, 50.0), Sent(2, 12.0, 1012.0)]
    assert [sent.wall for sent in truth.placed(life)] == [1010.0, 1012.0]


def test_rates_of_rrdtool_become_pulses_of_a_step() -> None:
    text = "                         pulses\n\n110: 5.0000000000e-01\n120: -nan\n130: nan\n"
    assert truth.parse_rows(text) == [Row(110, 5.0), Row(120, None), Row(130, None)]


def test_a_broken_promise_fails_the_run_and_a_mere_figure_does_not() -> None:
    figure, broken = Result("wake-ups", "7"), Result("nothing lost", "1 lost", False)
    assert kept([figure])
    assert not kept([figure, broken])
    assert "| cuts | nothing lost | 1 lost | FAILED |" in table([("cuts", broken)])
