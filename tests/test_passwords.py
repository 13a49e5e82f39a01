"""Passwords to hashes and back: the test vector of the RFC, every bound, and texts of all kinds."""

from __future__ import annotations

import base64
import hashlib
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powerpi.passwords import PasswordHash, from_base64, hashed, matches, normalised, read_hash

LOW = 10  # log2 of N: the least that is allowed, for speed
SALT = base64.b64encode(b"0123456789abcdef").decode()
KEY = base64.b64encode(bytes(range(32))).decode()

# RFC 7914, section 12, the third vector: N = 16384, r = 8, p = 1
RFC_PASSWORD, RFC_SALT = "pleaseletmein", b"SodiumChloride"
RFC_KEY = bytes.fromhex(
    "70 23 bd cb 3a fd 73 48 46 1c 06 cd 81 fd 38 eb fd a8 fb ba 90 4f 8e 3e a9 b5 43 f6 54 5d a1 f2"
    "d5 43 29 55 61 3f 0f cf 62 d4 97 05 24 2a 9a f9 e6 1e 85 dc 0d 65 1e 40 df cf 01 7b 45 57 58 87"
)


def encoded(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


def test_the_vector_of_the_rfc_matches() -> None:
    text = "$".join(("scrypt$14$8$1", *(base64.b64encode(part).decode() for part in (RFC_SALT, RFC_KEY))))
    assert matches(RFC_PASSWORD, read_hash(text))
    assert not matches("pleaseletmeout", read_hash(text))


def test_a_hash_is_written_as_documented() -> None:
    scheme, log2_n, r, p, salt, key = hashed("secret", LOW).split("$")
    assert (scheme, log2_n, r, p) == ("scrypt", "10", "8", "1")
    assert (len(base64.b64decode(salt)), len(base64.b64decode(key))) == (16, 32)


def test_the_usual_hash_takes_two_to_the_14() -> None:
    known = read_hash(hashed("secret"))
    assert known[:3] == (14, 8, 1)
    assert matches("secret", known)


def test_every_hash_has_a_salt_of_its_own() -> None:
    first, second = hashed("secret", LOW), hashed("secret", LOW)
    assert first.split("$")[4] != second.split("$")[4]
    assert first.split("$")[5] != second.split("$")[5]


def test_a_hash_holds_no_password() -> None:
    assert "secret" not in hashed("secret", LOW)


@pytest.mark.parametrize("password", ["x", " ", "with : and $", "Zähler\n", "😀" * 1000, "\0", "e\u0301"])
def test_the_password_matches_and_no_other(password: str) -> None:
    known = read_hash(hashed(password, LOW))
    assert matches(password, known)
    assert not matches(password + "x", known)
    assert not matches("", known)


def test_a_letter_put_together_in_two_ways_is_one_letter() -> None:
    assert matches("Za\u0308hler", read_hash(hashed("Z\u00e4hler", LOW)))
    assert matches("Z\u00e4hler", read_hash(hashed("Za\u0308hler", LOW)))
    assert not matches("Zahler", read_hash(hashed("Z\u00e4hler", LOW)))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_every_password_matches_its_hash(password: str) -> None:
    assert matches(password, read_hash(hashed(password, LOW)))


@given(st.text(min_size=1, max_size=50))
def test_what_is_normalised_stays_as_it_is(password: str) -> None:
    try:
        once = normalised(password)
    except ValueError:
        return
    assert normalised(once) == once


# U+0958 is two characters in NFC, so 501 of them are 1002
@pytest.mark.parametrize("password", ["", "x" * 1001, "\u0958" * 501, "a\ud800", "\udcff"])
def test_what_is_no_password_is_refused_and_never_matches(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = read_hash(hashed("x", LOW))
    monkeypatch.setattr(hashlib, "scrypt", lambda *_, **__: pytest.fail("scrypt was computed"))
    with pytest.raises(ValueError, match="A password must"):
        hashed(password, LOW)
    assert not matches(password, known)


@pytest.mark.parametrize("password", ["Xq7vK2p\ud800", "Xq7vK2p" * 200])
def test_a_refusal_does_not_quote_the_password(password: str) -> None:
    with pytest.raises(ValueError, match="A password must") as caught:
        hashed(password, LOW)
    assert "Xq7vK2p" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("log2_n", [-1, 0, 9, 18, 64])
def test_a_cost_out_of_bounds_is_refused(log2_n: int) -> None:
    with pytest.raises(ValueError, match=f"log2 of N must be 10 to 17, not {log2_n}"):
        hashed("secret", log2_n)


def test_a_hash_is_read_into_its_parts() -> None:
    parts = PasswordHash(12, 4, 2, b"0123456789abcdef", bytes(range(32)))
    assert read_hash(f"scrypt$12$4$2${SALT}${KEY}") == parts


@pytest.mark.parametrize(
    ("log2_n", "r", "p", "salt", "key"),
    [(10, 1, 1, 8, 16), (15, 1, 4, 64, 64), (10, 16, 4, 8, 64), (16, 2, 1, 16, 16)],
)
def test_the_ends_of_the_bounds_are_read_and_computed(log2_n: int, r: int, p: int, salt: int, key: int) -> None:
    known = read_hash(f"scrypt${log2_n}${r}${p}${encoded(salt)}${encoded(key)}")
    assert (known.log2_n, known.r, known.p, len(known.salt), len(known.key)) == (log2_n, r, p, salt, key)
    assert not matches("secret", known)


def test_more_memory_is_allotted_than_openssl_does_by_itself() -> None:
    assert not matches("secret", read_hash(f"scrypt$15$16$1${SALT}${KEY}"))  # 128 x 16 x 2^15 = 64 MiB, not 32


def test_the_costliest_hash_asks_for_no_more_memory_than_hashlib_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def scrypt(*_: Any, maxmem: int, dklen: int, **__: Any) -> bytes:
        asked.append(maxmem)
        return bytes(dklen)

    monkeypatch.setattr(hashlib, "scrypt", scrypt)
    matches("secret", read_hash(f"scrypt$17$16$4${SALT}${KEY}"))
    assert asked == [128 * 16 * (2**17 + 6)]
    assert asked[0] < 2**31


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"scrypt$9$8$1${SALT}${KEY}", "log2 of N must be 10 to 17, not 9"),
        (f"scrypt$18$8$1${SALT}${KEY}", "log2 of N must be 10 to 17, not 18"),
        (f"scrypt$14$0$1${SALT}${KEY}", "r must be 1 to 16, not 0"),
        (f"scrypt$14$17$1${SALT}${KEY}", "r must be 1 to 16, not 17"),
        (f"scrypt$14$8$0${SALT}${KEY}", "p must be 1 to 4, not 0"),
        (f"scrypt$14$8$5${SALT}${KEY}", "p must be 1 to 4, not 5"),
        (f"scrypt$16$1$1${SALT}${KEY}", "log2 of N must be less than 16 r = 16, not 16"),
        (f"scrypt$14$8$1${encoded(7)}${KEY}", "bytes of the salt must be 8 to 64, not 7"),
        (f"scrypt$14$8$1${encoded(65)}${KEY}", "bytes of the salt must be 8 to 64, not 65"),
        (f"scrypt$14$8$1${SALT}${encoded(15)}", "bytes of the key must be 16 to 64, not 15"),
        (f"scrypt$14$8$1${SALT}${encoded(65)}", "bytes of the key must be 16 to 64, not 65"),
        (f"scrypt$14$8$1$${KEY}", "bytes of the salt must be 8 to 64, not 0"),
    ],
)
def test_a_hash_out_of_bounds_is_refused_with_the_number(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match="In a password's hash") as caught:
        read_hash(text)
    assert fault in str(caught.value)


GOOD = f"scrypt$14$8$1${SALT}${KEY}"


@pytest.mark.parametrize(
    "text",
    ["", "secret", GOOD + "\n", " " + GOOD, GOOD + "$", GOOD.upper(), GOOD.replace("scrypt", "bcrypt"),
     GOOD.replace("$14", "$+14"), GOOD.replace("$14", "$1_4"), GOOD.replace("$14", "$ 14"), GOOD.replace("$14", "$"),
     GOOD.replace("$14", "$\u0661\u0664"), GOOD.replace("$14", "$" + "9" * 5000), GOOD.replace("$14", "$14.0")],
)  # fmt: skip
def test_what_is_no_hash_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be scrypt|Base64 must be") as caught:
        read_hash(text)
    assert SALT not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["QQ", "QQ=", "QR==", "QQ==\n", "Q Q==", "QQ==QQ==", "=QQ=", "Q-_=", "QQ===", "ä", "Q"]
)
def test_base64_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError, match="Base64 must be"):
        from_base64(text)


@given(st.binary(max_size=80))
def test_base64_of_an_encoder_is_read(content: bytes) -> None:
    assert from_base64(base64.b64encode(content).decode()) == content


parts = st.one_of(
    st.text(max_size=8), st.integers(-2, 40).map(str), st.binary(max_size=70).map(base64.b64encode).map(bytes.decode)
)
nearly = st.lists(parts, min_size=4, max_size=6).map(lambda found: "$".join(("scrypt", *found)))


@given(st.one_of(st.text(), nearly))
@settings(max_examples=500)
def test_reading_raises_nothing_but_a_value_error(text: str) -> None:
    try:
        known = read_hash(text)
    except ValueError:
        return
    assert 10 <= known.log2_n <= 17


numbers = st.tuples(st.integers(9, 18), st.integers(0, 17), st.integers(0, 5))


@given(numbers, st.binary(min_size=7, max_size=65), st.binary(min_size=15, max_size=65))
@settings(max_examples=300)
def test_what_lies_within_the_bounds_is_read_and_nothing_else(
    figures: tuple[int, int, int], salt: bytes, key: bytes
) -> None:
    log2_n, r, p = figures
    fits = 10 <= log2_n <= 17 and 1 <= r <= 16 and 1 <= p <= 4 and 8 <= len(salt) <= 64 and 16 <= len(key) <= 64
    text = f"scrypt${log2_n}${r}${p}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
    if fits and log2_n < 16 * r:
        assert read_hash(text) == PasswordHash(log2_n, r, p, salt, key)
    else:
        with pytest.raises(ValueError, match="In a password's hash"):
            read_hash(text)


def test_two_to_the_16_with_r_1_is_what_openssl_refuses_too() -> None:
    with pytest.raises(ValueError, match="memory limit"):
        matches("secret", PasswordHash(16, 1, 1, bytes(16), bytes(32)))
