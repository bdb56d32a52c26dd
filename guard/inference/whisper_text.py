"""Whisper's tokens: text to numbers and back, from its vocabulary alone.

A token is a run of bytes, written with one letter for each byte as GPT-2 does; lower numbers were merged
earlier. Source: Radford et al., Language Models are Unsupervised Multitask Learners, 2019, section 2.2.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"<\|.*\|>")
# words begin with their blank, punctuation stands for itself
_PARTS = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\s\w]+|\s+")


class WhisperText:
    """The tokens of one vocabulary.

    Args:
        vocabulary: the tokens in the order of their numbers, special ones as ``<|...|>``.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        letters = _letters()
        self._byte_of = {letter: byte for byte, letter in letters.items()}
        self._letters = letters
        self._tokens = list(vocabulary)
        self._number = {token: number for number, token in enumerate(vocabulary)}

    def special(self, name: str) -> int:
        """Return the number of ``<|name|>``; raises KeyError where there is none."""
        return self._number[f"<|{name}|>"]

    def encode(self, text: str) -> list[int]:
        """Return the numbers of a text: of neighbours the pair that was merged first is joined first."""
        return [number for part in _PARTS.findall(text) for number in self._encode_part(part)]

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of some numbers; special ones and broken bytes are left out."""
        tokens = (self._tokens[number] for number in numbers)
        letters = "".join(token for token in tokens if not _SPECIAL.fullmatch(token))
        return bytes(self._byte_of[letter] for letter in letters).decode("utf-8", "ignore")

    def _encode_part(self, part: str) -> list[int]:
        pieces = [self._letters[byte] for byte in part.encode()]
        while len(pieces) > 1:
            pairs = [self._number.get(a + b) for a, b in itertools.pairwise(pieces)]
            known = [number for number in pairs if number is not None]
            if not known:
                break
            at = pairs.index(min(known))
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        return [self._number[piece] for piece in pieces]


def _letters() -> dict[int, str]:
    """Return the letter of each byte: itself where it can be seen, else one from U+0100 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    hidden = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + n) for n, byte in enumerate(hidden)}
