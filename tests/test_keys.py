"""The readers of single values: what is taken, as what, and what is refused."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from powerpi import passwords
from powerpi.keys import GET_PHP, HEADINGS, POWERPI, SECTIONS, Key, heading, key_of
from powerpi.passwords import MOST_CHARACTERS, read_hash
from powerpi.values import ALL

KEYS = {(section, key.name): key_of(section, key.name) for section, keys in SECTIONS.items() for key in keys}
HASH = passwords.hashed("geheim", 10)


def read(section: str, key: str, text: str) -> Any:
    return KEYS[section, key].read(text)


def assert_refused(section: str, key: str, text: str) -> None:
    with pytest.raises(ValueError):  # its text is never shown: `wanted` says it all
        read(section, key, text)


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize("section", SECTIONS)
def test_no_key_stands_twice_in_a_section(section: str) -> None:
    names = [key.name for key in SECTIONS[section]]
    assert len(set(names)) == len(names)


def test_passwords_and_their_hashes_are_secret_and_nothing_else_is() -> None:
    secret = {place for place, key in KEYS.items() if key.secret}
    assert secret == {("push", "password"), ("sender", "password_hash"), ("viewer", "password_hash")}


def test_sections_with_a_name_are_headed_with_it() -> None:
    assert [heading(kind) for kind in SECTIONS] == [
        "powerpi", "meter NAME", "store", "backup", "push", "mirror", "mirror NAME", "viewer NAME",
    ]  # fmt: skip
    assert HEADINGS.keys() <= SECTIONS.keys()


def test_both_ends_read_a_meter_constant_alike() -> None:
    ours, theirs = KEYS["meter", "imp_per_kwh"], KEYS["sender", "imp_per_kwh"]
    assert (ours.read, ours.default, ours.wanted) == (theirs.read, theirs.default, theirs.wanted)


# ---------------------------------------------------------------- url


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "path"),
    [
        ("https://power.example.org/", "https", "power.example.org", None, "/"),
        ("https://power.example.org", "https", "power.example.org", None, ""),
        ("HTTPS://Power.Example.org/a", "https", "power.example.org", None, "/a"),
        ("https://power.example.org:8443/power/pi", "https", "power.example.org", 8443, "/power/pi"),
        ("http://192.168.1.7:8080/", "http", "192.168.1.7", 8080, "/"),
        ("http://[fd00::7]:8080/", "http", "fd00::7", 8080, "/"),
        ("http://pi:8080", "http", "pi", 8080, ""),
        ("https://küche.example/", "https", "küche.example", None, "/"),
        ("https://h/%C3%BC/~pi/a_b-c.d", "https", "h", None, "/%C3%BC/~pi/a_b-c.d"),
    ],
)
def test_url_is_taken_apart(text: str, scheme: str, host: str, port: int | None, path: str) -> None:
    url = read("push", "url", text)
    assert (url.scheme, url.hostname, url.port, url.path) == (scheme, host, port, path)


@pytest.mark.parametrize(
    "text",
    [
        "", "power.example.org", "//power.example.org/", "ftp://h/", "file:///etc/passwd", "https:h", "https:/h",
        "https://", "https:///a", "https://:443/", "https://h:x/", "https://h:65536/", "https://h:-1/",
        "https://h/?a=b", "https://h?a", "https://h/?", "https://h/#a", "https://h/#",
        "https://pi@h/", "https://pi:x@h/", "https://:@h/", "https://@h/", "https://pi:a/b@h/",
        "https://a b/", "https://h/a b", "https://h/\ta", "https://h/\na", "https://h/\x00", 'https://h/"',
        "https://h\\a/", "https://[::1/", "https://::1]/", "https://h/<a>", "https://h|a/",
    ],
)  # fmt: skip
def test_anything_else_is_no_url(text: str) -> None:
    assert_refused("push", "url", text)


@given(st.text(max_size=20).map("https://{}".format) | st.text(max_size=20))
@example("https://[")
@example("https://h:٣/")
@example("https://\ud800/")
def test_a_url_never_has_credentials_blanks_or_a_query(text: str) -> None:
    try:
        url = read("push", "url", text)
    except ValueError:
        return
    assert url.scheme in ("http", "https")
    assert url.hostname
    assert (url.username, url.password, url.query, url.fragment) == (None, None, "", "")
    assert url.port is None or 0 <= url.port <= 65535
    assert not set(url.geturl()) & set(' \t\n\r\0@?#"\\<>')


# ---------------------------------------------------------------- user and password


@pytest.mark.parametrize("text", ["", "pi-hq", "Küche 2", "x" * 64])
def test_user_is_taken_as_it_is(text: str) -> None:
    assert read("push", "user", text) == text


@pytest.mark.parametrize("text", ["x" * 65, "a:b", ":", "a\tb", "a\nb", "a\x7f", "\ud800"])
def test_user_that_basic_authentication_cannot_carry_is_refused(text: str) -> None:
    assert_refused("push", "user", text)


@pytest.mark.parametrize("text", ["", "x", "a:b @/#%;ü€", "p" * MOST_CHARACTERS])
def test_password_is_taken_as_it_is(text: str) -> None:
    assert read("push", "password", text) == text


@pytest.mark.parametrize(
    "text", ["p" * (MOST_CHARACTERS + 1), "a\nb", "a\tb", "\x00", "\ud800", "\u0344" * MOST_CHARACTERS]
)
def test_password_that_no_mirror_would_know_is_refused(text: str) -> None:
    assert_refused("push", "password", text)


@given(st.text(max_size=30))
def test_every_password_that_is_taken_can_be_sent(text: str) -> None:
    try:
        password = read("push", "password", text)
    except ValueError:
        return
    assert password == text
    assert not text or passwords.normalised(password) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("section", ["sender", "viewer"])
def test_hash_of_a_password_is_read(section: str) -> None:
    assert read(section, "password_hash", HASH) == read_hash(HASH)


@pytest.mark.parametrize(
    "text",
    ["", "geheim", HASH + "x", HASH[:-1], " " + HASH, HASH.replace("scrypt", "md5")],
    ids=["nothing", "a password", "longer", "shorter", "a blank before", "another kind"],
)
def test_what_is_no_hash_is_refused(text: str) -> None:
    assert_refused("sender", "password_hash", text)


# ---------------------------------------------------------------- paths


def test_ca_file_may_be_absent() -> None:
    assert read("push", "ca_file", "") is None
    assert read("push", "ca_file", "/etc/ssl/own-ca.pem") == Path("/etc/ssl/own-ca.pem")


@pytest.mark.parametrize("text", ["ca.pem", "~/ca.pem", "./ca.pem", "/a:b", "/a\nb", '/a"b', "/a\\b"])
def test_ca_file_that_is_not_absolute_is_refused(text: str) -> None:
    assert_refused("push", "ca_file", text)


# ---------------------------------------------------------------- meters


@pytest.mark.parametrize(
    ("text", "meters"),
    [
        ("all", ALL),
        ("ALL", ALL),
        ("house", ("house",)),
        ("house, workshop", ("house", "workshop")),
        ("house workshop,garage", ("house", "workshop", "garage")),
        (",house,", ("house",)),
    ],
)
def test_meters_that_are_sent(text: str, meters: tuple[str, ...]) -> None:
    assert read("push", "meters", text) == meters


@pytest.mark.parametrize("text", ["", ",", "House", "house, house", "house/a", "../house", "hous\u00e9", "x" * 33])
def test_meters_that_cannot_be_sent(text: str) -> None:
    assert_refused("push", "meters", text)


@pytest.mark.parametrize(
    ("text", "meters"),
    [
        ("house", (("house", "house"),)),
        ("house, workshop", (("house", "house"), ("workshop", "workshop"))),
        ("house as hut", (("house", "hut"),)),
        ("house  as  hut ,workshop", (("house", "hut"), ("workshop", "workshop"))),
        ("house as as", (("house", "as"),)),
        ("as as as", (("as", "as"),)),
        ("as", (("as", "as"),)),
        ("house as hut, hut as house", (("house", "hut"), ("hut", "house"))),
    ],
)
def test_meters_that_are_received_may_have_another_name_here(text: str, meters: tuple[tuple[str, str], ...]) -> None:
    assert read("sender", "meters", text) == meters


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "house,", ",house", "house workshop", "house as", "as hut", "house as hut as shed",
        "a as b as c, d as e as f", "House", "house as Hut", "house as ../hut", "house, house",
        "house as a, house as b", "house\nworkshop", "house as " + "x" * 33, "all things",
    ],
)  # fmt: skip
def test_meters_that_cannot_be_received(text: str) -> None:
    assert_refused("sender", "meters", text)


NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=6, unique_by=lambda pair: pair[0]))
def test_received_meters_are_read_as_they_were_written(pairs: list[tuple[str, str]]) -> None:
    assert read("sender", "meters", ", ".join(f"{theirs} as {own}" for theirs, own in pairs)) == tuple(pairs)


# ---------------------------------------------------------------- words and numbers


@pytest.mark.parametrize("section", ["push", "sender"])
def test_protocols(section: str) -> None:
    assert read(section, "protocol", "PowerPi") == POWERPI
    assert read(section, "protocol", "get.php") == GET_PHP
    for text in ("", "php", "get php", "powerpi, get.php"):
        assert_refused(section, "protocol", text)


@pytest.mark.parametrize(("section", "key"), [("push", "allow_http"), ("mirror", "accept")])
def test_yes_and_no_are_said_in_as_many_words(section: str, key: str) -> None:
    assert read(section, key, "yes") is True
    assert read(section, key, "No") is False
    for text in ("", "1", "true", "on", "y", "yes please"):
        assert_refused(section, key, text)


@pytest.mark.parametrize(
    ("section", "key", "low", "high"), [("push", "interval_seconds", 10, 3600), ("sender", "sample_seconds", 1, 3600)]
)
def test_seconds_have_bounds(section: str, key: str, low: int, high: int) -> None:
    assert read(section, key, str(low)) == low
    assert read(section, key, str(high)) == high
    for text in (str(low - 1), str(high + 1), "", "1.5", "1e2", "6_0", "nan", "٦٠", "9" * 5000):
        assert_refused(section, key, text)


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
@given(text=st.text(max_size=20) | st.floats().map(str) | st.integers().map(str))
@settings(max_examples=30)
def test_every_reader_gives_a_value_or_a_value_error(key: Key, text: str) -> None:
    with suppress(ValueError):
        key.read(text)
