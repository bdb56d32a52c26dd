"""Real media through ``guard analyze``: one picture, one under grain, a loop, a cut are never bona fide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from guard import reasons
from guard.app.analyze import analyze_file
from guard.app.parts import Models, load_models, settings_config
from guard.codec.files import read_file
from guard.config import Settings
from guard.resources import clips_dir, models_dir
from guard.types import AudioFrame, ImageArray, Signal, VideoFrame

RATE = 12
Pictures = list[ImageArray]


@pytest.fixture(scope="module")
def models() -> Models:
    every = load_models(models_dir())
    wanted = (Signal.FACE_FRAME, Signal.TEMPORAL, Signal.VOICE_SPOOF)
    return replace(every, detectors=tuple(d for d in every.detectors if d.signal in wanted))


def shown(name: str, seconds: float) -> Pictures:
    """Return the first pictures of one of the demo's clips, every second of them: RATE a second."""
    frames = (f for f in read_file(clips_dir() / f"{name}.webm") if isinstance(f, VideoFrame))
    return [frame.image for frame in islice(frames, 0, round(2 * seconds * RATE), 2)]


CUSTOMER, AGENT = shown("customer_genuine", 9.0), shown("agent_genuine", 4.5)


def grain(spread: float) -> Iterator[ImageArray]:
    rng = np.random.default_rng(7)
    while True:
        noise = rng.normal(0, spread, (*CUSTOMER[0].shape[:2], 1))
        yield np.clip(CUSTOMER[0] + noise, 0, 255).astype(np.uint8)


def frozen() -> Pictures:
    return [CUSTOMER[0]] * (9 * RATE)


def grainy() -> Pictures:
    return list(islice(grain(6.0), 9 * RATE))


def loop() -> Pictures:
    return [CUSTOMER[at % (2 * RATE)] for at in range(10 * RATE)]


def cut() -> Pictures:
    return CUSTOMER[: len(CUSTOMER) // 2] + AGENT


def late_freeze() -> Pictures:
    """A picture that is genuine for so long that it is green already."""
    return CUSTOMER + [CUSTOMER[-1]] * (7 * RATE)


def write(path: Path, pictures: Pictures, *, sound: bool = False) -> str:
    """Write the pictures as a call's camera would send them, with a genuine voice where there is sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx", rate=RATE)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt, video.bit_rate, video.thread_count = "yuv420p", 500_000, 1
        video.options = {"deadline": "realtime", "cpu-used": "8"}
        voice = container.add_stream("libopus", rate=48_000, layout="mono") if sound else None
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if voice is not None:
            for frame in read_file(clips_dir() / "voices" / "agent_genuine.opus"):
                if isinstance(frame, AudioFrame) and frame.time_s < len(pictures) / RATE:
                    heard = av.AudioFrame.from_ndarray(frame.samples[None], format="flt", layout="mono")
                    heard.sample_rate = frame.rate_hz
                    container.mux(voice.encode(heard))
            container.mux(voice.encode(None))
    return str(path)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (grainy, reasons.VIDEO_FROZEN),
        (loop, reasons.VIDEO_REPEATS),
        (cut, reasons.VIDEO_CUT),
        (late_freeze, reasons.VIDEO_FROZEN),
    ],
)
def test_a_picture_that_is_not_live_is_undecided_and_says_why(
    make: Callable[[], Pictures], why: str, models: Models, tmp_path: Path
) -> None:
    found = analyze_file(
        write(tmp_path / "clip.webm", make()), models, settings_config(Settings(), "kz-ardfm")
    )
    assert found["llr"] < -1.0, "the detectors of faces take it for genuine, each picture by itself"
    assert found["verdict"] == found["face"]["verdict"] == "undecided"
    assert found["signals"]["temporal"]["reason"] == why
    assert {state["reason"] for state in found["signals"].values()} & set(reasons.WITHHOLDING) == {why}


def test_a_genuine_voice_does_not_make_up_for_a_picture_that_stands_still(
    models: Models, tmp_path: Path
) -> None:
    path = write(tmp_path / "clip.webm", frozen(), sound=True)
    found = analyze_file(path, models, settings_config(Settings(), "meeting"))
    assert found["voice"]["windows"] > 0
    assert (found["verdict"], found["face"]["verdict"]) == ("undecided", "undecided")
    assert found["signals"]["temporal"]["reason"] == reasons.VIDEO_FROZEN


def test_the_same_footage_as_it_is_is_bona_fide(models: Models, tmp_path: Path) -> None:
    found = analyze_file(
        write(tmp_path / "clip.webm", CUSTOMER), models, settings_config(Settings(), "kz-ardfm")
    )
    assert found["verdict"] == found["face"]["verdict"] == "bona_fide"
    assert found["signals"]["temporal"]["reason"] is None
