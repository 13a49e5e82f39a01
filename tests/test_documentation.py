"""The README and the code say the same: keys, commands, options, exit codes, rooms, and files that exist."""

from __future__ import annotations

import argparse
import ast
import os
import re
from pathlib import Path

import pytest
from test_architecture import TREES, imported_rooms

from powerpi import cli
from powerpi.anchors import NotedReading
from powerpi.building import EXIT_DIED, EXIT_OK
from powerpi.keys import SECTIONS, Key, heading
from powerpi.messages import State
from powerpi.pulse_health import PulseHealth, Told
from powerpi.push_status import PushStatus
from powerpi.readings import MeterReading

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
OF_ARGPARSE = {"-h", "--help"}
WRONG_ARGUMENTS = 2  # argparse's own exit code
NO_ROOMS = {"__init__", "__main__"}  # what Python asks for; the map may leave them out
KEYS = [(section, key) for section, keys in SECTIONS.items() for key in keys]


def chapter(heading: str) -> str:
    """The text below a heading, down to the next one of the same or a higher level."""
    level = len(heading) - len(heading.lstrip("#"))
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", README, flags=re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, without heads and rulers."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rulers = {number for number, line in enumerate(lines) if not line.strip("|-: ")}
    body = [line for number, line in enumerate(lines) if not {number, number + 1} & rulers]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in body]


def code(cell: str) -> str | None:
    """What stands in backticks, if that is all the cell holds."""
    found = re.fullmatch(r"`([^`]+)`", cell)
    return found[1] if found else None


def heading_of(section: str) -> str:
    return f"### `[{heading(section)}]`"


# ---------------------------------------------------------------- configuration


def test_every_section_has_its_heading_and_no_other_is_there() -> None:
    headings = re.findall(r"^### .*\[.*$", chapter("## Configuration"), flags=re.MULTILINE)
    assert headings == [heading_of(section) for section in SECTIONS]


@pytest.mark.parametrize(("section", "key"), KEYS, ids=lambda value: getattr(value, "name", value))
def test_key_stands_in_its_table_with_its_default_and_a_meaning(section: str, key: Key) -> None:
    [row] = [row for row in rows(chapter(heading_of(section))) if code(row[0]) == key.name]
    _, default, meaning = row
    assert code(default) == (key.default or None)
    assert default, "an empty default is told in words"
    assert len(meaning) > 10


@pytest.mark.parametrize("section", SECTIONS)
def test_table_of_keys_names_none_that_does_not_exist(section: str) -> None:
    assert [code(row[0]) for row in rows(chapter(heading_of(section)))] == [key.name for key in SECTIONS[section]]


# ---------------------------------------------------------------- commands and options


def commands() -> dict[str, argparse.ArgumentParser]:
    [action] = [action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(action.choices)


def options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {name: action for action in parser._actions for name in action.option_strings if name not in OF_ARGPARSE}


def as_shown(name: str, action: argparse.Action) -> str:
    return f"{name} {action.metavar}" if action.metavar else name


def test_every_command_is_in_the_table_and_no_other() -> None:
    shown = [code(row[0]) for row in rows(chapter("## Commands")) if row[0].startswith("`powerpi")]
    assert shown == [f"powerpi {command}" for command in commands()]


def test_every_option_is_in_the_table_with_its_commands_and_no_other() -> None:
    owners: dict[str, list[str]] = {}
    for command, parser in commands().items():
        for name, action in options(parser).items():
            owners.setdefault(as_shown(name, action), []).append(command)
    owners |= {as_shown(name, action): [] for name, action in options(cli.parser()).items()}
    told = {code(row[0]): re.findall(r"\w+", row[1]) for row in rows(chapter("## Commands")) if row[0].startswith("`-")}
    assert told == owners


def code_lines() -> list[str]:
    """All code of the README: what stands in backticks and what is indented."""
    return re.findall(r"`([^`\n]+)`", README) + re.findall(r"^ {4,}(\S.*)$", README, flags=re.MULTILINE)


def test_every_command_line_of_the_readme_can_be_parsed() -> None:
    ours = re.compile(r"(?:^(?:sudo )?|(?<!init\.d)/|-m )powerpi ([a-z].*)")
    used = [found[1].split() for line in code_lines() if (found := ours.search(line))]
    assert used
    assert {words[0] for words in used} <= commands().keys()
    for words in used:
        if len(words) > 1:  # else a command is only named, which may want more
            assert cli.parser().parse_args(words).command == words[0]


def test_the_configurations_place_is_told() -> None:
    assert "/etc/powerpi.conf" in chapter("## Configuration")
    assert Path("/etc/powerpi.conf") == cli.parser().parse_args(["run"]).config


# ---------------------------------------------------------------- the API


def told_fields(first: str, heading: str = "## What the page offers") -> list[str]:
    """The names in the first column of the table in a chapter that begins with `first`."""
    tables = re.findall(r"(?:^\|.*\n)+", chapter(heading), flags=re.MULTILINE)
    names = [[name for row in rows(table) for name in re.findall(r"`(\w+)`", row[0])] for table in tables]
    return next(table for table in names if table and table[0] == first)


def test_every_field_of_a_reading_is_told() -> None:
    assert sorted(told_fields("meter")) == sorted(MeterReading._fields)


def test_every_field_of_a_closing_and_of_the_summary_is_told() -> None:
    assert sorted(told_fields("counted")) == sorted({*Told._fields, "time"} - {"begin"})
    assert sorted(told_fields("pulses")) == sorted(PulseHealth._fields)


def test_every_field_of_a_noted_reading_is_told() -> None:
    assert sorted(told_fields("time")) == sorted(NotedReading._fields)


def test_every_field_of_the_mirrors_standing_is_told() -> None:
    assert sorted(told_fields("host")) == sorted([*PushStatus._fields, "text"])


def test_every_field_of_a_state_is_told_to_who_writes_a_sender() -> None:
    assert sorted(told_fields("label", "### The mirror's API")) == sorted(State._fields)


# ---------------------------------------------------------------- exit codes


def exit_codes() -> set[int]:
    """The codes by the names of sysexits.h, those that cli returns by number, and those of the daemon and argparse."""
    attributes = [node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    named = {getattr(os, node.attr) for node in attributes if node.attr.startswith("EX_")}
    nodes = list(ast.walk(TREES["cli"]))
    returned = [inner for node in nodes if isinstance(node, ast.Return) for inner in ast.walk(node)]
    numbers = {node.value for node in returned if isinstance(node, ast.Constant) and type(node.value) is int}
    return named | numbers | {EXIT_OK, EXIT_DIED, WRONG_ARGUMENTS}


def test_every_exit_code_is_in_the_table_and_no_other() -> None:
    assert [int(row[0]) for row in rows(chapter("### Exit codes"))] == sorted(exit_codes())


def test_every_exit_code_is_in_the_modules_own_text() -> None:
    text = ast.get_docstring(TREES["cli"]) or ""
    assert {int(number) for number in re.findall(r"\b\d+\b", text)} == exit_codes()


# ---------------------------------------------------------------- the rooms


def rooms_told() -> list[str]:
    return [(code(row[0]) or row[0]).removesuffix(".py") for row in rows(chapter("## The rooms"))]


def test_every_room_is_on_the_map_once_and_no_other() -> None:
    assert sorted(room for room in rooms_told() if room not in NO_ROOMS) == sorted(TREES.keys() - NO_ROOMS)


def test_the_map_lists_the_rooms_in_the_order_of_imports() -> None:
    places = {room: number for number, room in enumerate(rooms_told())}
    upwards = [
        (room, other)
        for room in places
        for other in imported_rooms(room)
        if other not in NO_ROOMS and places[other] >= places[room]
    ]
    assert upwards == []


# ---------------------------------------------------------------- faults


def all_tests() -> set[str]:
    """Names of all test functions, and of the classes whose steps hypothesis plays."""
    sources = (path.read_text(encoding="utf-8") for path in (TOP / "tests").glob("test_*.py"))
    named = re.compile(r"^(?:def )?(test_\w+|Test\w+)", flags=re.MULTILINE)
    return {name for source in sources for name in named.findall(source)}


def scenarios_there_are() -> set[str]:
    return {path.stem for path in (TOP / "tests/vm/scenarios").glob("[a-z]*.py")}


def test_every_fault_has_a_promise_a_test_that_exists_and_a_figure() -> None:
    faults = rows(chapter("## When something goes wrong"))
    assert len(faults) > 20
    for fault, promise, proof, measured in faults:
        named = re.findall(r"`(\w+)`", proof)
        in_vm = re.findall(r"VM: (\w+)", proof)
        assert named or in_vm, fault
        assert set(named) <= all_tests(), fault
        assert set(in_vm) <= scenarios_there_are(), fault
        assert promise, fault
        assert measured, fault


# ---------------------------------------------------------------- files and headings


def links() -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", README) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("link", links())
def test_link_leads_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    assert (TOP / path).exists()
    if anchor and not path:
        titles = re.findall(r"^#+ (.+)$", README, flags=re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def files_told() -> set[str]:
    """Files of this checkout that the README's code names, such as `sh tests/run` or `tests/test_truth.py`."""
    return {
        path for line in code_lines() for path in re.findall(r"(?<![\w/.])(?:init|tests|www|powerpi)/[\w./-]+", line)
    }


@pytest.mark.parametrize("path", sorted(files_told()))
def test_file_that_is_named_exists(path: str) -> None:
    assert (TOP / path).exists()


def test_nothing_is_left_to_be_filled_in() -> None:
    assert re.findall(r"^[A-Z]{4,}$|TODO|FIXME|XXX", README, flags=re.MULTILINE) == []
