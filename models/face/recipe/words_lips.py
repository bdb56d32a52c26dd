"""How often the lips' part of the spoken words is right, on simulated lips.

    python words_lips.py prompts/usr/share/asterisk/sounds    # the folder benchmarks/words.py names

Three recorded words are said by a simulated person (``lip_sync_simulate``), recorded in a simulated room and
seen through FaceMesh's noise; guard's own code judges them. Cases: the person says them; the lips rest; the
lips say three other words beginning at another moment, or at the same; the lips move in syllables all along.
Nothing here is a real mouth.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import lip_sync_seen
import lip_sync_simulate
import numpy as np
from data import ROOT
from lip_sync_simulate import HOP_S, RATE_HZ, Call, Person, babble

sys.path.insert(0, str(ROOT))
from benchmarks.words import recordings
from guard.challenge.words import WordsConfig
from guard.challenge.words_spoken import Lips, compare_lips, spoken
from guard.evaluation.exact import share
from guard.media.lips import mouth_of

CASES = ("genuine", "still", "other_time", "same_time", "babble")
LENGTH_S = 8.5  # what the limit of the command leaves, and half a second the looks do not reach
SEED = 11


def said(words: list[np.ndarray], rng: np.random.Generator, begin_s: float) -> np.ndarray:
    """Return LENGTH_S seconds with three words from ``begin_s`` on."""
    parts = [np.zeros(int(begin_s * RATE_HZ))]
    for number in rng.choice(len(words), 3, replace=False):
        parts += [0.1 * words[number] / np.sqrt(np.mean(words[number] ** 2))]
        parts += [np.zeros(int(rng.uniform(0.1, 0.6) * RATE_HZ))]
    whole = np.concatenate(parts)[: int(LENGTH_S * RATE_HZ)]
    return np.pad(whole, (0, int(LENGTH_S * RATE_HZ) - len(whole)))


def in_room(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the sound after a room, a level and steady noise 10 to 50 dB down."""
    count = int(0.3 * RATE_HZ)
    tail = rng.normal(0, 1, count) * np.exp(-6.9 * np.arange(count) / RATE_HZ / rng.uniform(0.1, 0.5))
    tail *= 10 ** (rng.uniform(-18, -4) / 20) / np.sqrt(np.sum(tail**2))
    out = (sound + np.convolve(sound, tail)[: len(sound)]) * 10 ** (rng.uniform(-12, 6) / 20)
    level = np.sqrt(np.mean(out**2)) * 10 ** (-rng.uniform(10, 50) / 20)
    return np.clip(out + level * rng.normal(0, 1, len(out)), -1, 1).astype(np.float32)


def lips_of(case: str, words: list[np.ndarray], rng: np.random.Generator) -> Lips | None:
    """Return what guard makes of one answer; None where it hears too little speech."""
    begin_s = rng.uniform(0.8, 2.5)
    sound, person = said(words, rng, begin_s), Person.drawn(rng)
    hops = len(sound) // 160
    if case == "still":
        opening, width = person.idle(hops, rng)
    elif case == "babble":
        opening, width = person.speak(babble(len(sound), rng), rng)
    else:
        other = {"other_time": rng.uniform(0.8, 2.5), "same_time": begin_s}
        spoken_by_lips = said(words, rng, other[case]) if case in other else sound
        opening, width = person.speak(spoken_by_lips, rng)
    skew_s = float(np.clip(rng.normal(0, 0.1), -0.25, 0.25))
    opening, width = (np.roll(line, -round(skew_s / HOP_S)) for line in (opening, width))
    call = Call(in_room(sound, rng), opening, width, skew_s)
    times = lip_sync_seen._times(rng)
    seen = [mouth_of(points) for points in lip_sync_seen._points(call, times, rng)]
    looks = [(float(at), *mouth) for at, mouth in zip(times, seen, strict=True) if mouth is not None]
    speech = spoken(call.sound, 0.0)
    if speech.speech_s < WordsConfig().min_speech_s:
        return None
    return compare_lips(looks, call.sound, 0.0, speech)


def outcome(found: Lips | None) -> str:
    """Return what ``WordsJudge`` would say of the lips."""
    config = WordsConfig()
    if found is None or found.seen_ratio < config.min_seen_ratio:
        return "unseen"
    if found.movement < config.still:
        return "still"
    return "with_voice" if found.correlation >= config.min_correlation else "out_of_step"


def main() -> None:
    """Print counts of each case, with exact 95 % intervals of what passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--answers", type=int, default=200)
    arguments = parser.parse_args()
    lip_sync_simulate.CALL_S = lip_sync_seen.CALL_S = LENGTH_S
    words = [list(recordings(arguments.sounds, language).values()) for language in ("ru", "en")]
    for case in CASES:
        rng = np.random.default_rng(SEED)
        found = [outcome(lips_of(case, words[n % 2], rng)) for n in range(arguments.answers)]
        counts = {name: found.count(name) for name in ("with_voice", "out_of_step", "still", "unseen")}
        limits = share(counts["with_voice"], len(found))
        print(f"{case}: {counts}, with the voice [{100 * limits.low:.1f}, {100 * limits.high:.1f}] %")


if __name__ == "__main__":
    main()
