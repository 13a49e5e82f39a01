"""One line of `powerpi check`."""

from __future__ import annotations

import pytest

from powerpi.finding import Finding


@pytest.mark.parametrize(
    ("right", "line"),
    [(True, "ok    disk: full of room"), (None, "look  disk: full of room"), (False, "BAD   disk: full of room")],
)
def test_a_finding_is_a_line_that_begins_with_its_state(right: bool | None, line: str) -> None:
    assert Finding("disk", right, "full of room").line == line
