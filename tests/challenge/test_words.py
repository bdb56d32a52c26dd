"""Spoken words: the draw, the judge, and what attacks on it come to."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from guard.challenge.commands import Answer, Judgement, Observed
from guard.challenge.draw import Exhausted
from guard.challenge.words import WORTH, WordsConfig, WordsJudge, draw_words
from guard.challenge.words_lists import DIGITS, NOUNS, distance, folded, vocabulary
from tests.challenge.words_scene import (
    COMMAND,
    LIMIT_S,
    SHOWN_S,
    answer,
    observed,
    sights_of,
    syllables,
    voice_of,
    without_face,
)

LANGUAGES = ("kk", "ru", "en")
RIGHT = "3, window, tiger."


def judged(seen: Observed, language: str = "en") -> Judgement:
    command = replace(COMMAND, language=language)
    judgement = WordsJudge().judge(command, seen, over=True)
    assert judgement is not None
    assert all(np.isfinite(value) for value in judgement.details.values())
    return judgement


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_many_and_unlike_each_other(language: str) -> None:
    words = [folded(word, language) for word in vocabulary(language)]
    assert (len(DIGITS[language]), len(NOUNS[language])) == (10, 40)
    assert len(set(words)) == 50
    for place, word in enumerate(words):
        for other in words[max(10, place + 1) :]:
            assert distance(word, other) >= 3, f"{word} and {other}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_draw_repeats_no_word_until_they_are_used_up(language: str) -> None:
    dice, used = random.Random(7), set[str]()
    for _ in range(16):
        words = draw_words(dice, language, used)
        assert len(set(words)) == 3
        assert not used & set(words)
        used.update(words)
    with pytest.raises(Exhausted, match="2 left"):
        draw_words(dice, language, used)


def test_every_word_comes_up_at_every_place() -> None:
    dice = random.Random(3)
    drawn = [draw_words(dice, "ru", ()) for _ in range(1500)]
    for place in range(3):
        assert {words[place] for words in drawn} == set(vocabulary("ru"))


def test_nothing_is_said_of_the_words_before_the_time_is_over() -> None:
    assert WordsJudge().judge(COMMAND, answer(), over=False) is None


def test_the_right_words_with_moving_lips_match() -> None:
    found = judged(answer(RIGHT))
    assert (found.answer, found.reason) == (Answer.MATCHED, "words_right")
    assert found.llr == WORTH["en"].right_llr < -2
    assert found.onset_s == pytest.approx(1.2, abs=0.1)
    assert found.details["correlation"] > 0.5


def test_two_of_three_count_less_and_two_with_a_wrong_one_not_at_all() -> None:
    found = judged(answer("3 window, Tiguerre"))
    assert (found.answer, found.reason) == (Answer.MATCHED, "words_mostly_right")
    assert judged(answer(RIGHT)).llr < found.llr < 0
    assert judged(answer("3, window, garden")).reason == "words_unclear"


@pytest.mark.parametrize("heard", ["Nine, garden, number.", "tiger window three", "9 garden paper"])
def test_other_words_and_another_order_are_a_mismatch(heard: str) -> None:
    found = judged(answer(heard))
    assert (found.answer, found.reason) == (Answer.MISMATCHED, "words_wrong")
    assert found.llr > 0


@pytest.mark.parametrize("heard", ["", "Thank you for watching.", "..."])
def test_what_a_recogniser_makes_of_nothing_is_no_mismatch(heard: str) -> None:
    found = judged(answer(heard))
    assert (found.answer, found.llr, found.reason) == (Answer.UNSEEN, 0.0, "words_unclear")


def test_without_a_recogniser_the_rest_is_weak_evidence() -> None:
    found = judged(answer(None))
    assert (found.answer, found.reason) == (Answer.MATCHED, "words_not_compared")
    assert -0.7 <= found.llr < 0


@pytest.mark.parametrize("heard", ["бес, терезе, кітап", "алма жоқ", ""])
def test_a_recogniser_weak_in_kazakh_never_speaks_against_a_person(heard: str) -> None:
    assert judged(answer(heard), "kk").reason == "words_not_compared"


def test_a_second_voice_beside_a_still_face_is_a_mismatch() -> None:
    seen = observed(voice_of(syllables(1.2, 6, 5)), sights_of(np.zeros(600)), RIGHT)
    found = judged(seen)
    assert (found.answer, found.reason) == (Answer.MISMATCHED, "mouth_still")


def test_a_frozen_picture_is_a_still_face() -> None:
    genuine = answer(RIGHT)
    frozen = [replace(sight, points=genuine.before[-1].points) for sight in genuine.after]
    assert judged(replace(genuine, after=frozen)).reason == "mouth_still"


def test_lips_of_another_recording_seldom_match_and_the_persons_own_always_do() -> None:
    voice = voice_of(syllables(1.2, 6, 5))
    reasons = []
    for seed in range(11, 19):
        other = judged(observed(voice, sights_of(syllables(2.4, 6, seed)), RIGHT))
        reasons.append(other.reason)
        assert (other.answer, other.llr) == (Answer.UNSEEN, 0.0) or other.reason == "words_right"
        own = syllables(1.2, 6, seed)
        assert judged(observed(voice_of(own), sights_of(own), RIGHT)).reason == "words_right"
    assert reasons.count("mouth_out_of_step") >= 6


def test_a_face_out_of_view_is_no_mismatch() -> None:
    loudness = syllables(1.2, 6, 5)
    found = judged(observed(voice_of(loudness), without_face(sights_of(loudness)), RIGHT))
    assert (found.answer, found.llr, found.reason) == (Answer.UNSEEN, 0.0, "mouth_not_seen")


def test_wrong_words_are_wrong_whoever_is_in_view() -> None:
    loudness = syllables(1.2, 6, 5)
    seen = observed(voice_of(loudness), without_face(sights_of(loudness)), "nine garden number")
    assert judged(seen).reason == "words_wrong"


def test_an_answer_that_had_begun_with_the_command_is_early() -> None:
    found = judged(answer(RIGHT, begin_s=0.05))
    assert (found.answer, found.reason) == (Answer.MISMATCHED, "answered_early")


def test_who_finishes_a_sentence_and_then_answers_is_not_early() -> None:
    loudness = syllables(1.6, 6, 5) + syllables(0.0, 2, 9)  # ends before 0.6 s
    found = judged(observed(voice_of(loudness), sights_of(loudness), RIGHT))
    assert found.reason == "words_right"
    assert found.onset_s == pytest.approx(1.6, abs=0.1)


def test_silence_in_a_room_is_no_answer_and_a_dead_microphone_no_mismatch() -> None:
    still = sights_of(np.zeros(600))
    room = judged(observed(voice_of(np.zeros(600), noise=1e-3), still, ""))
    assert (room.answer, room.reason, room.onset_s) == (Answer.MISMATCHED, "not_answered", None)
    for voice in (np.zeros(96_000, np.float32), np.zeros(0, np.float32)):
        dead = judged(observed(voice, still, None))
        assert (dead.answer, dead.reason) == (Answer.UNSEEN, "no_sound")


def test_loud_even_noise_is_no_mismatch() -> None:
    noise = np.random.default_rng(4).normal(0, 0.1, 96_000).astype(np.float32)
    assert judged(observed(noise, sights_of(np.zeros(600)), "")).reason == "too_noisy"


def test_the_moment_of_the_answer_is_counted_from_the_command() -> None:
    early = answer(RIGHT)
    late = replace(early, voice=early.voice[8000:], voice_s=SHOWN_S + 0.5)
    assert judged(late).onset_s == pytest.approx(judged(early).onset_s or 0.0, abs=0.03)
    assert judged(late).reason == "words_right"


@pytest.mark.parametrize("skew_s", [-0.2, 0.0, 0.25])
def test_tracks_that_are_askew_still_match(skew_s: float) -> None:
    loudness = syllables(1.2, 6, 5)
    found = judged(observed(voice_of(loudness), sights_of(loudness, ahead_s=0.06 + skew_s), RIGHT))
    assert found.reason == "words_right"
    assert found.details["lag_s"] == pytest.approx(0.06 + skew_s, abs=0.09)


def test_a_broken_stream_of_pictures_leaves_the_mouth_unseen() -> None:
    genuine = answer(RIGHT)
    gone = [sight for sight in genuine.after if sight.time_s < SHOWN_S + 1.8]
    assert judged(replace(genuine, after=gone)).reason == "mouth_not_seen"


def test_short_sounds_are_not_speech() -> None:
    knocks = np.zeros(round(LIMIT_S * 16_000), np.float32)
    for at in (20_000, 40_000, 60_000):
        knocks[at : at + 400] = 0.5
    knocks += np.random.default_rng(1).normal(0, 3e-4, len(knocks)).astype(np.float32)
    assert judged(observed(knocks, sights_of(np.zeros(600)), "")).reason in {"not_answered", "too_noisy"}


def test_limits_are_stated_once_and_sensible() -> None:
    assert WORTH.keys() == set(LANGUAGES)
    assert WORTH["kk"].wrong_llr is None
    for worth in WORTH.values():
        assert worth.right_llr < worth.most_llr < WordsConfig().not_compared_llr <= 0
