"""Foreign bytes to checked values: gzipped JSON, bounded, and readers that name the value that will not do.

Whatever comes over the wire is looked at before anybody believes it: a WireError says what it is and what was wanted.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from powerpi.errors import WireError, shown

PACKED_BYTES = 524_288  # a day of rows takes some 80 kB, packed; waitress keeps so much in memory
PLAIN_BYTES = 2_000_000
LEVEL = 5  # of gzip: 6 takes twice as long for 10 % less
GZIP = 16 + zlib.MAX_WBITS
API = "/api/v1/mirror/"  # where all that is said to a mirror goes


def plain(message: Mapping[str, Any]) -> bytes:
    """A message as JSON."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode()


def pack(message: Mapping[str, Any]) -> bytes:
    """A message as gzipped JSON."""
    return gzipped(plain(message))


def gzipped(body: bytes) -> bytes:
    """A body as gzip."""
    packer = zlib.compressobj(LEVEL, wbits=GZIP)
    return packer.compress(body) + packer.flush()


def unpack(body: bytes, packed: bool) -> dict[str, Any]:
    """The message in a body, gzipped if `packed`. Raises WireError, also for one that grows too large."""
    return _parsed(_inflated(body) if packed else body)


def _inflated(body: bytes) -> bytes:
    """What is in a gzipped body; never more than PLAIN_BYTES are made of it."""
    inflater = zlib.decompressobj(wbits=GZIP)
    try:
        inflated = inflater.decompress(body, PLAIN_BYTES)
    except zlib.error as error:
        raise WireError(f"the body is not gzip: {error}") from error
    if inflater.unconsumed_tail:
        raise WireError(f"the body unpacks to more than {PLAIN_BYTES} bytes")
    if not inflater.eof or inflater.unused_data:
        raise WireError("the body is not one whole gzip stream")
    return inflated


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body, parse_constant=_refuse_constant)
    except WireError:
        raise
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is one too
        raise WireError(f"the body is not JSON: {error}") from error
    return mapping(message, "the body")


def _refuse_constant(name: str) -> NoReturn:
    raise WireError(f"{name} is no value: wanted a finite number, or null for unknown")


def mapping(value: Any, what: str) -> dict[str, Any]:
    """A JSON object. Raises WireError."""
    if not isinstance(value, dict):
        raise WireError(f"{what} is {told(value)}: wanted an object")
    return value


def listing(value: Any, what: str, most: int) -> list[Any]:
    """A JSON list of at most `most` entries. Raises WireError."""
    if not isinstance(value, list) or len(value) > most:
        said = f"has {len(value)} entries" if isinstance(value, list) else f"is {told(value)}"
        raise WireError(f"{what} {said}: wanted a list of at most {most}")
    return value


def number(value: Any, what: str, low: float, high: float) -> float:
    """A finite number within bounds, both allowed. Raises WireError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise WireError(f"{what} is {told(value)}: wanted a number from {low:g} to {high:g}")
    return float(value)


def whole(value: Any, what: str, low: int, high: int) -> int:
    """A whole number within bounds, both allowed. Raises WireError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise WireError(f"{what} is {told(value)}: wanted a whole number from {low} to {high}")
    return value


def maybe(value: Any, read: Callable[..., Any], *arguments: Any) -> Any:
    """None for null, else what `read` makes of the value. Raises WireError."""
    return None if value is None else read(value, *arguments)


def told(value: Any) -> str:
    """A foreign value as it may stand in a sentence."""
    try:
        return "missing" if value is None else shown(json.dumps(value, default=str))
    except RecursionError:  # it takes a little more to write than to read
        return "nested too deeply"


def yes_no(value: Any, what: str) -> bool:
    """A JSON boolean. Raises WireError."""
    if not isinstance(value, bool):
        raise WireError(f"{what} is {told(value)}: wanted true or false")
    return value
