"""Makes the demo's three clips: faces from this folder, voices from ``guard/demo/clips/voices``.

    python make_clips.py --cache CACHE [--seconds 35]

Writes ``guard/demo/clips/*.webm`` and ``SOURCES.toml``. Needs the packages of
requirements-faces.txt; downloads the pinned wheels of faces_sources.py. Equal inputs give equal pictures;
libvpx of another version may give other bytes. Faces already encoded in the cache are taken from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from faces_frames import HEIGHT_PX, RATE_HZ, ROOT, WIDTH_PX, agent, customer
from faces_sources import AGENT, CUSTOMER, PUT_ON, Source, fetch
from faces_swap import swapped

CLIPS = ROOT / "guard" / "demo" / "clips"
VOICES = CLIPS / "voices"
ENGINE = "guard-demo mesh swap (piecewise affine, 112 px bottleneck, OpenCV seamlessClone)"
_VIDEO_BITRATE = 280_000


@dataclass(frozen=True)
class Clip:
    """One clip: its name, what is seen in it and how the face came to be."""

    name: str
    face_source: str
    sources: tuple[Source, ...]
    engine: str | None


CLIP_LIST = (
    Clip("customer_genuine", "moving_footage", (CUSTOMER,), None),
    Clip("customer_synthetic", "face_swap", (CUSTOMER, PUT_ON), ENGINE),
    Clip("agent_genuine", "animated_still", (AGENT,), None),
)


def main() -> None:
    """Make every clip and write down where it comes from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder for downloads, outside the repository"
    )
    parser.add_argument("--seconds", type=float, default=35.0)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    files = {source: fetch(source, args.cache) for source in (CUSTOMER, PUT_ON, AGENT)}
    count = round(args.seconds * RATE_HZ)
    for clip in CLIP_LIST:
        face = args.cache / f"{clip.name}_face.webm"
        if not face.is_file():
            encode(face, _frames(clip, files, count))
        sound = VOICES / f"{clip.name}.opus"
        if not sound.is_file():
            sys.exit(f"{sound.name} is missing: run voices.py first")
        join(CLIPS / f"{clip.name}.webm", face, sound, args.seconds)
        print(f"{clip.name}.webm: {(CLIPS / f'{clip.name}.webm').stat().st_size / 1e6:.2f} MB")
    (CLIPS / "SOURCES.toml").write_text(_sources(), encoding="utf-8")


def encode(path: Path, frames: Iterable[np.ndarray]) -> None:
    """Write the pictures as VP8 with a keyframe every 2 s."""
    with av.open(str(path), "w", format="webm") as out:
        video = out.add_stream("libvpx", rate=RATE_HZ)
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        video.bit_rate, video.gop_size, video.time_base = _VIDEO_BITRATE, 2 * RATE_HZ, Fraction(1, RATE_HZ)
        video.codec_context.thread_count = 1
        video.options = {
            "deadline": "good", "cpu-used": "1", "auto-alt-ref": "0", "lag-in-frames": "0",
            "keyint_min": str(2 * RATE_HZ), "qmin": "4", "qmax": "50",
        }  # fmt: skip
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, video.time_base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def join(path: Path, face: Path, sound: Path, seconds: float) -> None:
    """Write face and voice into one clip of at most ``seconds``; neither is coded a second time."""
    with av.open(str(path), "w", format="webm") as out:
        packets = []
        for source in (face, sound):
            with av.open(str(source)) as container:
                stream = out.add_stream_from_template(container.streams[0])
                for packet in container.demux(container.streams[0]):
                    if packet.dts is not None and packet.pts * packet.time_base < seconds:
                        packet.stream = stream
                        packets.append(packet)
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            out.mux(packet)


def _frames(clip: Clip, files: dict[Source, Path], count: int) -> Iterable[np.ndarray]:
    if clip.name == "agent_genuine":
        return agent(files[AGENT], count)
    frames = customer(files[CUSTOMER], count)
    return swapped(frames, files[PUT_ON]) if clip.engine else frames


def _sources() -> str:
    lines = [
        "# Where the demo's clips come from. Written by models/demo_clips/recipe/make_clips.py.",
        "# Voices: see guard/demo/clips/voices. Nothing here is in a training set (models/denylist.toml).",
        "",
    ]
    for clip in CLIP_LIST:
        path = CLIPS / f"{clip.name}.webm"
        sound = VOICES / f"{clip.name}.opus"
        lines += [
            "[[clip]]",
            f'file = "{path.name}"',
            f'sha256 = "{_sha256(path)}"',
            f'face_source = "{clip.face_source}"',
        ]
        if clip.engine:
            lines.append(f"engine = {json.dumps(clip.engine)}")
        lines += [f'voice = "voices/{sound.name}"', f'voice_sha256 = "{_sha256(sound)}"']
        for source in clip.sources:
            lines += ["", "[[clip.face]]", f'package = "{source.requirement}"', f'file = "{source.member}"']
            lines += [f'sha256 = "{source.sha256}"', f'licence = "{source.licence}"']
            lines.append(f"attribution = {json.dumps(source.attribution)}")
        lines.append("")
    return "\n".join(lines)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
