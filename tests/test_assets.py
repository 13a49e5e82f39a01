"""The files that the browser gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from powerpi.assets import load_assets, www_folder


def test_folder_beside_the_package_is_found_in_a_checkout(tmp_path: Path) -> None:
    (tmp_path / "powerpi").mkdir()
    assert www_folder(tmp_path / "powerpi") == tmp_path / "www"


def test_folder_inside_an_installed_package_is_preferred(tmp_path: Path) -> None:
    (tmp_path / "powerpi" / "www").mkdir(parents=True)
    assert www_folder(tmp_path / "powerpi") == tmp_path / "powerpi" / "www"


def test_version_changes_with_the_content(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{}")
    first = load_assets(tmp_path)["a.css"]
    (tmp_path / "a.css").write_text("b{}")
    second = load_assets(tmp_path)["a.css"]
    assert (first.content, first.content_type) == (b"a{}", "text/css; charset=utf-8")
    assert first.version != second.version


def test_file_of_another_kind_does_not_belong_there(tmp_path: Path) -> None:
    (tmp_path / "page.php").write_text("")
    with pytest.raises(KeyError, match=r"\.php"):
        load_assets(tmp_path)
