"""Lines to sections and keys, and a sentence for every line that is none."""

from __future__ import annotations

import pytest

from powerpi.ini import NO_LINE, places, read


def test_sections_and_keys() -> None:
    text = "# a comment\n[powerpi]\nstate = /x\n\n[meter house]\nLabel: A = B\n  gpio = 24\n"
    assert read("[a]\nx = 1\n; more\n[b c]\ny: 2\n") == ({"a": {"x": "1"}, "b c": {"y": "2"}}, [])
    assert read(text)[0]["powerpi"] == {"state": "/x"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1", "line 1: a key stands before any section; wanted [powerpi] or [meter NAME] above it"),
        ("[a]\nwords", "line 2: this is neither a [section], a key = value, nor a # comment"),
        ("[a]\nx = 1\nX = 2", "line 3: the key of line 2 is given a second time; wanted every key once"),
        ("[a]\n[b]\n[a]", "line 3: the section of line 1 is given a second time; wanted every section once"),
        ("[a]\n[]", f"line 2: {NO_LINE}"),
        ("  words", f"line 1: {NO_LINE}"),
        ("[a]\n  words\n  more", f"line 2: {NO_LINE}"),
    ],
)
def test_a_line_at_fault_is_named_by_its_number(text: str, fault: str) -> None:
    assert read(text)[1][0] == fault


def test_places_are_the_lines_of_sections_and_keys() -> None:
    text = "x = 0\n# [b]\n[a]\nX = 1\n  y : 2\nx = 3\n\nwords\n[b c]\nx = 4\n"
    assert places(text) == {("a", ""): 3, ("a", "x"): 4, ("a", "y"): 5, ("b c", ""): 9, ("b c", "x"): 10}


def test_the_other_lines_are_read_all_the_same() -> None:
    sections, faults = read("words\n[a]\nx = 1\nx = 2\ny = 3\n")
    assert sections == {"a": {"x": "1", "y": "3"}}
    assert len(faults) == 2


def test_default_is_a_section_like_any_other() -> None:
    assert read("[DEFAULT]\nx = 1\n[a]\n") == ({"DEFAULT": {"x": "1"}, "a": {}}, [])
