"""What tells one state folder from another: made once, and made anew only where it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from powerpi import identity
from powerpi.errors import StoreError


def test_it_is_made_once_and_no_other_folder_has_it(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    assert identity.read(one) == ""
    first = identity.made(one)
    assert identity.IDENTITY.fullmatch(first)
    assert identity.made(one) == identity.read(one) == first
    assert identity.made(other) != first
    assert [path.name for path in one.iterdir()] == ["identity"]


@pytest.mark.parametrize("content", [b"", b"x" * 16, b"\xff\xfe", b"0123456789abcdef0"])
def test_one_that_cannot_be_read_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "identity").write_bytes(content)
    assert identity.read(tmp_path) == ""
    assert identity.made(tmp_path) == identity.read(tmp_path) != ""
    [kept] = tmp_path.glob("identity.damaged-*")
    assert kept.read_bytes() == content


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert identity.read(tmp_path / "none") == ""
    with pytest.raises(StoreError, match="none/identity"):
        identity.made(tmp_path / "none")
