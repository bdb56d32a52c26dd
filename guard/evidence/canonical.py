"""One way only to write a value as JSON, so that a signature over it can be checked anywhere.

A subset of RFC 8785 (JSON Canonicalization Scheme) on which that scheme and
``json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`` agree byte for byte:

- objects have keys of printable ASCII, sorted; no spaces between tokens; UTF-8;
- whole numbers lie within +-(2**53 - 1); other numbers are finite, rounded to four decimals, and
  below 2**53, so that neither way writes an exponent; ``2.0`` is written ``2`` and ``-0.0`` is ``0``;
- texts are Unicode without lone surrogates; ``true``, ``false`` and ``null`` as ever.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

from guard.errors import RecordError

MAX_DEPTH = 8
DECIMALS = 4
_MOST = 2**53
_KEY = re.compile(r"[ -~]{1,128}")

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def canonical(value: object) -> bytes:
    """Return the canonical JSON of a value that ``normal`` returned."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def normal(value: object, depth: int = 0) -> Json:
    """Return a copy of a value in the form in which it is signed and read back.

    Args:
        value: mappings, sequences, texts, numbers, truth values, None.
        depth: how deep in the record it stands.

    Raises:
        RecordError: ``record_invalid``; it holds anything else, or is nested too deep.
    """
    if depth > MAX_DEPTH:
        raise _invalid(f"nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_key(key): normal(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [normal(item, depth + 1) for item in value]
    raise _invalid(f"a {type(value).__name__} has no place in a record")


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        raise _invalid("a number is not finite")
    rounded = int(value) if isinstance(value, int) else round(float(value), DECIMALS)
    if abs(rounded) >= _MOST:
        raise _invalid("a number is too large")
    return int(rounded) if rounded == int(rounded) else rounded


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _invalid("a text holds half a character") from error
    return str(value)


def _key(value: object) -> str:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise _invalid("a key is not 1 to 128 printable ASCII characters")
    return str(value)


def _invalid(reason: str) -> RecordError:
    return RecordError("record_invalid", f"cannot be put into a record: {reason}")
