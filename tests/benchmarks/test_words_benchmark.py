"""The benchmark of spoken words: what it says is what it says it says, and its table is its counts."""

from __future__ import annotations

import numpy as np

from benchmarks.words import CONDITIONS, RECORDED, Row, measured, table, timing, utterance, word_errors
from guard.challenge.words_lists import DIGITS, vocabulary
from guard.inference.recogniser import Recogniser
from guard.types import FloatArray


class Parrot(Recogniser):
    """Writes down what it is told beforehand, in turn."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.heard: list[FloatArray] = []

    def transcribe(self, samples: FloatArray, language: str) -> str:
        self.heard.append(samples)
        return self.lines[(len(self.heard) - 1) % len(self.lines)]


def tones() -> dict[str, FloatArray]:
    time_s = np.arange(6_000) / 16_000
    return {
        word: (0.3 * np.sin(2 * np.pi * (200 + 40 * n) * time_s)).astype(np.float32)
        for n, word in enumerate(DIGITS["en"])
    }


def test_recorded_words_are_words_that_may_be_asked() -> None:
    for language, words in RECORDED.items():
        assert words.keys() <= set(vocabulary(language))
        assert not words.keys() & set(DIGITS[language])


def test_an_utterance_is_five_seconds_and_has_its_words_in_their_order() -> None:
    words = [np.full(4_000, level, np.float32) for level in (0.2, 0.5, 0.9)]
    sound = utterance(words, np.random.default_rng(1))
    assert sound.shape == (80_000,)
    levels = [sound[at] for at in np.flatnonzero(np.diff((np.abs(sound) > 0.01).astype(int)) > 0) + 1_000]
    assert len(levels) == 3
    assert levels == sorted(levels)


def test_every_condition_keeps_the_length_and_the_same_seed_the_sound() -> None:
    sound = utterance(list(tones().values())[:3], np.random.default_rng(2))
    for condition in CONDITIONS.values():
        first, second = condition(sound, "1-2"), condition(sound, "1-2")
        assert abs(len(first) - 80_000) < 1_600
        assert np.array_equal(first, second)
        assert np.isfinite(first).all()


def test_counts_are_of_what_was_heard() -> None:
    parrot = Parrot(["zero one two three four five six seven eight nine", ""])
    row = measured(parrot, tones(), "en", CONDITIONS["clean"], count=6, seed=4)
    assert len(parrot.heard) == 6
    for tally in (row["same"], row["other"], row["reordered"]):
        assert sum(tally.values()) == 6
        assert tally["unclear"] >= 3  # nothing was heard in half of them
    assert (
        row["word_errors"] >= 3 * 7 + 3 * 3
    )  # seven words too many in one half, all three missed in the other
    assert word_errors(["one", "two"], "1 three two", "en") == 1


def test_answers_that_begin_in_time_are_counted_as_such() -> None:
    tally = timing(tones(), CONDITIONS["clean"], 5, 3)
    assert tally == {"in_time": 5, "early": 0, "too_short": 0, "too_noisy": 0, "silent": 0}


def test_the_table_has_exact_intervals() -> None:
    nothing = {"right": 0, "mostly": 0, "wrong": 0, "unclear": 10}
    row = Row(
        utterances=10,
        word_errors=3,
        words=30,
        same={"right": 9, "mostly": 1, "wrong": 0, "unclear": 0},
        other=nothing,
        reordered=nothing,
        cpu_s_median=0.204,
        cpu_s_p95=0.3,
    )
    last = table({"ru": {"clean": row}}).splitlines()[-1]
    assert last.startswith(
        "| ru | clean | 10.0 % | 9/10 [55.5, 99.7] | 1/10 [0.3, 44.5] | 0/10 [0.0, 30.8] |"
    )
    assert last.endswith("| 0.20 |")
