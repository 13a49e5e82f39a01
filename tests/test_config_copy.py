"""The configuration in a backup: no secret is in it, all else is, and what it lacks it says itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerpi import config, config_copy, passwords
from powerpi.config_copy import left_out, plain
from powerpi.errors import ConfigError
from powerpi.keys import SECTIONS

SAMPLE = (Path(__file__).parent.parent / "init/powerpi.conf").read_text(encoding="utf-8")
METER = "[powerpi]\nstate = /var/lib/powerpi\n\n# The one in the cellar.\n[meter house]\ngpio = 24\nlabel = Haus\n"
HASH = passwords.hashed("geheim", 10)
PUSH = "[push]\nurl = https://power.example.org/\nuser = pi-hq\npassword = hunter2 blue\ninterval_seconds = 30\n"
MIRROR = f"[mirror]\naccept = yes\n[mirror pi-hq]\npassword_hash = {HASH}\nmeters = shed\n"
VIEWER = f"[viewer anna]\npassword_hash = {HASH}\n"


def test_one_without_secrets_stays_as_it_is() -> None:
    assert plain(METER) == METER
    assert left_out(METER) == []


def test_the_sample_means_the_same() -> None:
    assert config.parse(plain(SAMPLE)) == config.parse(SAMPLE)
    assert "scrypt" not in plain(SAMPLE)


def test_a_section_that_lost_its_password_is_a_comment_that_says_so() -> None:
    copy = plain(METER + PUSH + "[store]\nflush_seconds = 60\n")
    assert copy == (
        f"{METER}# Its password did not go into the backup: give it another one, and remove the # before the lines"
        " below.\n#[push]\n#url = https://power.example.org/\n#user = pi-hq\n#password =\n#interval_seconds = 30\n"
        "[store]\nflush_seconds = 60\n"
    )
    assert left_out(copy) == [("push", "password")]
    settings = config.parse(copy)
    assert (settings.push, settings.store.flush_seconds) == (None, 60)


def test_so_is_one_whose_password_stands_below_its_name() -> None:
    copy = plain(METER + PUSH.replace("= hunter2 blue", "=\n  hunter2\n  blue"))
    assert left_out(copy) == [("push", "password")]
    assert config.parse(copy).push is None


def test_it_is_whole_again_with_a_new_password() -> None:
    copy = plain(METER + PUSH)
    again = copy.replace("#password =", "password = new")
    for word in ("[push]", "url", "user", "interval"):
        again = again.replace(f"\n#{word}", f"\n{word}")
    push = config.parse(again).push
    assert push
    assert (push.user, push.password, push.interval_seconds) == ("pi-hq", "new", 30)


def test_a_push_that_needs_no_password_goes_on() -> None:
    old = METER + "[push]\nurl = http://192.168.1.2/\nprotocol = get.php\npassword =\n"
    assert config.parse(plain(old)) == config.parse(old)


def test_a_mirror_without_senders_is_a_comment_too() -> None:
    copy = plain(METER + MIRROR + VIEWER)
    assert config.parse(copy).senders == ()
    assert left_out(copy) == [("mirror pi-hq", "password_hash"), ("viewer anna", "password_hash")]
    assert "#[mirror]\n#accept = yes\n" in copy


def test_what_is_left_of_a_mirror_without_meters_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="no meter is configured"):
        config.parse(plain(f"[powerpi]\n{MIRROR}"))


@pytest.mark.parametrize(
    "text",
    [
        "[push]\npassword = S3CR3T\n",
        "[push]\nPASSWORD: S3CR3T\n",
        "[push]\n  password = S3CR3T\n",
        "[push]\nuser = x\n\n  password = S3CR3T\n",
        "[push]\npassword =\n  S3CR3T\n",
        "[push]\npassword = a\n  # why\n  S3CR3T\n",
        "[push]\nuser = x\n  password = S3CR3T\n",
        "[push]\npassword S3CR3T\n",
        "[push]\nurl = https://pi:S3CR3T@power.example.org/\n",
        "[push]\nurl =\n  https://pi:S3CR3T@power.example.org/\n",
        "[push]\n# url = https://pi:S3CR3T@power.example.org/\n",
        "[push]\npassword S3CR3T\n  S3CR3T\n",
        "[push]\n# password = S3CR3T\n",
        "[push]\n; my pw is S3CR3T\n",
        "[push] # my pw is S3CR3T\nuser = x\n",
        "[push]   ; S3CR3T\npassword =\n",
        "  [push] S3CR3T ] x\n",
        "[push]\nuser = x # password S3CR3T\n",
        "[push]\npassword = S3CR3T\n# that is S3CR3T\n",
        "password = S3CR3T\n",
        "[foo]\ntoken = S3CR3T\n",
        "[mirror x]\npassword_hash = scrypt$14$8$1$S3CR3T\n",
        "[viewer x]\nfoo = scrypt$14$8$1$S3CR3T\n",
        "[ viewer x ]\npassword_hash = S3CR3T\n",
        "[push ]\npassword = S3CR3T\n",
        "[ ]\npassword = S3CR3T\n",
        "\ufeff[push]\npassword = S3CR3T\n",
        "[push]\r\npassword = S3CR3T\r\n",
    ],
)
def test_a_secret_is_nowhere_in_it(text: str) -> None:
    assert "S3CR3T" not in plain(text)


LINES = st.sampled_from(
    ["[push]", "[powerpi]", "[viewer anna]", "[x]", "password = S3CR3T", "password_hash = S3CR3T", "  M0RE=1",
     "[push] # S3CR3T", "# S3CR3T", "  password: S3CR3T", "user = pi", "", "# password S3CR3T", "password",
     "password =", "  # x", "gpio = 24"]
)  # fmt: skip


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_nor_in_any_other_order_of_lines_that_configparser_would_take(text: str) -> None:
    copy = plain(text)
    assert "password = S3CR3T" not in copy
    assert "password: S3CR3T" not in copy
    sections, _ = config_copy.ini.read(text)
    secrets = [
        value
        for section in sections.values()
        for key, value in section.items()
        if key in {key.name for keys in SECTIONS.values() for key in keys if key.secret}
    ]
    assert not [secret for secret in secrets if secret and secret in copy]


@pytest.mark.parametrize("word", ["powerpi", "house", "https", "user", "url", "24", "p", "Haus"])
def test_a_password_that_is_an_ordinary_word_is_not_given_away_by_what_is_left(word: str) -> None:
    text = f"{METER}{PUSH}".replace("hunter2 blue", word).replace("[meter", f"# The {word}.\n[meter")
    copy = plain(text)
    assert copy == plain(text.replace(f"# The {word}.\n", "").replace(f"password = {word}", "password = hunter2 blue"))
    assert config.parse(copy).meters == config.parse(METER).meters


def test_comments_that_tell_nothing_stay() -> None:
    assert "# The one in the cellar." in plain(METER + PUSH.replace("hunter2 blue", "cel"))
    assert "# The one in the cellar." not in plain(METER + PUSH.replace("hunter2 blue", "cellar"))


@given(st.text(max_size=200))
def test_any_text_has_a_copy_that_says_nothing_of_its_own_but_comments(text: str) -> None:
    assert all(line.lstrip().startswith("#") or line in text for line in plain(text).splitlines())
