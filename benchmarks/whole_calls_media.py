"""What the calls of ``benchmarks.whole_calls`` are made of, and the packets they send.

Faces: a clip of a few seconds has to fill minutes, and hardly two clips show the same person, so it runs
forth and back between drawn turning points (``course``) under a window that drifts by whole pixels
(``drift``): nothing in the picture is scaled, blended or held still, but it *does* come again. So the two
signals that look for repetition and for lips that go with the sound say nothing of such calls (``APART``).
Where the clip has a swapped twin, the call turns to the twin at the same place of the same course, as
somebody does who turns the swap on.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guard.codec.call_video import CallVideo
from guard.codec.files import VIDEO_EXTENSIONS, read_file
from guard.codec.receive import VIDEO_RATE_HZ, ReceiveConfig, TrackReceiver
from guard.errors import ConfigError
from guard.evaluation import clips as voice_data
from guard.evaluation import face_data
from guard.evaluation.clips import Clip, joined
from guard.media import vp8
from guard.media.resample import ANALYSIS_RATE_HZ, Resampler
from guard.resources import clips_dir
from guard.types import FloatArray, ImageArray, Kind, Signal, TapPacket, TrackKey, VideoFrame

CAMERA = TrackKey("benchmark", "caller", Kind.VIDEO)
# a voice or engine of which less is there would be heard over and over
LEAST_S = 15.0
VIDEO_BIT_RATE = 500_000
# signals that the making of these calls itself disturbs; docs/decisions.md says how
APART = (Signal.TEMPORAL, Signal.LIP_SYNC)
_MARGIN_PX = 8
_DRIFT_PERIODS_S = (7.0, 21.0)
# of a long clip; a picture of 640x360 takes 0.7 MB
_MOST_PICTURES = 125


@dataclass(frozen=True, slots=True)
class Face:
    """One face: a genuine clip, and the same clip with the face swapped where there is one."""

    name: str
    genuine: Path
    swapped: Path | None


@dataclass(frozen=True, slots=True)
class Material:
    """What calls can be drawn from: clips by genuine voice and by engine, and faces."""

    voices: Mapping[str, Sequence[Clip]]
    engines: Mapping[str, Sequence[Clip]]
    faces: Sequence[Face] = ()
    unreadable: int = 0

    @property
    def swaps(self) -> list[Face]:
        """The faces that can be attacked."""
        return [face for face in self.faces if face.swapped is not None]


def read_material(folders: Sequence[Path]) -> Material:
    """Return what is in folders of clips of sound and of clips of video, each with a ``manifest.csv``.

    Raises:
        ConfigError: a manifest is wrong; ``eval_classes``, genuine voices or engines are missing.
    """
    seen = [folder for folder in folders if _is_video(folder)]
    clips, errors = voice_data.read_clips(
        voice_data.read_manifests([folder for folder in folders if folder not in seen])
    )
    voices, engines = groups(clips)
    return Material(voices, engines, [face for folder in seen for face in pairs(folder)], len(errors))


def demo_material() -> Material:
    """Return the demo's clips: two genuine voices and faces, one synthetic voice, one swapped face."""
    folder = clips_dir()

    def voice(name: str, *, is_spoof: bool) -> list[Clip]:
        path = folder / "voices" / f"{name}.opus"
        return [voice_data.read_clip(voice_data.Item(path, is_spoof, name, name))]

    customer = Face("customer_genuine", folder / "customer_genuine.webm", folder / "customer_synthetic.webm")
    agent = Face("agent_genuine (animated still)", folder / "agent_genuine.webm", None)
    voices = {name: voice(name, is_spoof=False) for name in ("customer_genuine", "agent_genuine")}
    return Material(voices, {"Open JTalk": voice("customer_synthetic", is_spoof=True)}, (customer, agent))


def groups(clips: Sequence[Clip]) -> tuple[dict[str, list[Clip]], dict[str, list[Clip]]]:
    """Return the clips of every genuine voice, and those of every engine, that last LEAST_S and more."""
    voices: dict[str, list[Clip]] = {}
    engines: dict[str, list[Clip]] = {}
    for clip in clips:
        found, name = (engines, clip.item.system) if clip.item.is_spoof else (voices, clip.item.unit)
        found.setdefault(name, []).append(clip)
    both = ({name: own for name, own in one.items() if _lasts(own)} for one in (voices, engines))
    return next(both), next(both)


def pairs(folder: Path) -> list[Face]:
    """Return the faces of a folder of clips, swapped twins found by the manifest's column ``pair``.

    Raises:
        ConfigError: the manifest is wrong; ``manifest_invalid``, a pair has no genuine clip.
    """
    items = face_data.read_manifest(folder)
    twins = {item.pair: item.path for item in items if item.is_spoof and item.pair}
    genuine = [item for item in items if not item.is_spoof]
    alone = set(twins) - {item.pair for item in genuine}
    if alone:
        raise ConfigError("manifest_invalid", f"{folder}: no genuine clip of the pairs {sorted(alone)}")
    return [Face(item.pair or item.path.stem, item.path, twins.get(item.pair)) for item in genuine]


def at_16k(clip: Clip) -> FloatArray:
    """Return the clip's samples, float32 (N,), at the rate of the analysis."""
    resampler = Resampler(clip.rate_hz)
    return np.concatenate([resampler.push(clip.samples), resampler.flush()])


def fill(clips: Sequence[Clip], seconds: float, dice: random.Random) -> FloatArray:
    """Return ``seconds`` of clips in a drawn order, all of them before any comes again."""
    parts: list[FloatArray] = []
    have, wanted = 0, int(seconds * ANALYSIS_RATE_HZ)
    while have < wanted:
        for clip in dice.sample(list(clips), len(clips)):
            parts.append(at_16k(clip))
            have += len(parts[-1])
            if have >= wanted:
                break
    return joined(parts, ANALYSIS_RATE_HZ)[:wanted]


def course(pictures: int, of: int, dice: random.Random) -> Iterator[int]:
    """Yield ``pictures`` places in a clip of ``of``: one step at a time, forth and back, none twice in a row.

    It turns in the first and in the last third of the clip, at drawn places.
    """
    place, step, turn = 0, 1, of - 1
    for _ in range(pictures):
        yield place
        if of > 1:
            if place == turn:
                step = -step
                third = of // 3
                turn = dice.randint(0, third) if step < 0 else dice.randint(of - 1 - third, of - 1)
                turn = min(place - 1, turn) if step < 0 else max(place + 1, turn)
            place += step


def drift(pictures: int, rate_hz: float, dice: random.Random) -> Iterator[tuple[int, int]]:
    """Yield where the window over each picture begins, (left, top) in whole pixels, slowly swaying."""
    ways = [(dice.uniform(*_DRIFT_PERIODS_S), dice.uniform(0, 2 * math.pi)) for _ in range(2)]
    for n in range(pictures):
        left, top = (
            round(_MARGIN_PX * (1 + math.sin(2 * math.pi * n / rate_hz / period_s + phase)))
            for period_s, phase in ways
        )
        yield left, top


def read_pictures(path: Path) -> tuple[list[ImageArray], float]:
    """Return a clip's pictures, uint8 (H, W, 3), from its start, and how many it has a second.

    Raises:
        MediaError: the file cannot be read.
        ValueError: it has under two pictures.
    """
    frames: list[VideoFrame] = []
    for frame in read_file(path, max_fps=None):
        if isinstance(frame, VideoFrame):
            frames.append(frame)
            if len(frames) == _MOST_PICTURES:
                break
    if len(frames) < 2:
        raise ValueError(f"{path} has under two pictures; take it out of the manifest")
    rate_hz = (len(frames) - 1) / (frames[-1].time_s - frames[0].time_s)
    return [frame.image for frame in frames], rate_hz


def shown(
    face: Face, seconds: float, swapped_from_s: float | None, dice: random.Random
) -> tuple[float, Iterator[ImageArray]]:
    """Return pictures a second, and every picture, uint8 (H, W, 3), that the camera gives in a call.

    Args:
        swapped_from_s: when the swapped twin takes over; None: never.

    Raises:
        MediaError: a clip cannot be read.
        ValueError: a clip has under two pictures, or the twins differ in length by over a fifth.
    """
    genuine, rate_hz = read_pictures(face.genuine)
    twin = genuine
    if swapped_from_s is not None and face.swapped is not None:
        twin, _ = read_pictures(face.swapped)
    shorter, longer = sorted((len(genuine), len(twin)))
    if shorter < 0.8 * longer:
        raise ValueError(f"{face.name}: {longer} and {shorter} pictures are no pair of twins")
    first = int(seconds * rate_hz) if swapped_from_s is None else math.ceil(swapped_from_s * rate_hz - 1e-9)
    return rate_hz, _played(genuine, twin, (int(seconds * rate_hz), first, rate_hz), dice)


def _played(
    genuine: Sequence[ImageArray],
    twin: Sequence[ImageArray],
    timing: tuple[int, int, float],
    dice: random.Random,
) -> Iterator[ImageArray]:
    pictures, first_swapped, rate_hz = timing
    height, width = (side - 2 * _MARGIN_PX for side in genuine[0].shape[:2])
    places = course(pictures, min(len(genuine), len(twin)), dice)
    sways = drift(pictures, rate_hz, random.Random(dice.random()))
    for n, (place, (left, top)) in enumerate(zip(places, sways, strict=True)):
        picture = (genuine if n < first_swapped else twin)[place]
        yield picture[top : top + height, left : left + width]


def received(rate_hz: float, pictures: Iterator[ImageArray]) -> Iterator[VideoFrame]:
    """Yield what the analysis of a call decodes of the pictures: VP8 at VIDEO_BIT_RATE, in RTP payloads.

    Raises:
        MediaError: the coder failed.
    """
    coder = CallVideo("vp8", bit_rate=VIDEO_BIT_RATE, fps=rate_hz)
    receiver, sequence = TrackReceiver(CAMERA, "vp8", ReceiveConfig()), 0
    for number, image in enumerate(pictures):
        coded, time_s = coder.send(image), number / rate_hz
        payloads = vp8.packetize(coded, picture_id=number & 0x7FFF) if coded else []
        for position, payload in enumerate(payloads):
            marker, timestamp = position == len(payloads) - 1, round(time_s * VIDEO_RATE_HZ)
            packet = TapPacket(CAMERA, "vp8", sequence & 0xFFFF, timestamp, marker, time_s, payload)
            sequence += 1
            yield from (frame for frame in receiver.push(packet) if isinstance(frame, VideoFrame))


def _is_video(folder: Path) -> bool:
    """Tell whether the first clip of the manifest is a video."""
    items = face_data.read_manifest(folder)
    return bool(items) and items[0].path.suffix.lower() in VIDEO_EXTENSIONS


def _lasts(clips: Sequence[Clip]) -> bool:
    return sum(len(clip.samples) / clip.rate_hz for clip in clips) >= LEAST_S
