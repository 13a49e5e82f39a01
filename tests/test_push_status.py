"""What of the mirror's state somebody has to look at, and from when on."""

from __future__ import annotations

import pytest

from powerpi.push_status import AT_ONCE, LATE_SECONDS, LATER, PushStatus, push_notices
from powerpi.readings import Notice

NOW = 1_700_000_000.0
SAID = "mirror.example cannot be reached: Connection refused"


def keys(status: PushStatus) -> list[str]:
    return [notice.key for notice in push_notices(status, NOW)]


def test_a_mirror_in_step_is_not_worth_a_look() -> None:
    assert keys(PushStatus("h", in_step=True, behind_rows=0, since=NOW)) == []
    assert keys(PushStatus("h", in_step=True, behind_rows=0, since=NOW - 3600)) == []  # the next message is due soon


def test_a_mirror_that_was_not_asked_yet_is_not_worth_a_look() -> None:
    assert keys(PushStatus("h")) == []


def test_catching_up_is_not_worth_a_look_however_long_it_takes() -> None:
    assert keys(PushStatus("h", behind_rows=3_000_000, since=NOW - 86400)) == []


@pytest.mark.parametrize("why", AT_ONCE)
def test_what_does_not_go_away_by_itself_is_told_at_once(why: str) -> None:
    status = PushStatus("h", behind_rows=1, since=NOW, why=why, said=SAID)
    assert push_notices(status, NOW) == [Notice(f"push_{why}", None, SAID)]
    assert keys(status._replace(since=None)) == [f"push_{why}"]


@pytest.mark.parametrize("why", LATER)
@pytest.mark.parametrize(("seconds", "told"), [(0.0, False), (LATE_SECONDS, False), (LATE_SECONDS + 0.1, True)])
def test_a_mirror_that_is_away_is_told_after_ten_minutes(why: str, seconds: float, told: bool) -> None:
    assert LATE_SECONDS == 600.0
    status = PushStatus("h", behind_rows=5, since=NOW - seconds, why=why, said=SAID)
    assert push_notices(status, NOW) == ([Notice(f"push_{why}", None, SAID)] if told else [])


@pytest.mark.parametrize("why", LATER)
def test_a_mirror_that_was_away_since_the_start_is_told_after_ten_minutes_of_trying(why: str) -> None:
    status = PushStatus("h", why=why, said=SAID, tried=NOW - LATE_SECONDS)
    assert keys(status) == []
    assert keys(status._replace(tried=NOW - LATE_SECONDS - 1)) == [f"push_{why}"]


def test_ten_minutes_count_from_when_it_was_last_in_step() -> None:
    status = PushStatus("h", since=NOW - 60, tried=NOW - 86400, why="away", said=SAID)
    assert keys(status) == []


def test_a_clock_that_is_not_set_is_told_elsewhere() -> None:
    assert keys(PushStatus("h", why="clock", said="...", since=NOW - 86400)) == []


def test_what_a_comparison_found_is_told_with_its_number() -> None:
    status = PushStatus("h", in_step=True, since=NOW, damaged_rows=8640, only_there_rows=360, counter_ahead=7)
    assert push_notices(status, NOW) == [
        Notice("push_damaged", None, "8640"),
        Notice("push_only_there", None, "360"),
        Notice("push_counter", None, "7"),
    ]


def test_what_was_put_right_needs_nobody() -> None:
    assert keys(PushStatus("h", in_step=True, since=NOW, repaired_rows=100, healed_rows=100)) == []


def test_several_things_are_told_together() -> None:
    status = PushStatus("h", since=NOW, why="login", said=SAID, only_there_rows=1)
    assert keys(status) == ["push_login", "push_only_there"]
