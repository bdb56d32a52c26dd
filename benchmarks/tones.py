"""How many windows of speech, and of sounds that are no voice, pass the limits of ``guard.windows.unvoiced``.

    python -m benchmarks.tones FOLDER [--every N] [--out FILE]

FOLDER is a data folder with a manifest, as ``guard eval voice`` reads them: the limits were chosen on
``voice/train``. Every clip and every sound of ``tone_sounds`` goes through each condition and is cut twice,
with the limits and without. Of speech the share of windows is printed that are lost with them, of sounds the
share that are left; exact 95 % intervals over windows, which hang together within a clip.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.tone_sounds import RATE_HZ, SOUNDS, answers, shouted, sound, whispered
from guard.evaluation import augment
from guard.evaluation.channels import KEY, Channel, clean, g711, opus
from guard.evaluation.clips import Clip, read_clips, read_manifest
from guard.evaluation.conditions import augmented
from guard.evaluation.exact import share
from guard.types import AudioFrame, AudioWindow, FloatArray
from guard.windows.audio import AudioWindowConfig, AudioWindows
from guard.windows.unvoiced import line_db

WITHOUT = AudioWindowConfig(min_spread_db=0.0, min_near_spread_db=0.0, max_tone_db=1e3)
_NOISE_10_DB = partial(augment.add_noise, noise=augment.pink, snr_db=10.0)
CONDITIONS: dict[str, Channel] = {
    "clean": clean,
    "Opus 24 kbit/s": opus,
    "G.711": g711,
    "pink noise, SNR 10 dB": augmented("noise_10db", _NOISE_10_DB),
    "Opus, 10 % loss": partial(opus, loss_ratio=0.1),
}
MANNERS: dict[str, Channel] = {
    "shouted (simulated)": augmented("shouted", shouted),
    "whispered (simulated)": augmented("whispered", whispered),
    "one syllable a time": augmented("answers", answers),
}


def windows(frames: Sequence[AudioFrame], config: AudioWindowConfig | None) -> int:
    """Return how many windows the frames of one recording give."""
    stage = AudioWindows(KEY, config)
    items = [item for frame in frames for item in stage.push(frame)] + stage.flush()
    return sum(isinstance(item, AudioWindow) for item in items)


def counted(samples: FloatArray, rate_hz: int, name: str, channel: Channel) -> tuple[int, int]:
    """Return the windows of a recording without the limits, and how many of them are left with them."""
    frames = channel(samples, rate_hz, name)
    without = windows(frames, WITHOUT)
    return without, min(without, windows(frames, None))


def of_speech(clips: Sequence[Clip]) -> dict[str, Any]:
    """Return the windows lost, per condition or manner and class."""
    found: dict[str, Any] = {}
    for condition, channel in {**CONDITIONS, **MANNERS}.items():
        for name, is_spoof in (("genuine", False), ("synthetic", True)):
            pairs = [
                counted(clip.samples, clip.rate_hz, clip.item.path.name, channel)
                for clip in clips
                if clip.item.is_spoof == is_spoof
            ]
            total, kept = sum(without for without, _ in pairs), sum(left for _, left in pairs)
            found[f"{condition}, {name}"] = _row(total - kept, total)
            print(f"{condition}, {name}: lost {found[f'{condition}, {name}']}", flush=True)
    return found


def of_sounds() -> dict[str, Any]:
    """Return the windows that still leave, per sound and condition."""
    found: dict[str, Any] = {}
    for kind in SOUNDS:
        pairs = {c: counted(sound(kind), RATE_HZ, kind, channel) for c, channel in CONDITIONS.items()}
        found[kind] = {condition: _row(kept, total) for condition, (total, kept) in pairs.items()}
        print(kind, {c: f"{kept}/{total}" for c, (total, kept) in pairs.items()}, flush=True)
    return found


def _row(hits: int, total: int) -> dict[str, Any]:
    if not total:
        return {"windows": 0, "hits": 0, "share": None, "interval": None}
    interval = share(hits, total)
    return {
        "windows": total,
        "hits": hits,
        "share": round(interval.value, 4),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
    }


def cost_us(count: int = 5_000) -> float:
    """Return the CPU-microseconds that ``line_db`` takes for one tick of 20 ms."""
    tick = sound("dial US")[:320]
    began = time.thread_time()
    for _ in range(count):
        line_db(tick)
    return (time.thread_time() - began) / count * 1e6


def main() -> None:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every Nth clip")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    clips, _ = read_clips(read_manifest(given.folder)[:: given.every])
    report = {"cost_us": round(cost_us(), 1), "sounds": of_sounds(), "speech": of_speech(clips)}
    if given.out is not None:
        given.out.write_text(json.dumps({"clips": len(clips), **report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
