"""The facts of a received meter: there and back, and whatever else lies in the file is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from powerpi import facts
from powerpi.errors import StoreError
from powerpi.facts import Facts

HUT = Facts("hut", "Hütte \u202f1", 800.0, -12.5)


def test_facts_come_back_under_the_name_they_are_asked_for(tmp_path: Path) -> None:
    facts.write(tmp_path / "hut.mirrored", HUT)
    assert facts.read(tmp_path / "hut.mirrored", "hut") == HUT
    assert facts.read(tmp_path / "hut.mirrored", "shed") == HUT._replace(name="shed")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff", b"{" * 5000, b'{"label": "x", "imp_per_kwh": "many", "offset_kwh": 0}'],
)
def test_what_is_none_is_taken_for_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hut.mirrored"
    path.write_bytes(content)
    assert facts.read(path, "hut") is None
    path.unlink()
    assert facts.read(path, "hut") is None
    path.mkdir()
    assert facts.read(path, "hut") is None


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        facts.write(tmp_path / "gone" / "hut.mirrored", HUT)
