"""The words a person may be asked to say, in Kazakh, Russian and English, and how they compare.

Chosen to be short, known to everybody and unlike each other: two words that are no digits differ in at
least three letters (tests/challenge/test_words.py holds them to that). Digits come in the order 0 to 9. In
Russian and English a third of the other words were taken because free recordings of a person exist, on which
benchmarks/words.py measures them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

DIGITS: Mapping[str, tuple[str, ...]] = {
    "kk": ("нөл", "бір", "екі", "үш", "төрт", "бес", "алты", "жеті", "сегіз", "тоғыз"),
    "ru": ("ноль", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять"),
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}

_NOUNS_KK = (
    "терезе кітап дәптер мектеп аспан жұлдыз жаңбыр көктем жылқы мысық балық қоян орман көпір домбыра "
    "қалпақ сағат қасқыр күміс шелек үстел орындық қоңырау наурыз шаңырақ жүзім қарбыз бауырсақ "
    "шайнек пияла көбелек дастарқан қыркүйек теңге кілем самаурын түйе арыстан сабын өзен"
)
_NOUNS_RU = (
    "понедельник вторник среда четверг пятница суббота сегодня завтра вчера миллион доллар телефон "
    "звёздочка молоко окно книга рыба собака дорога сахар билет город деревня зима карандаш кошка "
    "лампа машина музыка туман огурец январь остров письмо погода праздник ракета солнце театр "
    "комната"
)
_NOUNS_EN = (
    "wednesday thursday saturday january february april august october december tomorrow yesterday "
    "dollar million number apple window table feather garden mountain orange pencil rabbit sugar "
    "tiger bridge lantern doctor forest guitar hammer island sweater kitchen lemon butterfly ocean "
    "paper queen school"
)

NOUNS: Mapping[str, tuple[str, ...]] = {
    "kk": tuple(_NOUNS_KK.split()),
    "ru": tuple(_NOUNS_RU.split()),
    "en": tuple(_NOUNS_EN.split()),
}

# what a recogniser writes for the same sound
ALIASES: Mapping[str, Mapping[str, str]] = {
    "kk": {},
    "ru": {"нуль": "ноль", "одна": "один", "одно": "один", "две": "два"},
    "en": {"to": "two", "too": "two", "for": "four", "ate": "eight", "won": "one", "oh": "zero"},
}

_KAZAKH = str.maketrans("әғқңөұүһі", "агкноуухи")
_WORD = re.compile(r"\d|[^\W\d_]+")


def vocabulary(language: str) -> tuple[str, ...]:
    """Return every word that may be asked in a language (``kk``, ``ru`` or ``en``), digits first."""
    return DIGITS[language] + NOUNS[language]


def folded(word: str, language: str) -> str:
    """Return a word as it is compared: small letters, ё as е, letters that only Kazakh has as their likes."""
    plain = word.lower().replace("ё", "е")
    return plain.translate(_KAZAKH) if language == "kk" else plain


def tokens(text: str, language: str) -> list[str]:
    """Return the folded words of a transcript; every digit written as a numeral becomes its word."""
    found = (match.group() for match in _WORD.finditer(text.lower()))
    words = (DIGITS[language][int(part)] if part.isdecimal() else part for part in found)
    return [folded(ALIASES[language].get(word, word), language) for word in words]


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Return how many letters (or words) must be put in, left out or exchanged to make one of the other.

    Source: Wagner and Fischer, The string-to-string correction problem, J. ACM 21, 1974.
    """
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (left != right))
    return row[-1]
