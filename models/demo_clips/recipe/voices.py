"""Makes the demo's three voices: recorded prompts of two people, and the synthetic customer.

    python voices.py --cache CACHE

Writes ``guard/demo/clips/voices/*.opus`` and its ``SOURCES.toml``. Needs requirements-voices.txt,
apt-get and pip. All three go through one chain: 16 kHz, G.722,
level, Opus; so neither bandwidth nor codec tells them apart. Nothing here may be trained on
(models/denylist.toml).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import soxr
from voices_sources import FRENCH, OPEN_JTALK, RUSSIAN, Package, fetch

VOICES = Path(__file__).resolve().parents[3] / "guard" / "demo" / "clips" / "voices"
RATE_HZ, BIT_RATE, SECONDS, PAUSE_S = 16_000, 48_000, 35.0, 0.35
LEVEL_RMS = 0.07
PROMPTS = ("demo-congrats", "demo-thanks", "vm-newuser")
SENTENCES = (
    "もしもし、いつもお世話になっております。口座の件でお電話いたしました。",
    "携帯電話をなくしてしまったので、登録の電話番号を変更したいのです。",
    "身分証明書は手元にありますので、今すぐお見せできます。",
    "そのあとで、新しい口座に二百万円を送金していただけますか。",
    "急いでいますので、今日中に手続きをお願いします。",
    "ほかに必要な情報があれば教えてください。",
    "確認の連絡は、新しい番号のほうに送ってください。古い番号はもう使えません。",
    "それでは、このままお待ちしています。どうぞよろしくお願いいたします。",
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
    fetch(OPEN_JTALK, cache)  # checks that the registry still serves the pinned file
    write(VOICES / "customer_synthetic.opus", _join(_synthetic()))
    made.append(
        ("customer_synthetic", (OPEN_JTALK,), "Open JTalk, HTS voice Mei, texts of our own in Japanese")
    )
    (VOICES / "SOURCES.toml").write_text(_sources(made), encoding="utf-8")


def _recorded(folder: Path) -> Iterable[np.ndarray]:
    for prompt in PROMPTS:
        (path,) = folder.glob(f"usr/share/asterisk/sounds/*/{prompt}.g722")
        with av.open(str(path), format="g722") as container:
            yield np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)]) / 32768.0


def _synthetic() -> Iterable[np.ndarray]:
    import pyopenjtalk

    for sentence in SENTENCES:
        samples, rate_hz = pyopenjtalk.tts(sentence)
        yield _g722(soxr.resample(np.asarray(samples, np.float64) / 32768.0 * 0.8, rate_hz, RATE_HZ))


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
