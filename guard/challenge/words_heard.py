"""What a recogniser wrote down against the words that were asked.

The words must come in their order. Spelling may be off by some letters, as long as no other word of the
vocabulary is as near; words may be written together or apart, digits as numerals.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from guard.challenge.words_lists import distance, folded, tokens, vocabulary


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of a transcript.

    Args:
        found: how many of the asked words were heard, in their order.
        others: how many different words of the vocabulary were heard beside them: not asked, or out of
            order.
    """

    found: int
    others: int


def compare_heard(asked: Sequence[str], heard: str, language: str) -> Compared:
    """Compare a transcript with the words that were asked.

    Args:
        asked: the words, in the order in which they are to be said.
        heard: what the recogniser wrote.
        language: ``kk``, ``ru`` or ``en``.
    """
    parts = tokens(heard, language)[:_MAX_PARTS]
    wanted = [folded(word, language) for word in asked]
    known = tuple(folded(word, language) for word in vocabulary(language))
    found = _found(parts, wanted, known)
    return Compared(found, max(0, len(_named(parts, known)) - found))


# nobody says more in the time of a command; a recogniser that loops may write more
_MAX_PARTS = 40


def _found(parts: Sequence[str], wanted: Sequence[str], known: tuple[str, ...]) -> int:
    """Return the length of the longest common subsequence, parts and words also taken two by two."""
    table = [[0] * (len(wanted) + 2) for _ in range(len(parts) + 2)]
    for i in range(len(parts) - 1, -1, -1):
        two = parts[i] + parts[i + 1] if i + 1 < len(parts) else None
        for j in range(len(wanted) - 1, -1, -1):
            best = max(table[i + 1][j], table[i][j + 1])
            if _is(parts[i], wanted[j], known):
                best = max(best, 1 + table[i + 1][j + 1])
            if two is not None and _is(two, wanted[j], known):
                best = max(best, 1 + table[i + 2][j + 1])
            if j + 1 < len(wanted) and _near(parts[i], wanted[j] + wanted[j + 1]):
                best = max(best, 2 + table[i + 1][j + 2])
            table[i][j] = best
    return table[0][0]


def _named(parts: Sequence[str], known: tuple[str, ...]) -> set[str]:
    """Return the words of the vocabulary that the parts name."""
    pairs = [a + b for a, b in itertools.pairwise(parts)]
    return {word for part in (*parts, *pairs) for word in known if _is(part, word, known)}


@lru_cache(maxsize=4096)
def _is(part: str, word: str, known: tuple[str, ...]) -> bool:
    """Tell whether a written word stands for a word of the vocabulary, and for no other as well."""
    if not _near(part, word):
        return False
    away = distance(part, word)
    return away == 0 or all(distance(part, other) > away for other in known if other != word)


def _near(part: str, word: str) -> bool:
    allowed = _allowed(len(word))
    return abs(len(part) - len(word)) <= allowed and distance(part, word) <= allowed


def _allowed(length: int) -> int:
    """Return how many letters of a word may be wrong: none of three, one of four or five, two of more."""
    if length <= 3:
        return 0
    return 1 if length <= 5 else 2
