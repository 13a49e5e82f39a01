"""Foreign bytes: bounded, checked, and never anything but a WireError with the value and what was wanted."""

from __future__ import annotations

import gzip
import json
import math
import tracemalloc
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerpi import wire
from powerpi.errors import WireError
from powerpi.wire import PLAIN_BYTES, listing, mapping, maybe, number, pack, told, unpack, whole, yes_no

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
MESSAGES = st.dictionaries(st.text(max_size=5), PLAIN, max_size=5)


def refusal(body: bytes, packed: bool = False) -> str:
    with pytest.raises(WireError) as caught:
        unpack(body, packed)
    return str(caught.value)


# ---------------------------------------------------------------- there and back


@given(MESSAGES)
def test_what_is_packed_comes_out_as_it_was(message: dict[str, Any]) -> None:
    assert unpack(pack(message), packed=True) == message


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_every_double_comes_through_to_the_last_bit(values: list[float]) -> None:
    found = unpack(pack({"rates": values}), packed=True)["rates"]
    assert [value.hex() for value in found] == [value.hex() for value in values]


def test_body_is_gzip_as_others_read_it() -> None:
    assert json.loads(gzip.decompress(pack({"a": [None, 1.5]}))) == {"a": [None, 1.5]}
    assert unpack(gzip.compress(b'{"a": 1}'), packed=True) == {"a": 1}
    assert unpack(b'{"a": 1}', packed=False) == {"a": 1}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_json_is_never_sent(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack({"a": value})


# ---------------------------------------------------------------- gzip


def test_a_packed_body_may_be_cut_nowhere() -> None:
    body = pack({"rates": [1.5, None] * 20})
    for length in range(len(body)):
        assert refusal(body[:length], packed=True) == "the body is not one whole gzip stream"


def test_one_flipped_bit_is_noticed_or_changes_nothing() -> None:
    message = {"rates": [1.5, None, 0.1]}
    body = bytearray(pack(message))
    for bit in range(8 * len(body)):
        body[bit // 8] ^= 1 << bit % 8
        with suppress(WireError):
            assert unpack(bytes(body), packed=True) == message  # in the header: its time stamp, for one
        body[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("body", [b"{}", b"\x1f\x8b\x08", zlib.compress(b"{}"), b"\x00" * 100])
def test_what_is_no_gzip_is_refused(body: bytes) -> None:
    assert "gzip" in refusal(body, packed=True)


@pytest.mark.parametrize("rest", [b"\x00", b"x", gzip.compress(b"{}")], ids=["a zero", "a letter", "another stream"])
def test_nothing_may_follow_the_stream(rest: bytes) -> None:
    assert refusal(pack({}) + rest, packed=True) == "the body is not one whole gzip stream"


def bomb(plain_bytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=wire.GZIP)
    return b"".join(packer.compress(b" " * 1_000_000) for _ in range(plain_bytes // 1_000_000)) + packer.flush()


def test_a_bomb_is_given_up_before_it_grows() -> None:
    body = bomb(200_000_000)
    assert len(body) < 300_000
    tracemalloc.start()
    assert refusal(body, packed=True) == f"the body unpacks to more than {PLAIN_BYTES} bytes"
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * PLAIN_BYTES


def test_a_bomb_within_a_bomb_stays_packed() -> None:
    assert "not JSON" in refusal(gzip.compress(bomb(10_000_000)), packed=True)


def test_the_largest_body_is_taken_and_no_larger_one() -> None:
    text = b'{"a": 1}'
    assert unpack(gzip.compress(text + b" " * (PLAIN_BYTES - 1000)), packed=True) == {"a": 1}
    assert "more than" in refusal(gzip.compress(text + b" " * PLAIN_BYTES), packed=True)


def test_a_day_of_rows_fits_with_room_to_spare() -> None:
    rates = [1000 / (index + 3) for index in range(8640)]  # all digits that a double has
    body = pack({"rates": rates})
    assert len(body) < wire.PACKED_BYTES / 4
    assert len(json.dumps(rates)) < PLAIN_BYTES / 4


# ---------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"}", b"{]", b"{'a': 1}", b'{"a": 1,}', b'{"a" 1}', b'{"a": 1} {}', b'{"a": 01}',
        b'{"a": .5}', b'{"a": +1}', b'{"a": 0x1}', b'{"a": 1e}', b'{"a": "\x01"}', b'{"a": "\\x"}', b'{"a": True}',
        b"\xff", b'{"a": "\xff"}', b"\xed\xa0\x80", b"\x00", b"\xff\xfe", b"\x00\x00\x00{", b"nonsense",
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert refusal(body).startswith("the body is not JSON: ")


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_only_python_takes_for_json_is_refused(name: str) -> None:
    assert refusal(f'{{"rates": [1, {name}]}}'.encode()).startswith(f"{name} is no value: wanted a finite number")


@pytest.mark.parametrize(
    ("body", "said"), [(b"[]", "[]"), (b"1", "1"), (b'"a"', '"a"'), (b"true", "true"), (b"null", "missing")]
)
def test_a_body_is_an_object(body: bytes, said: str) -> None:
    assert refusal(body).replace("'", "") == f"the body is {said}: wanted an object"


@pytest.mark.parametrize("depth", [500, 900, 989, 995, 2000, 20_000, 1_000_000])
@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_any_depth_of_nesting_is_refused_in_a_sentence(depth: int, begin: bytes, end: bytes) -> None:
    body = b'{"a":' + begin * depth + b"1" + end * depth + b"}"
    with pytest.raises(WireError):
        whole(unpack(body, packed=False)["a"], "a", 0, 1)


def test_an_integer_of_any_length_is_refused_in_a_sentence() -> None:
    for digits in (20, 400, 4299, 4300, 4301, 100_000):
        with pytest.raises(WireError):
            number(unpack(b'{"a": 1' + b"0" * digits + b"}", packed=False)["a"], "a", 0, 1e9)


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode) | MESSAGES.map(pack), st.booleans())
def test_any_bytes_are_an_object_or_a_wire_error(body: bytes, packed: bool) -> None:
    try:
        assert isinstance(unpack(body, packed), dict)
    except WireError as error:
        assert str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 300


# ---------------------------------------------------------------- readers

ODD = [None, True, False, "", "1", [], [1], {}, {"a": 1}, math.nan, math.inf, -math.inf, 10**400, -(10**400), 1e308]


@pytest.mark.parametrize("value", ODD)
def test_number_takes_nothing_else(value: Any) -> None:
    with pytest.raises(WireError, match=r"^x is .*: wanted a number from -2 to 1e\+06$"):
        number(value, "x", -2, 1e6)


@pytest.mark.parametrize("value", [-2, -2.0, 0, -0.0, 5e-324, 0.1, 1_000_000, 1e6])
def test_number_takes_both_bounds_and_all_between(value: float) -> None:
    found = number(value, "x", -2, 1e6)
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize("value", [-2.0000000000000004, 1_000_001, 1000000.0000000001])
def test_number_is_exact_at_its_bounds(value: float) -> None:
    with pytest.raises(WireError):
        number(value, "x", -2, 1e6)


@pytest.mark.parametrize("value", [*ODD, 1.0, 0.5, -1, (1 << 53) + 1])
def test_whole_takes_nothing_else(value: Any) -> None:
    with pytest.raises(WireError, match=rf"^x is .*: wanted a whole number from 0 to {1 << 53}$"):
        whole(value, "x", 0, 1 << 53)


def test_whole_takes_both_bounds() -> None:
    assert [whole(value, "x", 0, 1 << 53) for value in (0, 7, 1 << 53)] == [0, 7, 1 << 53]


@pytest.mark.parametrize("value", [value for value in ODD if not isinstance(value, bool)] + [0, 1])
def test_yes_no_takes_booleans_alone(value: Any) -> None:
    with pytest.raises(WireError, match=r"^x is .*: wanted true or false$"):
        yes_no(value, "x")
    assert [yes_no(value, "x") for value in (True, False)] == [True, False]


@pytest.mark.parametrize("value", [value for value in ODD if not isinstance(value, dict)])
def test_mapping_takes_objects_alone(value: Any) -> None:
    with pytest.raises(WireError, match=r"^x is .*: wanted an object$"):
        mapping(value, "x")


@pytest.mark.parametrize("value", [value for value in ODD if not isinstance(value, list)])
def test_listing_takes_lists_alone(value: Any) -> None:
    with pytest.raises(WireError, match=r"^x is .*: wanted a list of at most 3$"):
        listing(value, "x", 3)


def test_listing_has_a_bound() -> None:
    assert listing([1, 2, 3], "x", 3) == [1, 2, 3]
    with pytest.raises(WireError, match=r"^x has 4 entries: wanted a list of at most 3$"):
        listing([1, 2, 3, 4], "x", 3)


def test_maybe_reads_what_is_there() -> None:
    assert maybe(None, whole, "x", 0, 1) is None
    assert maybe(1, whole, "x", 0, 1) == 1
    with pytest.raises(WireError):
        maybe(False, whole, "x", 0, 1)


@given(PLAIN | st.just("\ud800") | st.just(math.nan) | st.just("x" * 10_000))
def test_a_foreign_value_is_told_in_one_short_line_of_plain_signs(value: Any) -> None:
    said = told(value)
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 300
