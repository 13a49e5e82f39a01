import os
import subprocess
from pathlib import Path

import pytest

from powerpi import locales
from powerpi.locales import locale_environment

MARCH = "@983448000"  # 2001-03-01 12:00 UTC, a Thursday


def written(environment: dict[str, str], pattern: str) -> str:
    command = ["date", "-u", "-d", MARCH, f"+{pattern}"]
    return subprocess.check_output(command, env={**os.environ, **environment}, text=True).strip()


def test_english_names_need_nothing(tmp_path: Path) -> None:
    environment, names = locale_environment("en", tmp_path)
    assert names
    assert written(environment, "%a %b") == "Thu Mar"
    assert list(tmp_path.iterdir()) == []


def test_german_names_are_promised_only_if_the_child_writes_them(tmp_path: Path) -> None:
    environment, names = locale_environment("de", tmp_path / "not yet there")
    assert written(environment, "%a %b") == ("Do Mär" if names else "Thu Mar")


def test_compiled_locale_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "de_DE.UTF-8").mkdir()
    before = list(tmp_path.iterdir())
    assert locales.compiled("de_DE", tmp_path / "de_DE.UTF-8")
    assert list(tmp_path.iterdir()) == before


def test_nothing_half_made_stays_when_there_is_no_source(tmp_path: Path) -> None:
    assert not locales.compiled("xx_XX", tmp_path / "xx_XX.UTF-8")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made_falls_back_to_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PATH", "/nowhere")  # a machine without `locale` and `localedef`
    assert locale_environment("de", tmp_path / "file" / "locale") == (locales.NEUTRAL, False)


def test_unknown_language_has_no_names(tmp_path: Path) -> None:
    assert locale_environment("fr", tmp_path) == (locales.NEUTRAL, False)


@pytest.mark.parametrize("language", ["de", "en", "fr"])
def test_decimal_point_of_figures_is_never_touched(language: str, tmp_path: Path) -> None:
    environment, _ = locale_environment(language, tmp_path)
    assert environment["LC_NUMERIC"] == "C"
    assert environment["LC_ALL"] == ""
