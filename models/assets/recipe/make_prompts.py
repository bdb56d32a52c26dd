"""Writes the spoken prompts of the active checks: ``guard/web/sounds/<language>/*.webm`` and SOURCES.toml.

    python models/assets/recipe/make_prompts.py    # all of them
    python models/assets/recipe/make_prompts.py --wav kk check.intro recording.wav    # your own of one

One prompt for each ``command.*`` and ``check.*`` text of ``guard/policy/texts``, and one for each word that
may be asked (``word.<number>``, its place in ``words.json``). Speech is synthesised by espeak-ng (Debian
package ``espeak-ng``) when the prompts are made; guard never runs it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import av
import numpy as np
from make_announcements import read_wav

from guard.challenge.words_lists import vocabulary
from guard.policy.texts import LANGUAGES, load_texts
from guard.resources import web_dir
from guard.types import FloatArray

FOLDER = web_dir() / "sounds"
VOICES = {"kk": "kk", "ru": "ru", "en": "en-gb"}
SENTENCE_WORDS_PER_MINUTE, WORD_WORDS_PER_MINUTE = 140, 115
RATE_HZ, BIT_RATE, PACKET = 48_000, 16_000, 960
PEAK = 0.5
SILENCE_S, QUIET = 0.08, 0.01


def prompts(language: str) -> dict[str, str]:
    """Return what is said in a language, by the name of its file."""
    texts = load_texts()
    keys = sorted(key for key in texts.keys if key.startswith(("command.", "check.")))
    said = {key: texts.get(key, language) for key in keys}
    return said | {f"word.{number}": word for number, word in enumerate(vocabulary(language))}


def speak(name: str, language: str, text: str) -> FloatArray:
    """Return a text as espeak-ng speaks it, mono 48 kHz."""
    speed = WORD_WORDS_PER_MINUTE if name.startswith("word.") else SENTENCE_WORDS_PER_MINUTE
    command = ["espeak-ng", "-v", VOICES[language], "-s", str(speed), "--stdout", text]
    return read_wav(subprocess.run(command, check=True, capture_output=True).stdout)


def trimmed(samples: FloatArray) -> FloatArray:
    """Return the speech at an even level, with a moment of silence on both sides."""
    level = samples * (PEAK / max(1e-6, float(np.abs(samples).max())))
    loud = np.flatnonzero(np.abs(level) > QUIET)
    silence = np.zeros(round(SILENCE_S * RATE_HZ), np.float32)
    return np.concatenate([silence, level[loud[0] : loud[-1] + 1], silence]).astype(np.float32)


def write(path: Path, samples: FloatArray) -> None:
    """Write samples as Opus in WebM, which current browsers play, Safari from 15 on."""
    padded = np.pad(samples, (0, -len(samples) % PACKET))
    with av.open(str(path), "w", format="webm", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=RATE_HZ, layout="mono")
        stream.bit_rate = BIT_RATE
        stream.codec_context.options = {"application": "voip", "frame_duration": "20"}
        for start in range(0, len(padded), PACKET):
            frame = av.AudioFrame.from_ndarray(padded[None, start : start + PACKET], "flt", "mono")
            frame.sample_rate, frame.pts = RATE_HZ, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make(language: str) -> dict[str, dict[str, str]]:
    """Write the prompts of a language; return what to say of each in SOURCES.toml."""
    (FOLDER / language).mkdir(parents=True, exist_ok=True)
    said = prompts(language)
    for old in (FOLDER / language).glob("*.webm"):
        if old.stem not in said:
            old.unlink()
    for name, text in said.items():
        write(FOLDER / language / f"{name}.webm", trimmed(speak(name, language, text)))
    return {
        name: source(language, name, text, f"espeak-ng {VOICES[language]}") for name, text in said.items()
    }


def source(language: str, name: str, text: str, spoken_by: str) -> dict[str, str]:
    """Return one entry of SOURCES.toml."""
    content = (FOLDER / language / f"{name}.webm").read_bytes()
    return {"text": text, "by": spoken_by, "sha256": hashlib.sha256(content).hexdigest()}


def write_sources(sources: dict[str, dict[str, dict[str, str]]]) -> None:
    """Write SOURCES.toml."""
    version = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    lines = [
        "# The spoken prompts of the active checks. Written by models/assets/recipe/make_prompts.py.",
        "# No listener has rated them; the Kazakh ones were heard by nobody who speaks Kazakh.",
        "# espeak-ng is free software (GPL-3.0-or-later); the files hold only the sound it made.",
        f'espeak_ng = "{re.search(r"[0-9][0-9.]+", version).group()}"',  # type: ignore[union-attr]
    ]
    for language, entries in sources.items():
        for name, entry in entries.items():
            lines += ["", f'[{language}."{name}"]']
            lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()]
    (FOLDER / "SOURCES.toml").write_text("\n".join(lines) + "\n")
    words = {language: vocabulary(language) for language in LANGUAGES}
    (FOLDER / "words.json").write_text(json.dumps(words, ensure_ascii=False, indent=0) + "\n")


def main() -> None:
    """Make all prompts, or one from a recording."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wav", nargs=3, metavar=("LANGUAGE", "NAME", "FILE"))
    arguments = parser.parse_args()
    if arguments.wav:
        language, name, file = arguments.wav
        text = prompts(language)[name]
        write(FOLDER / language / f"{name}.webm", trimmed(read_wav(Path(file).read_bytes())))
        found = tomllib.loads((FOLDER / "SOURCES.toml").read_text())
        sources = {language: found[language] for language in LANGUAGES}
        sources[language][name] = source(language, name, text, "a recording of this site")
    else:
        sources = {language: make(language) for language in LANGUAGES}
    write_sources(sources)
    files = list(FOLDER.rglob("*.webm"))
    sys.stdout.write(f"{len(files)} prompts, {sum(file.stat().st_size for file in files)} bytes\n")


if __name__ == "__main__":
    main()
