"""What is taken over from the system that PowerPi replaces, and what is said of the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from powerpi import predecessor

WHOLE = """\
[smartmeter]
impkwh = 2000
[gpio]
port = 23
mintime = 20
[server]
url = power.example.org/get.php
ssl = yes
basicauth = yes
user = pi
password = se;cr#et "x"
sslself = no
timestamp = yes
"""


def found(folder: Path, text: str, name: str = "powerpi.ini") -> predecessor.Predecessor:
    (folder / name).write_text(text, encoding="utf-8")
    old = predecessor.find(folder)
    assert old
    return old


def test_everything_is_taken_over(tmp_path: Path) -> None:
    old = found(tmp_path, WHOLE)
    assert old.source == tmp_path / "powerpi.ini"
    assert old.meter == {"gpio": "23", "imp_per_kwh": "2000", "min_pulse_ms": "20"}
    assert old.push == {
        "url": "https://power.example.org/get.php",
        "user": "pi",
        "password": 'se;cr#et "x"',
        "protocol": "get.php",
    }
    assert old.said == (
        "taken: [gpio] port = 23, as gpio = 23",
        "taken: [smartmeter] impkwh = 2000, as imp_per_kwh = 2000",
        "taken: [gpio] mintime = 20, as min_pulse_ms = 20",
        "taken: [server] url = power.example.org/get.php, as [push] url = https://power.example.org/get.php"
        " with protocol = get.php",
        "taken: [server] user",
        "taken: [server] password",
    )


@pytest.mark.parametrize(
    ("url", "ssl", "wanted"),
    [
        ("http://a.b/x", "no", "http://a.b/x"),
        ("http://a.b/x", "yes", "https://a.b/x"),
        ("https://a.b/x", "no", "https://a.b/x"),
        ("a.b:81", "", "http://a.b:81"),
        ('"a.b"', "on", "https://a.b"),
    ],
)
def test_the_scheme_is_the_safer_of_url_and_ssl(tmp_path: Path, url: str, ssl: str, wanted: str) -> None:
    old = found(tmp_path, f"[smartmeter]\nimpkwh = 1000\n[server]\nurl = {url}\nssl = {ssl}\n")
    assert old.push == {"url": wanted, "protocol": "get.php"}


def test_name_and_password_that_were_not_used_are_left(tmp_path: Path) -> None:
    old = found(tmp_path, WHOLE.replace("basicauth = yes", "basicauth = no"))
    assert old.push.keys() == {"url", "protocol"}


def test_a_certificate_of_its_own_making_is_told(tmp_path: Path) -> None:
    old = found(tmp_path, WHOLE.replace("sslself = no", "sslself = yes"))
    assert "name it in [push] ca_file" in old.said[-1]
    assert any("ca_file" in note for note in old.notes)


@pytest.mark.parametrize(
    ("mintime", "taken"),
    [("0.02", "20"), ("15", "15"), ("50", None), ("soon", None), ("0", None)],
)
def test_the_shortest_pulse_is_taken_where_it_fits(tmp_path: Path, mintime: str, taken: str | None) -> None:
    old = found(tmp_path, f"[gpio]\nport = 24\nmintime = {mintime}\n")
    assert old.meter.get("min_pulse_ms") == taken
    if not taken:
        assert old.said[-1].startswith(f"not taken: [gpio] mintime = {mintime}; min_pulse_ms wants milliseconds")


def test_values_that_will_not_do_are_named_and_the_others_are_taken(tmp_path: Path) -> None:
    old = found(tmp_path, "[smartmeter]\nimpkwh = many\n[gpio]\nport = 42 ; header\n[server]\nurl = http://u:pw@h/\n")
    assert (old.meter, old.push) == ({}, {})
    assert len(old.said) == 3
    assert all(said.startswith("not taken: ") for said in old.said)
    assert "pw" not in old.said[2]


def test_what_is_quoted_stays_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.ini").write_text("[smartmeter]\nimpkwh = 1\x1b[2J\n  [viewer eve]\n")
    found = predecessor.find(tmp_path)
    assert found
    assert found.meter == {}
    [said] = found.said
    assert said.startswith("not taken: [smartmeter] impkwh = 1?[2J?[viewer eve]; imp_per_kwh wants ")


def test_comments_behind_values_and_other_letters_are_borne(tmp_path: Path) -> None:
    old = found(tmp_path, "[SmartMeter]\nImpKwh: 800 # printed on it\n[GPIO]\nport = '5' ; BCM\nnonsense\n")
    assert old.meter == {"gpio": "5", "imp_per_kwh": "800"}


def test_the_file_with_most_of_its_sections_is_taken_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "a.conf").write_text("[smartmeter]\nimpkwh = 1\n")
    (tmp_path / "b.cfg").write_bytes(b"\xff\xfe\x00not text at all")
    (tmp_path / "etc" / "old.ini").write_bytes(b"# caf\xe9\n[smartmeter]\nimpkwh = 500\n[gpio]\nport = 4\n")
    old = predecessor.find(tmp_path)
    assert old
    assert old.source == tmp_path / "etc" / "old.ini"
    assert old.meter == {"gpio": "4", "imp_per_kwh": "500"}


@pytest.mark.parametrize("text", ["", "[gpio]\nbounce = 3\n", "[unit]\nx = 1\n"])
def test_a_foreign_file_is_none_of_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "foreign.ini").write_text(text)
    assert predecessor.find(tmp_path) is None


def test_where_nothing_lies_nothing_is_found(tmp_path: Path) -> None:
    assert predecessor.find(tmp_path / "none") is None
    assert predecessor.archives(tmp_path / "none") == []


def test_old_archives_are_found(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "power.rrd").write_bytes(b"RRD")
    (tmp_path / "power.rrd").symlink_to("/etc/hostname")
    assert predecessor.archives(tmp_path) == [tmp_path / "data" / "power.rrd"]


def test_names_that_cannot_be_told_are_passed_over(tmp_path: Path) -> None:
    for name in (b"a\xff.ini", b"b\x1b[2J.ini", b"c\nd.rrd"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_text("[smartmeter]\nimpkwh = 1\n")
    assert predecessor.find(tmp_path) is None
    assert predecessor.archives(tmp_path) == []


def test_deep_folders_are_not_looked_through(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(predecessor.MOST_DEPTH):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep.parent / "near.rrd").write_bytes(b"RRD")
    (deep / "far.rrd").write_bytes(b"RRD")
    assert predecessor.archives(tmp_path) == [deep.parent / "near.rrd"]


def test_a_server_that_is_none_of_the_web_is_not_taken(tmp_path: Path) -> None:
    old = found(tmp_path, "[smartmeter]\nimpkwh = 1000\n[server]\nurl = ftp://h/\n")
    assert old.push == {}
    assert "not taken: [server] url" in old.said[-1]
