"""Passwords to hashes that may be kept in a file, and the comparison of a password with such a hash.

In: passwords as text, hashes as `scrypt$LOG2_N$R$P$SALT$KEY`, salt and key in base64. Out: the same hashes, or yes and
no. The hash is scrypt (RFC 7914). No text of an exception quotes a password or a hash.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from typing import NamedTuple

MOST_CHARACTERS = 1000  # of a password: more is no password, and costs time
USUAL_LOG2_N = 14
QUICK_LOG2_N = 12  # for a mirror on a Pi Zero
R, P, SALT_BYTES, KEY_BYTES = 8, 1, 16, 32

# What a hash may ask for: below it is no protection, above it takes a small computer's memory: 128 r N bytes.
LOG2_N_BOUNDS = (10, 17)
R_BOUNDS = (1, 16)
P_BOUNDS = (1, 4)
SALT_BOUNDS = (8, 64)
KEY_BOUNDS = (16, 64)

HASH = re.compile(r"scrypt\$([0-9]{1,4})\$([0-9]{1,4})\$([0-9]{1,4})\$([^$]*)\$([^$]*)")
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: there is no UTF-8 for it


class PasswordHash(NamedTuple):
    """What is kept of a password: the parameters of scrypt (log2 of N, r, p), the salt, and the key that came out."""

    log2_n: int
    r: int
    p: int
    salt: bytes
    key: bytes


def hashed(password: str, log2_n: int = USUAL_LOG2_N) -> str:
    """The hash of a password under a new salt, as `read_hash` reads it.

    N = 2^14 takes about 27 ms and 16 MB on a PC, and 50 to 100 times as long on a Pi Zero; 2^12 is enough there: a
    quarter of both. Raises ValueError for what `normalised` refuses, and for `log2_n` outside of LOG2_N_BOUNDS.
    """
    _check("log2 of N", log2_n, LOG2_N_BOUNDS)
    salt = secrets.token_bytes(SALT_BYTES)
    key = _scrypt(normalised(password), PasswordHash(log2_n, R, P, salt, bytes(KEY_BYTES)))
    return "$".join(("scrypt", *map(str, (log2_n, R, P)), *(base64.b64encode(part).decode() for part in (salt, key))))


def read_hash(text: str) -> PasswordHash:
    """The parts of a hash, within the bounds above. Raises ValueError."""
    match = HASH.fullmatch(text)
    if not match:
        raise ValueError("A password's hash must be scrypt$LOG2_N$R$P$SALT$KEY.")
    log2_n, r, p = (int(match[number]) for number in (1, 2, 3))
    salt, key = (from_base64(match[number]) for number in (4, 5))
    _check("log2 of N", log2_n, LOG2_N_BOUNDS)
    _check("r", r, R_BOUNDS)
    _check("p", p, P_BOUNDS)
    _check("number of bytes of the salt", len(salt), SALT_BOUNDS)
    _check("number of bytes of the key", len(key), KEY_BOUNDS)
    if log2_n >= 16 * r:  # RFC 7914, section 6: N is less than 2^(128 r / 8)
        raise ValueError(f"In a password's hash log2 of N must be less than 16 r = {16 * r}, not {log2_n}.")
    return PasswordHash(log2_n, r, p, salt, key)


def matches(password: str, known: PasswordHash) -> bool:
    """Whether the password is the one that `known` was made of; never for what `normalised` refuses.

    Takes as long as `hashed` with the same parameters, whether it matches or not.
    """
    try:
        text = normalised(password)
    except ValueError:
        return False
    return hmac.compare_digest(_scrypt(text, known), known.key)


def normalised(password: str) -> str:
    """The password in NFC, so that a letter typed in two ways is one letter; what is hashed is its UTF-8.

    Raises ValueError when it is empty, longer than MOST_CHARACTERS (before or after), or has no UTF-8.
    """
    text = unicodedata.normalize("NFC", password) if len(password) <= MOST_CHARACTERS else password
    if not 1 <= len(text) <= MOST_CHARACTERS:
        raise ValueError(f"A password must have 1 to {MOST_CHARACTERS} characters, not {len(text)}.")
    if SURROGATE.search(text):  # looked for here, because Python's own error carries the password
        raise ValueError("A password must be text that can be written in UTF-8.")
    return text


def from_base64(text: str) -> bytes:
    """The bytes that `text` is the one right base64 of (RFC 4648, section 4). Raises ValueError."""
    content = base64.b64decode(text) if BASE64.fullmatch(text) else None
    if content is None or base64.b64encode(content).decode() != text:  # unused bits of the last character may be set
        raise ValueError("Base64 must be as an encoder writes it: A-Z, a-z, 0-9, +, / and the right = at the end.")
    return content


def _scrypt(text: str, known: PasswordHash) -> bytes:
    """The key of `text` with the parameters and the salt of `known`, as long as the key there."""
    n = 1 << known.log2_n
    return hashlib.scrypt(
        text.encode(),
        salt=known.salt,
        n=n,
        r=known.r,
        p=known.p,
        maxmem=128 * known.r * (n + known.p + 2),  # what OpenSSL allots; its default of 32 MB is too little for 2^15
        dklen=len(known.key),
    )


def _check(what: str, number: int, bounds: tuple[int, int]) -> None:
    low, high = bounds
    if not low <= number <= high:
        raise ValueError(f"In a password's hash the {what} must be {low} to {high}, not {number}.")
