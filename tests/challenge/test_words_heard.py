"""Transcripts against the words asked: spelling may differ, words and order may not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.challenge.words import draw_words, outcome
from guard.challenge.words_heard import Compared, compare_heard
from guard.challenge.words_lists import distance, tokens

ASKED = {
    "en": ("three", "window", "one"),
    "ru": ("три", "звёздочка", "восемь"),
    "kk": ("жеті", "домбыра", "үш"),
}


@pytest.mark.parametrize(
    ("language", "heard"),
    [
        ("en", "Three window one"),
        ("en", " 3, WINDOW - 1."),
        ("en", "um, three... the windows, won!"),
        ("en", "tree win dow one"),
        ("en", "threewindow one"),
        ("ru", "Три, звездочка, 8."),
        ("ru", "3 звёздочки восем"),
        ("ru", "три звёз дочка восемь"),
        ("kk", "7, домбыра, 3"),
        ("kk", "Жети домбра уш"),
    ],
)
def test_the_same_words_in_other_spelling_are_found(language: str, heard: str) -> None:
    assert compare_heard(ASKED[language], heard, language).found == 3


def test_numerals_written_together_are_digits() -> None:
    assert tokens("371", "en") == ["three", "seven", "one"]
    assert compare_heard(("three", "seven", "one"), "371.", "en").found == 3
    assert compare_heard(("five", "nine", "two"), "5-9-2", "en").found == 3


def test_order_must_hold() -> None:
    assert compare_heard(ASKED["en"], "one window three", "en") == Compared(found=1, others=2)
    assert compare_heard(ASKED["en"], "window three one", "en").found == 2


def test_a_word_as_near_to_another_is_neither() -> None:
    assert compare_heard(("nine", "window", "tiger"), "fine window tiger", "en").found == 2
    assert compare_heard(("five", "window", "tiger"), "nine window tiger", "en") == Compared(2, 1)


def test_a_looping_recogniser_counts_once() -> None:
    assert compare_heard(ASKED["en"], "garden " * 300, "en") == Compared(found=0, others=1)


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_other_words_never_pass_and_the_same_always_do(language: str) -> None:
    dice = random.Random(5)
    for _ in range(300):
        said = draw_words(dice, language, ())
        other = draw_words(dice, language, said)
        text = ", ".join(said).capitalize() + "."
        assert outcome(compare_heard(said, text, language)) == "right"
        assert outcome(compare_heard(other, text, language)) == "wrong"
        assert outcome(compare_heard(said[::-1], text, language)) not in {"right", "mostly"}


@given(st.text(max_size=200), st.sampled_from(["kk", "ru", "en"]))
def test_any_text_is_compared(text: str, language: str) -> None:
    found = compare_heard(ASKED[language], text, language)
    assert 0 <= found.found <= 3
    assert found.others >= 0


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distance_is_a_distance(a: str, b: str) -> None:
    assert distance(a, b) == distance(b, a) <= max(len(a), len(b))
    assert (distance(a, b) == 0) == (a == b)
