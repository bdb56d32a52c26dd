"""Writes the announcements guard ships: ``guard/media/sounds/*.opuspack``.

    python models/assets/recipe/make_announcements.py   # the tone, Russian and English
    python models/assets/recipe/make_announcements.py --wav kk recording.wav   # your own recording

Speech is synthesised by espeak-ng (Debian package ``espeak-ng``) at build time; guard itself never runs
it. Kazakh is left out on purpose: see docs/announcements.md.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import soxr

from guard.codec.encode import OPUS_RATE_HZ, encode_opus
from guard.media.announcements import FOLDER, TONE, write_pack
from guard.media.tones import warning_tone
from guard.types import FloatArray

WORDS = {
    "en": (
        "en-gb",
        "Warning. The voice or the face in this call may be artificial. Do not pay. "
        "Hang up, and call back on a known number.",
    ),
    "ru": (
        "ru",
        "Внимание. Голос или лицо в этом разговоре могут быть поддельными. "
        "Не переводите деньги. Перезвоните по известному номеру.",
    ),
}
SPEED_WORDS_PER_MINUTE = 145
PEAK = 0.5


def read_wav(data: bytes) -> FloatArray:
    """Return mono 48 kHz samples of a 16-bit WAV file."""
    with wave.open(io.BytesIO(data)) as file:
        if file.getsampwidth() != 2:
            raise SystemExit("the WAV file must have 16 bits per sample")
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32)
        mono = samples.reshape(-1, file.getnchannels()).mean(axis=1) / 32768
        return np.asarray(soxr.resample(mono, file.getframerate(), OPUS_RATE_HZ), np.float32)


def speak(voice: str, words: str) -> FloatArray:
    """Return the words as espeak-ng speaks them."""
    command = ["espeak-ng", "-v", voice, "-s", str(SPEED_WORDS_PER_MINUTE), "--stdout", words]
    return read_wav(subprocess.run(command, check=True, capture_output=True).stdout)


def write(name: str, samples: FloatArray) -> None:
    """Encode and write one pack."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pack = write_pack(encode_opus(samples, bit_rate=20000))
    (FOLDER / f"{name}.opuspack").write_bytes(pack)
    sys.stdout.write(f"{name}: {len(samples) / OPUS_RATE_HZ:.1f} s, {len(pack)} bytes\n")


def with_tone(speech: FloatArray) -> FloatArray:
    """Return the tone and then the words at an even level."""
    level = speech * (PEAK / max(1e-6, float(np.abs(speech).max())))
    return np.concatenate([warning_tone(), level.astype(np.float32)])


def main() -> None:
    """Make all shipped packs, or one from a recording."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wav", nargs=2, metavar=("LANGUAGE", "FILE"))
    arguments = parser.parse_args()
    if arguments.wav:
        language, file = arguments.wav
        write(language, with_tone(read_wav(Path(file).read_bytes())))
        return
    write(TONE, np.concatenate([warning_tone()] * 2))
    for language, (voice, words) in WORDS.items():
        write(language, with_tone(speak(voice, words)))


if __name__ == "__main__":
    main()
