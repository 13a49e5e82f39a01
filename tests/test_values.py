"""The text of one value to the value: addresses, the system's time zone. test_keys tries every key's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from powerpi.values import listen, system_zone


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8080", ("0.0.0.0", 8080)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::]:80", ("::", 80)),
        ("[FE80:0::1]:65535", ("fe80::1", 65535)),
        ("power-pi.local:8080", ("power-pi.local", 8080)),
    ],
)
def test_listen_takes_addresses_and_names(text: str, address: tuple[str, int]) -> None:
    assert listen(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "8080", ":8080", "pi", "pi:", "pi:http", "pi:-1", "pi:65536", "pi:8_0", "pi: 80 80",
        "::1:80", "[::1]", "[]:80", "[127.0.0.1]:80", "[pi]:80",
        "a b:80", "küche:80", "pi..lan:80", ".:80", "x" * 64 + ":80", "http://pi:80",
    ],
)  # fmt: skip
def test_listen_refuses_everything_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        listen(text)


# ---------------------------------------------------------------- the time zone


@pytest.fixture
def no_tz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)


@pytest.fixture
def zone_files(tmp_path: Path) -> Callable[[str, str | None], tuple[Path, Path]]:
    """Makes /etc/localtime as a link (or a plain copy for "") and /etc/timezone (or none)."""

    def make(link: str, name: str | None) -> tuple[Path, Path]:
        localtime, timezone = tmp_path / "localtime", tmp_path / "timezone"
        if link:
            localtime.symlink_to(f"/usr/share/zoneinfo/{link}")
        else:
            localtime.write_bytes(b"TZif2")
        if name is not None:
            timezone.write_text(name, encoding="utf-8")
        return localtime, timezone

    return make


ZoneFiles = Callable[[str, "str | None"], tuple[Path, Path]]


@pytest.mark.usefixtures("no_tz")
@pytest.mark.parametrize(
    ("link", "name", "zone"),
    [
        ("Europe/Berlin", "America/New_York\n", "Europe/Berlin"),  # the link is what the system itself goes by
        ("", "Europe/Vienna\n", "Europe/Vienna"),  # a plain copy does not know its name
        ("Europe/Atlantis", "Europe/Vienna\n", "Europe/Vienna"),
        ("", "Europe/Atlantis\n", "UTC"),
        ("", "\n", "UTC"),
        ("", None, "UTC"),
    ],
)
def test_zone_of_the_system_is_found(zone_files: ZoneFiles, link: str, name: str | None, zone: str) -> None:
    assert system_zone(*zone_files(link, name)).key == zone


@pytest.mark.parametrize(
    ("variable", "zone"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        (":Asia/Tokyo", "Asia/Tokyo"),
        (":/etc/localtime", "Europe/Berlin"),
        ("", "Europe/Berlin"),
    ],
)
def test_tz_goes_first_when_it_names_a_zone(
    zone_files: ZoneFiles, monkeypatch: pytest.MonkeyPatch, variable: str, zone: str
) -> None:
    monkeypatch.setenv("TZ", variable)
    assert system_zone(*zone_files("Europe/Berlin", None)).key == zone


@pytest.mark.usefixtures("no_tz")
def test_a_damaged_timezone_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "timezone").write_bytes(b"\xff\xfe")
    assert system_zone(tmp_path / "none", tmp_path / "timezone").key == "UTC"
