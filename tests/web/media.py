"""Fake camera and microphone files for Chromium, made from the demo's clips."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

RATE_HZ = 48_000


@dataclass(frozen=True)
class FakeDevices:
    """What ``--use-file-for-fake-video-capture`` and ``-audio-capture`` take."""

    camera: Path
    microphone: Path


def fake_devices(clip: Path, folder: Path, *, seconds: float) -> FakeDevices:
    """Write the first ``seconds`` of a clip as .y4m and .wav; Chromium repeats them."""
    camera, microphone = folder / f"{clip.stem}.y4m", folder / f"{clip.stem}.wav"
    _write_camera(clip, camera, seconds)
    _write_microphone(clip, microphone, seconds)
    return FakeDevices(camera, microphone)


def _write_camera(clip: Path, target: Path, seconds: float) -> None:
    with av.open(str(clip)) as container, target.open("wb") as file:
        stream = container.streams.video[0]
        rate = stream.average_rate
        assert rate is not None
        size = f"W{stream.width} H{stream.height} F{rate.numerator}:{rate.denominator}"
        file.write(f"YUV4MPEG2 {size} Ip A1:1 C420\n".encode())
        for frame in container.decode(stream):
            if frame.time is not None and frame.time >= seconds:
                break
            file.write(b"FRAME\n")
            file.write(np.ascontiguousarray(frame.reformat(format="yuv420p").to_ndarray()).tobytes())


def _write_microphone(clip: Path, target: Path, seconds: float) -> None:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    voice = clip.parent / "voices" / f"{clip.stem}.opus"
    source = voice if voice.exists() else clip
    with av.open(str(source)) as container, wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        for frame in container.decode(audio=0):
            if frame.time is not None and frame.time >= seconds:
                break
            for part in resampler.resample(frame):
                file.writeframes(part.to_ndarray().tobytes())
