"""Writes that are refused, and what is told of them."""

from __future__ import annotations

import pytest

from powerpi.errors import BusyError, StoreError
from powerpi.writing import BUSY_REFUSALS, TOLD, Writing


def refuse(error: StoreError) -> list[str]:
    raise error


@pytest.fixture
def writing() -> Writing:
    return Writing("house", ["the register was damaged"], 1000.0)


def test_what_happened_at_the_start_is_told(writing: Writing) -> None:
    assert writing.told == ((1000.0, "the register was damaged"),)
    assert writing.faults == {}


def test_a_refusal_is_a_fault_until_the_same_thing_succeeds(writing: Writing) -> None:
    assert not writing.attempt("rows", lambda: refuse(StoreError("disk full")), 1001.0)
    assert not writing.attempt("gaps", lambda: refuse(StoreError("no room")), 1001.0)
    assert writing.faults == {"rows": "disk full", "gaps": "no room"}
    assert writing.attempt("register", lambda: None, 1002.0)
    assert writing.attempt("rows", lambda: None, 1002.0)
    assert writing.faults == {"gaps": "no room"}


def test_faults_that_another_thread_reads_do_not_change_under_it(writing: Writing) -> None:
    writing.attempt("rows", lambda: refuse(StoreError("disk full")), 1001.0)
    seen = writing.faults
    writing.attempt("rows", lambda: None, 1002.0)
    assert seen == {"rows": "disk full"}


def test_a_busy_file_is_a_fault_only_after_a_while_and_each_thing_counts_for_itself(writing: Writing) -> None:
    for _ in range(BUSY_REFUSALS - 1):
        assert not writing.attempt("rows", lambda: refuse(BusyError("locked")), 1001.0)
        assert writing.attempt("register", lambda: None, 1001.0)
    assert writing.faults == {}
    writing.attempt("rows", lambda: refuse(BusyError("locked")), 1002.0)
    assert writing.faults == {"rows": "locked"}


def test_a_line_is_logged_for_each_change_only(writing: Writing, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for _ in range(5):
        writing.attempt("rows", lambda: refuse(StoreError("disk full")), 1001.0)
    for _ in range(5):
        writing.attempt("rows", lambda: None, 1002.0)
    assert caplog.messages == [
        "meter house: its rows cannot be stored for now: disk full",
        "meter house: its rows can be stored again",
    ]


def test_the_newest_things_that_happened_are_kept(writing: Writing) -> None:
    for number in range(20):
        writing.attempt("rows", lambda number=number: [f"note {number}"], 1000.0 + number)
    assert [note for _, note in writing.told] == [f"note {number}" for number in range(20 - TOLD, 20)]
