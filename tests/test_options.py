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
