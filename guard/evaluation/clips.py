"""Reads labelled clips for ``guard eval voice`` and makes others of a wanted length from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guard.codec.files import read_file
from guard.errors import ConfigError, MediaError
from guard.evaluation.manifest import LABELS, check_once, inside, read_lines
from guard.types import AudioFrame, FloatArray
from guard.windows.audio import AudioWindowConfig
from guard.windows.ticks import TICKS_PER_S, TickCutter

# of one clip: ten minutes at 48 kHz, 115 MB
MAX_SAMPLES = 10 * 60 * 48_000
# a tick of the voice detector, and a frame of every codec measured under
MIN_CLIP_S = 1 / TICKS_PER_S
_JOIN_FADE_S = 0.01
# so that the last tick of speech is complete behind the resampler's rounding
_CUT_REST_S = 0.04


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a manifest.

    Args:
        path: the file.
        is_spoof: its class.
        system: engine of a spoof, or what the manifest calls genuine speech.
        unit: what the bootstrap draws: engine of a spoof, speaker or else source of a genuine clip.
        language: ``unknown`` where the manifest has none.
        voice: names speaker and source, so that clips of one voice can be joined.
    """

    path: Path
    is_spoof: bool
    system: str
    unit: str
    language: str = "unknown"
    voice: str = ""


@dataclass(frozen=True, slots=True)
class Clip:
    """Samples float32 (N,), mono, and how many seconds of speech the VAD finds in them, no pause counted."""

    item: Item
    samples: FloatArray
    rate_hz: int
    speech_s: float


def read_manifest(folder: Path) -> list[Item]:
    """Return the clips of ``folder/manifest.csv``, in its order.

    Raises:
        ConfigError: ``manifest_missing``, ``manifest_invalid``, or ``clip_outside``: a path is
            absolute, empty or leaves the folder.
    """
    return read_lines(folder, _item, "path, label (bonafide or spoof), source")


def read_manifests(folders: Sequence[Path]) -> list[Item]:
    """Return the clips of all folders.

    Raises:
        ConfigError: as ``read_manifest``; ``clip_repeated``, one file is listed twice;
            ``eval_classes``, a class is missing.
    """
    items = [item for folder in folders for item in read_manifest(folder)]
    check_once([item.path for item in items])
    check_classes(items)
    return items


def check_classes(items: Sequence[Item]) -> None:
    """Refuse clips of one class alone.

    Raises:
        ConfigError: ``eval_classes``.
    """
    for is_spoof, name in ((False, "bona fide"), (True, "spoof")):
        if not any(item.is_spoof == is_spoof for item in items):
            raise ConfigError(
                "eval_classes",
                f"no readable {name} clip; the folders must hold both bona fide and spoof clips",
            )


def read_clips(items: Sequence[Item]) -> tuple[list[Clip], list[dict[str, str]]]:
    """Return the clips that can be read, and why the others cannot."""
    clips: list[Clip] = []
    errors: list[dict[str, str]] = []
    for item in items:
        try:
            clips.append(read_clip(item))
        except MediaError as error:
            errors.append({"path": str(item.path), "code": error.code, "message": error.message})
    return clips, errors


def read_clip(item: Item) -> Clip:
    """Return one clip.

    Raises:
        MediaError: the file cannot be read, ``media_no_audio``, ``clip_damaged``, ``clip_rates``,
            ``clip_too_long``, ``clip_too_short``, ``samples_not_finite``.
    """
    reader = read_file(item.path, max_fps=None)
    frames: list[AudioFrame] = []
    count = 0
    for frame in reader:
        if isinstance(frame, AudioFrame):
            frames.append(frame)
            count += len(frame.samples)
            _check_rate(item.path, frames)
            if count > MAX_SAMPLES:  # seen while reading: an hour of silence is a file of half a megabyte
                raise MediaError(
                    "clip_too_long", f"{item.path} has more than {MAX_SAMPLES} samples; cut it into clips"
                )
    if not frames:
        raise MediaError("media_no_audio", f"{item.path} has no audio; take it out of the manifest")
    if reader.damaged:
        raise MediaError("clip_damaged", f"{item.path} breaks off or holds broken frames; replace it")
    if reader.mended:
        raise MediaError("samples_not_finite", f"{item.path} has samples that are no numbers; make it again")
    samples = np.concatenate([frame.samples for frame in frames])
    rate_hz = frames[0].rate_hz
    if len(samples) < MIN_CLIP_S * rate_hz:
        raise MediaError(
            "clip_too_short",
            f"{item.path} has {len(samples)} samples, under {MIN_CLIP_S:g} s; take it out of the manifest",
        )
    return Clip(item, samples, rate_hz, float(speech_ends_s(samples, rate_hz).size / TICKS_PER_S))


def _check_rate(path: Path, frames: Sequence[AudioFrame]) -> None:
    """Refuse a file whose rate changes: one of its parts would be measured too fast or too slow."""
    first_hz, rate_hz = frames[0].rate_hz, frames[-1].rate_hz
    if rate_hz != first_hz:
        raise MediaError(
            "clip_rates",
            f"{path} goes from {first_hz} to {rate_hz} samples a second; make one clip of each part",
        )


def speech_ends_s(samples: FloatArray, rate_hz: int) -> FloatArray:
    """Return where each 20 ms of speech ends, float32 (S,) seconds, as the windows' own VAD hears it."""
    cutter = TickCutter(rate_hz, vad_mode=AudioWindowConfig().vad_mode)
    ticks = [*cutter.push(samples, concealed=False), *cutter.flush()]
    ends = np.flatnonzero([tick.speech for tick in ticks]) + 1
    return np.asarray(ends / TICKS_PER_S, np.float32)


def with_speech(clips: Sequence[Clip], seconds: float) -> list[Clip]:
    """Return clips cut where they have held ``seconds`` of speech.

    A clip that holds less is joined to the next ones of the same class, engine, voice and rate, in
    the manifest's order, until there is enough; what is left over at the end is not used. A clip
    serves once.
    """
    groups: dict[tuple[bool, str, str, int], list[Clip]] = {}
    for clip in clips:
        item = clip.item
        groups.setdefault((item.is_spoof, item.system, item.voice, clip.rate_hz), []).append(clip)
    made: list[Clip] = []
    for group in groups.values():
        pool: list[Clip] = []
        for clip in group:
            pool.append(clip)
            if sum(part.speech_s for part in pool) < seconds:
                continue
            long = _cut(pool, seconds)
            if long is not None:
                made.append(long)
                pool = []
    return made


def joined(parts: Sequence[FloatArray], rate_hz: int) -> FloatArray:
    """Return the parts one behind the other, each at the RMS of the first, faded over 10 ms at the joints."""
    fade = np.linspace(0.0, 1.0, max(1, int(_JOIN_FADE_S * rate_hz)), dtype=np.float32)
    rms = [float(np.sqrt(np.mean(part**2))) + 1e-9 for part in parts]
    out: list[FloatArray] = []
    for n, part in enumerate(parts):
        piece = (part * (rms[0] / rms[n])).astype(np.float32)
        size = min(len(fade), len(piece))
        if n > 0:
            piece[:size] *= fade[:size]
        if n < len(parts) - 1:
            piece[len(piece) - size :] *= fade[:size][::-1]
        out.append(piece)
    return np.clip(np.concatenate(out), -1.0, 1.0)


def _cut(pool: Sequence[Clip], seconds: float) -> Clip | None:
    """Return the pool's clips joined and cut, or None where joined they hold too little speech."""
    rate_hz = pool[0].rate_hz
    samples = joined([clip.samples for clip in pool], rate_hz)
    ends_s = speech_ends_s(samples, rate_hz)
    needed = round(seconds * TICKS_PER_S)
    if len(ends_s) < needed:
        return None
    end = int((float(ends_s[needed - 1]) + _CUT_REST_S) * rate_hz)
    return Clip(pool[0].item, samples[:end], rate_hz, seconds)


def _item(folder: Path, row: Mapping[str, str]) -> Item:
    for column in ("path", "label", "source"):
        if not row[column]:
            raise KeyError(column)
    is_spoof = LABELS[row["label"]]
    source, speaker = row["source"], row.get("speaker") or ""
    system = row.get("system") or row.get("method") or ""
    return Item(
        path=folder / inside(folder, row["path"]),
        is_spoof=is_spoof,
        system=system or source,
        unit=system if is_spoof and system else speaker or source,
        language=row.get("language") or row.get("lang") or "unknown",
        voice=f"{source}/{speaker}",
    )
