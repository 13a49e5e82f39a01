"""The progress bar: what a terminal sees, and what a log file."""

from __future__ import annotations

import io
import re

import pytest

from powerpi.progress import WIDTH, Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_the_bar_from_its_first_step_to_its_end() -> None:
    stream = Terminal()
    with Progress("Filling", 200, stream) as progress:
        progress.to(50)
    first, last = stream.getvalue().removeprefix("\r").split("\r")
    assert first == f"Filling {'█' * (WIDTH // 4)}{'░' * (WIDTH * 3 // 4)}  25%"
    assert re.fullmatch(rf"Filling {'█' * WIDTH} 100% \d+\.\d s\n", last)


def test_steps_that_follow_at_once_are_not_drawn() -> None:
    stream = Terminal()
    with Progress("Filling", 1e9, stream) as progress:
        for done in range(1000):
            progress.to(done)
    assert stream.getvalue().count("\r") < 100  # ten a second at most; a loaded machine may take a while


@pytest.mark.parametrize(("done", "total"), [(3, 2), (1, 0), (0, 0)])
def test_the_bar_never_goes_beyond_its_end(done: float, total: float) -> None:
    stream = Terminal()
    with Progress("Filling", total, stream) as progress:
        progress.to(done)
    assert stream.getvalue().startswith(f"\rFilling {'█' * WIDTH} 100%")


def test_a_file_gets_one_line_at_the_end() -> None:
    stream = io.StringIO()
    with Progress("Filling", 10, stream) as progress:
        progress.to(5)
        assert stream.getvalue() == ""
    assert re.fullmatch(r"Filling: done in \d+\.\d s\n", stream.getvalue())


@pytest.mark.parametrize(("stream", "end"), [(Terminal(), "\n"), (io.StringIO(), "")], ids=["terminal", "file"])
def test_work_that_fails_is_never_called_done(stream: io.StringIO, end: str) -> None:
    with pytest.raises(KeyboardInterrupt), Progress("Filling", 10, stream):
        raise KeyboardInterrupt
    assert stream.getvalue() == end
