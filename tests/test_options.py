"""The command line, where argparse does not see to it by itself; test_documentation compares it with the README."""

from __future__ import annotations

import pytest

from powerpi.options import parser


@pytest.mark.parametrize("port", ["65536", "-1", "http", "8o80", ""])
def test_a_port_that_is_none_is_named(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["demo", f"--port={port}"])
    assert f"wanted a port from 0 to 65535, not {port!r}" in capsys.readouterr().err


def test_without_a_command_the_commands_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([])
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    ["house 12345.6 --at T --config F", "house --at T 12345.6 --config F", "--config F --at T house 12345.6",
     "--at T house --config F 12345.6"],
)  # fmt: skip
def test_a_reading_may_stand_before_and_behind_options(words: str) -> None:
    wishes = parser().parse_args(["reading", *words.split()])
    assert (wishes.meter, wishes.kwh, wishes.at, str(wishes.config)) == ("house", "12345.6", "T", "F")


def test_more_than_a_reading_is_too_much(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["reading", "house", "--at", "T", "12345", "6"])
    assert "unrecognized arguments: 6" in capsys.readouterr().err
    assert parser().parse_args(["reading", "house"]).kwh is None
