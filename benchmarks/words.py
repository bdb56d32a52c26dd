"""What the recogniser of spoken words gets right: same words accepted, other words refused, per language.

    apt-get download asterisk-core-sounds-en-wav asterisk-core-sounds-ru-wav
    for package in *.deb; do dpkg -x $package prompts; done
    python -m benchmarks.words prompts/usr/share/asterisk/sounds --out benchmarks/results/words.json

Russian and English are single words recorded by one speaker each for the Asterisk prompts (CC BY 3.0 and
CC BY-SA 3.0; 8 kHz), put together in threes with pauses of their own; Kazakh is made by espeak-ng, which no
listener has judged. Every utterance is once compared with the words that were spoken, once with three others
drawn from the rest of the language's list, once with its own words in another order. Nothing fetched is kept.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict

import numpy as np
import soxr

from guard.challenge.words import COUNT, outcome
from guard.challenge.words_heard import compare_heard
from guard.challenge.words_lists import DIGITS, distance, folded, tokens, vocabulary
from guard.challenge.words_spoken import MIN_SPEECH_S, spoken
from guard.evaluation.augment import add_noise, pink
from guard.evaluation.channels import CHANNELS
from guard.evaluation.exact import share
from guard.inference.recogniser import Recogniser, load_recogniser
from guard.types import FloatArray

RATE_HZ = 16_000
LENGTH_S = 5.0
OUTCOMES = ("right", "mostly", "wrong", "unclear")
FOLDERS = {"ru": "ru_RU_f_IvrvoiceRU", "en": "en_US_f_Allison"}
# where the words beside the digits lie in the prompt packages
RECORDED = {
    "ru": {
        "понедельник": "digits/day-1",
        "вторник": "digits/day-2",
        "среда": "digits/day-3",
        "четверг": "digits/day-4",
        "пятница": "digits/day-5",
        "суббота": "digits/day-6",
        "сегодня": "digits/today",
        "завтра": "digits/tomorrow",
        "вчера": "digits/yesterday",
        "миллион": "digits/million",
        "доллар": "letters/dollar",
        "телефон": "phone",
        "звёздочка": "digits/star",
    },
    "en": {
        "wednesday": "digits/day-3",
        "thursday": "digits/day-4",
        "saturday": "digits/day-6",
        "january": "digits/mon-0",
        "february": "digits/mon-1",
        "april": "digits/mon-3",
        "august": "digits/mon-7",
        "october": "digits/mon-9",
        "december": "digits/mon-11",
        "tomorrow": "digits/tomorrow",
        "yesterday": "digits/yesterday",
        "dollar": "letters/dollar",
        "million": "digits/million",
        "number": "number",
    },
}

Condition = Callable[[FloatArray, str], FloatArray]
Tally = dict[str, int]


class Row(TypedDict):
    """Counts of one language under one condition."""

    utterances: int
    word_errors: int
    words: int
    same: Tally
    other: Tally
    reordered: Tally
    cpu_s_median: float
    cpu_s_p95: float


class Found(TypedDict):
    """What a run found."""

    utterances: int
    seed: int
    languages: dict[str, dict[str, Row]]
    nobody_speaks: dict[str, Tally]


def read_wav(data: bytes) -> FloatArray:
    """Return mono 16 kHz samples of a 16-bit WAV file."""
    with wave.open(io.BytesIO(data)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
        return np.asarray(soxr.resample(samples, file.getframerate(), RATE_HZ), np.float32)


def recordings(sounds: Path, language: str) -> dict[str, FloatArray]:
    """Return the recorded words of a language, or those espeak-ng says where nobody was recorded."""
    if language == "kk":
        return {word: synthetic(word, "kk") for word in vocabulary("kk")}
    files = {word: f"digits/{digit}" for digit, word in enumerate(DIGITS[language])} | RECORDED[language]
    folder = sounds / FOLDERS[language]
    return {word: read_wav((folder / f"{file}.wav").read_bytes()) for word, file in files.items()}


def synthetic(word: str, voice: str) -> FloatArray:
    command = ["espeak-ng", "-v", voice, "-s", "130", "--stdout", word]
    return read_wav(subprocess.run(command, check=True, capture_output=True).stdout)


def utterance(words: Sequence[FloatArray], rng: np.random.Generator) -> FloatArray:
    """Return 5 s: a beginning after 0.6 to 1.2 s, pauses, another speed and level, a quiet room."""
    parts = [np.zeros(round(rng.uniform(0.6, 1.2) * RATE_HZ), np.float32)]
    speed = rng.uniform(0.92, 1.08)
    for word in words:
        sped = soxr.resample(word, RATE_HZ * speed, RATE_HZ)
        parts += [np.asarray(sped, np.float32), np.zeros(round(rng.uniform(0.1, 0.5) * RATE_HZ), np.float32)]
    said = np.concatenate(parts)[: round(LENGTH_S * RATE_HZ)]
    whole = np.pad(said, (0, round(LENGTH_S * RATE_HZ) - len(said)))
    level = whole * 10 ** (rng.uniform(-12.0, 0.0) / 20)
    return np.asarray(level + 3e-4 * rng.standard_normal(len(whole)), np.float32)


def through(channel: str, samples: FloatArray, name: str) -> FloatArray:
    """Return the samples after one of ``guard.evaluation.channels``, at 16 kHz again."""
    frames = CHANNELS[channel](samples, RATE_HZ, name)
    heard = np.concatenate([frame.samples for frame in frames])
    return np.asarray(soxr.resample(heard, frames[0].rate_hz, RATE_HZ), np.float32)


def noisy(samples: FloatArray, name: str, *, snr_db: float, channel: str = "clean") -> FloatArray:
    rng = np.random.default_rng(abs(hash_of(name)))
    return through(channel, add_noise(samples, RATE_HZ, rng, noise=pink, snr_db=snr_db), name)


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode(), "big") % (2**31)


CONDITIONS: dict[str, Condition] = {
    "clean": partial(through, "clean"),
    "opus_24k": partial(through, "opus_24k"),
    "opus_24k_loss_5": partial(through, "opus_24k_loss_5"),
    "g711": partial(through, "g711"),
    "noise_10_db": partial(noisy, snr_db=10.0),
    "noise_10_db_opus": partial(noisy, snr_db=10.0, channel="opus_24k"),
    "noise_5_db": partial(noisy, snr_db=5.0),
}


def word_errors(asked: Sequence[str], heard: str, language: str) -> int:
    """Return the least number of words put in, left out or exchanged, spelling taken strictly."""
    return distance([folded(word, language) for word in asked], tokens(heard, language))


def measure(
    recogniser: Recogniser, words: dict[str, FloatArray], language: str, count: int, seed: int
) -> dict[str, Row]:
    """Return counts of one language, condition by condition."""
    found: dict[str, Row] = {}
    for name, condition in CONDITIONS.items():
        found[name] = measured(recogniser, words, language, condition, count=count, seed=seed)
        print(language, name, found[name], file=sys.stderr)
    return found


def measured(
    recogniser: Recogniser,
    words: dict[str, FloatArray],
    language: str,
    condition: Condition,
    *,
    count: int,
    seed: int,
) -> Row:
    """Return the counts under one condition; what is said follows from the seed alone."""
    dice, rng = random.Random(seed), np.random.default_rng(seed)
    same, other, reordered = (dict.fromkeys(OUTCOMES, 0) for _ in range(3))
    errors, cpu_s = 0, []
    for number in range(count):
        said = dice.sample(sorted(words), COUNT)
        sound = condition(utterance([words[word] for word in said], rng), f"{seed}-{number}")
        begun = time.process_time()
        heard = recogniser.transcribe(sound, language)
        cpu_s.append(time.process_time() - begun)
        errors += word_errors(said, heard, language)
        others = dice.sample([word for word in vocabulary(language) if word not in said], COUNT)
        for tally, asked in ((same, said), (other, others), (reordered, said[::-1])):
            tally[outcome(compare_heard(asked, heard, language))] += 1
    return Row(
        utterances=count,
        word_errors=errors,
        words=count * COUNT,
        same=same,
        other=other,
        reordered=reordered,
        cpu_s_median=round(float(np.median(cpu_s)), 3),
        cpu_s_p95=round(float(np.percentile(cpu_s, 95)), 3),
    )


def timing(spoken_words: dict[str, FloatArray], condition: Condition, count: int, seed: int) -> Tally:
    """Return what guard's timing alone makes of answers that begin after 0.6 s: all are in time."""
    dice, rng = random.Random(seed), np.random.default_rng(seed)
    tally = dict.fromkeys(("in_time", "early", "too_short", "too_noisy", "silent"), 0)
    for number in range(count):
        words = [spoken_words[word] for word in dice.sample(sorted(spoken_words), COUNT)]
        found = spoken(condition(utterance(words, rng), f"{seed}-{number}"), 0.0)
        if found.silent or found.drowned:
            tally["silent" if found.silent else "too_noisy"] += 1
        elif found.early:
            tally["early"] += 1
        else:
            tally["in_time" if found.speech_s >= MIN_SPEECH_S else "too_short"] += 1
    return tally


def silence(recogniser: Recogniser, language: str, count: int, seed: int) -> Tally:
    """Return what becomes of noise in which nobody speaks, asked for three words of the list."""
    dice, rng = random.Random(seed), np.random.default_rng(seed)
    tally = dict.fromkeys(OUTCOMES, 0)
    for _ in range(count):
        level = 10 ** rng.uniform(-3.5, -1.0)
        noise = pink(round(LENGTH_S * RATE_HZ), RATE_HZ, rng)
        heard = recogniser.transcribe(np.asarray(level * noise / noise.std(), np.float32), language)
        tally[outcome(compare_heard(dice.sample(vocabulary(language), COUNT), heard, language))] += 1
    return tally


def interval(hits: int, trials: int) -> str:
    found = share(hits, trials)
    return f"{hits}/{trials} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def table(languages: dict[str, dict[str, Row]]) -> str:
    """Return the counts as a table in Markdown: exact 95 % intervals in per cent."""
    lines = [
        "| language | condition | word errors | same words: right | same: two of three | same: wrong "
        "| other words: accepted | reordered: accepted | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for language, conditions in languages.items():
        for name, row in conditions.items():
            n = row["utterances"]
            cells = [language, name, f"{100 * row['word_errors'] / row['words']:.1f} %"]
            cells += [interval(row["same"][kind], n) for kind in ("right", "mostly", "wrong")]
            cells += [
                interval(row[kind]["right"] + row[kind]["mostly"], n) for kind in ("other", "reordered")
            ]
            lines.append("| " + " | ".join([*cells, f"{row['cpu_s_median']:.2f}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sounds", type=Path, help="folder that holds en_US_f_Allison and ru_RU_f_IvrvoiceRU")
    parser.add_argument("--model", type=Path, help="folder with the recogniser's three files")
    parser.add_argument("--utterances", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--languages", nargs="+", default=["ru", "en", "kk"])
    parser.add_argument("--timing", action="store_true", help="judge the time alone; needs no recogniser")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    count, seed = arguments.utterances, arguments.seed
    if arguments.timing:
        for language in arguments.languages:
            words = recordings(arguments.sounds, language)
            for name, condition in CONDITIONS.items():
                print(language, name, timing(words, condition, count, seed))
        return
    recogniser = load_recogniser(arguments.model)
    found = Found(utterances=count, seed=seed, languages={}, nobody_speaks={})
    for language in arguments.languages:
        words = recordings(arguments.sounds, language)
        found["languages"][language] = measure(recogniser, words, language, count, seed)
        found["nobody_speaks"][language] = silence(recogniser, language, count, seed)
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(table(found["languages"]))
    print(json.dumps(found["nobody_speaks"]))


if __name__ == "__main__":
    main()
