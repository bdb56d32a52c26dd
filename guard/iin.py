"""Knows an IIN, so that none is stored: the individual identification number of Kazakhstan.

Twelve digits: date of birth as YYMMDD, a digit for century and sex, four of serial, one check digit.
"""

from __future__ import annotations

import re

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FIRST_WEIGHTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
_SECOND_WEIGHTS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)
# twelve digits that are no part of a longer number, written together or in groups
_TWELVE = re.compile(r"(?<!\d)(?=((?:\d[ \u00a0-]?){11}\d)(?!\d))")


def is_iin(digits: str) -> bool:
    """Tell whether twelve ASCII digits can be an IIN: a date, a century digit of 0 to 6, the check digit."""
    if not re.fullmatch(r"[0-9]{12}", digits):
        return False
    month, day = int(digits[2:4]), int(digits[4:6])
    if not (1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] and int(digits[6]) <= 6):
        return False
    return _check_digit(digits) == int(digits[11])


def _check_digit(digits: str) -> int | None:
    """Return the check digit of the first eleven; None where no IIN begins with them."""
    for weights in (_FIRST_WEIGHTS, _SECOND_WEIGHTS):
        rest = sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=False)) % 11
        if rest < 10:
            return rest
    return None


def iin_spans(text: str) -> list[tuple[int, int]]:
    """Return where the IINs of a text stand: begin and end of each."""
    return [found.span(1) for found in _TWELVE.finditer(text) if is_iin(re.sub(r"\D", "", found[1]))]
