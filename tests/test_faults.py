"""Faults of a configuration: what its owner reads of them, and what everybody may."""

from __future__ import annotations

import pytest

from powerpi.config import parse
from powerpi.errors import ConfigError
from powerpi.faults import Fault, Faults, fault, public_heading, value_shown
from powerpi.keys import key_of

METER = "[meter house]\ngpio = 24\n"
PUSH = "[push]\nurl = https://power.example.org/\nuser = pi-hq\npassword = geheim\n"
SECRET = "Zx9NobodysBusiness"  # noqa: S105


def found(text: str) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert all(isinstance(one, Fault) for one in caught.value.faults)
    return tuple(one for one in caught.value.faults if isinstance(one, Fault))


def test_a_fault_is_a_sentence_and_another_one_for_everybody() -> None:
    one = Fault("gpio = 99 will not do", "a value will not do")
    assert (one, str(one), one.public) == ("gpio = 99 will not do", "gpio = 99 will not do", "a value will not do")


@pytest.mark.parametrize(
    ("text", "told", "public"),
    [
        (
            METER + "pul = up",
            "[meter house] pul: unknown key, did you mean pull?",
            "line 3: [meter house] unknown key, did you mean pull?",
        ),
        (
            METER + "[stor]",
            "[stor]: unknown section, did you mean store?",
            "line 3: unknown section, did you mean store?",
        ),
        (
            "[meter house]\ngpio = 99",
            "[meter house] gpio = 99: wanted a GPIO number from 0 to 27",
            "line 2: [meter house] gpio: wanted a GPIO number from 0 to 27",
        ),
        (
            "[meter house]",
            "[meter house] gpio is missing: wanted a GPIO number from 0 to 27",
            "[meter house] gpio is missing: wanted a GPIO number from 0 to 27",
        ),
        (
            METER + "[viewer Anna]\npassword_hash = scrypt$10$8$1$" + "A" * 22 + "==$" + "A" * 43 + "=",
            "[viewer Anna] name 'Anna': wanted 1 to 32 of a-z, 0-9, - and _",
            "line 3: [viewer ********] name: wanted 1 to 32 of a-z, 0-9, - and _",
        ),
        (
            METER + PUSH + "meters = shed",
            "[push] meters = shed: wanted one of house",
            "[push] meters: wanted names of this file's meters",
        ),
        (
            METER + PUSH.replace("https", "http"),
            "[push] url = http://power.example.org/: wanted https:// (or allow_http = yes, and everybody in between can"
            " read the password)",
            "[push] url: wanted https:// (or allow_http = yes, and everybody in between can read the password)",
        ),
    ],
    ids=["key", "section", "value", "missing", "name", "meters", "http"],
)
def test_everybody_reads_the_line_and_no_word_that_is_not_our_own(text: str, told: str, public: str) -> None:
    assert [(str(one), one.public) for one in found(text)] == [(told, public)]


@pytest.mark.parametrize(
    "lines",
    [
        f"pwd {SECRET}",
        SECRET,
        f"{SECRET}: x",  # behind a password
        f"{SECRET}==",  # the rest of one in base64
        f"allow_http = no\n{SECRET} = x",
        f"[push {SECRET} token]",
        f"[password = {SECRET}]",
        f"[viewer password {SECRET}]",
        f"[{SECRET}]",  # the line behind a password
        f"[viewer {SECRET} x]",
        f"password\n{SECRET}",
        f"interval_seconds = 60\n  {SECRET}",
    ],
)
def test_the_owner_neither_reads_what_may_be_a_secret(lines: str) -> None:
    faults = found(f"{METER}{PUSH}{lines}\n")
    assert SECRET.lower() not in "\n".join([*faults, *(one.public for one in faults)]).lower()


def test_a_secret_before_all_sections_is_told_by_its_line() -> None:
    assert found(f"passphrase {SECRET}\n{METER}") == (
        "line 1: this is neither a [section], a key = value, nor a # comment",
    )
    assert found(f"  {SECRET}\n{METER}")[0] == "line 1: this is neither a [section], a key = value, nor a # comment"


def test_a_key_behind_a_password_is_told_by_its_line_and_what_it_is_close_to() -> None:
    assert found(f"{METER}{PUSH}allow_htp = x") == ("line 7: [push] unknown key, did you mean allow_http?",)


def test_what_stands_in_no_line_is_not_quoted() -> None:
    faults = Faults("")
    faults.unknown_section(SECRET)
    faults.unknown_key("store", SECRET, ["keep"])
    assert faults[0].startswith("unknown section; known are powerpi, ")
    assert faults[1] == "[store] unknown key; known are keep"


@pytest.mark.parametrize(
    ("section", "public"),
    [
        ("push", "[push]"),
        ("meter house", "[meter house]"),
        ("meter House", "[meter ********]"),
        ("meter", "[meter ********]"),
        ("mirror", "[mirror]"),
        ("mirror pi-hq", "[mirror ********]"),
        ("viewer\tanna", "[viewer ********]"),
        ("push pi-hq", "[********]"),
        ("sender", "[********]"),
    ],
)
def test_of_names_everybody_reads_those_of_meters(section: str, public: str) -> None:
    assert public_heading(section) == public
    assert fault(section, " x = 1", " x").public == f"{public} x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("power.example.org", "power.example.org"),
        ("https://anna:a@b/c@power.example.org/", "https://********@power.example.org/"),
        ("anna:pw12345@power.example.org/", "********@power.example.org/"),
        ("https://power.example.org/?token=a1b2", "********"),
        ("https://power.example.org/\nmore", "********"),
        ("", ""),
    ],
)
def test_credentials_in_an_address_are_not_shown(text: str, shown: str) -> None:
    assert value_shown(key_of("push", "url"), text) == shown
    assert value_shown(key_of("push", "password"), text) == ("********" if text else "")
