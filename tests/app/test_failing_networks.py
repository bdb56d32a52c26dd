"""One call's picture on which a network fails, in the real analysis process: the others are judged on."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from guard.app.analysis import AnalysisWorker
from guard.app.check_tools import check_tools
from guard.app.parts import Models, load_models, settings_config, thresholds_of
from guard.challenge.outputs import CheckConfig
from guard.clock import ManualClock
from guard.codec.encode import VideoEncoder
from guard.codec.packets import read_clip
from guard.codec.receive import ReceiveConfig
from guard.config import Settings
from guard.errors import ModelError
from guard.log import LogConfig, configure
from guard.media import vp8
from guard.resources import clips_dir, models_dir
from guard.types import Abstain, Finding, FloatArray, ImageArray, Kind, Signal, TapPacket, TrackKey, Window
from guard.windows.face_models import FaceModels, FoundFace
from guard.workers.wire import Decoder, encode_tap

ODD_WIDTH, SECONDS = 64, 3


class FailsOnSmall(FaceModels):
    """The real networks, but for pictures of one width."""

    def find(self, image: ImageArray) -> list[FoundFace]:
        if image.shape[1] == ODD_WIDTH:
            raise ModelError("model_not_finite", "blazeface returned a value that is not finite")
        return super().find(image)


class FailsAlways(FaceModels):
    """Networks that nobody's picture passes through any more."""

    def find(self, image: ImageArray) -> list[FoundFace]:
        raise ModelError("model_failed", "blazeface failed to run")


class Broken:
    """A voice detector whose model fails on every window."""

    signal = Signal.VOICE_SPOOF

    def prepare(self, window: Window) -> FloatArray | Abstain:
        return np.zeros(1, np.float32)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding]:
        raise ModelError("model_run", "voice_spoof failed: out of order")


def tapped(participant: str, pictures: list[tuple[float, bytes]]) -> Iterator[TapPacket]:
    key, sequence = TrackKey("s", participant, Kind.VIDEO), count()
    for n, (time_s, data) in enumerate(pictures):
        *parts, last = vp8.packetize(data, picture_id=n)
        stamp, arrival_s = round(time_s * 90_000), 100.0 + time_s
        for part in parts:
            yield TapPacket(key, "vp8", next(sequence), stamp, False, arrival_s, part)
        yield TapPacket(key, "vp8", next(sequence), stamp, True, arrival_s, last)


def customer() -> list[tuple[float, bytes]]:
    clip = read_clip(clips_dir() / "customer_genuine.webm")
    return [(picture.time_s, picture.data) for picture in clip.video if picture.time_s < SECONDS]


def small() -> list[tuple[float, bytes]]:
    encoder = VideoEncoder("vp8", ODD_WIDTH, 48)
    drawn = [np.full((72, ODD_WIDTH), 60 + n, np.uint8) for n in range(SECONDS * 10)]
    return [(n / 10, encoder.encode(d, keyframe=n % 10 == 0)[0]) for n, d in enumerate(drawn)]


def heard() -> Iterator[TapPacket]:
    clip = read_clip(clips_dir() / "customer_genuine.webm")
    key = TrackKey("s", "p", Kind.AUDIO)
    for n, packet in enumerate(p for p in clip.audio if p.time_s < 2 * SECONDS):
        yield TapPacket(key, "opus", n, n * 960, False, 100.0 + packet.time_s, packet.data)


def worker_of(models: Models) -> AnalysisWorker:
    return AnalysisWorker(
        ManualClock(110.0),
        models,
        config=settings_config(Settings()),
        receive=ReceiveConfig(),
        thresholds_of=thresholds_of,
        checks=check_tools(CheckConfig(), None),
    )


async def told(models: Models, packets: list[TapPacket], wanted: str) -> list[dict[str, Any]]:
    """Run a worker on packets until a verdict's signals or a heartbeat's lanes have ``wanted``."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    running = asyncio.create_task(worker_of(models).run(theirs))
    loop, decoder, out = asyncio.get_running_loop(), Decoder(), list[dict[str, Any]]()
    in_time = sorted(packets, key=lambda packet: packet.arrival_s)
    sending = asyncio.create_task(loop.sock_sendall(ours, b"".join(map(encode_tap, in_time))))
    async with asyncio.timeout(60):
        while not any(done(message, wanted) for message in out):
            read = decoder.feed(await loop.sock_recv(ours, 65536))
            out += [message for message in read if isinstance(message, dict)]
        await sending
    ours.close()
    await running
    return out


def done(message: dict[str, Any], wanted: str) -> bool:
    lanes = message.get("lanes", {})
    return bool(lanes.get("face_frame", {}).get("done", 0) and lanes.get(wanted, {}).get("failed", 0))


def log_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in read if line["event"] == "detector_failed"]


async def test_a_picture_on_which_a_face_network_fails_is_nobody_elses_matter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = load_models(models_dir())
    configure(LogConfig())
    packets = [*tapped("odd", small()), *tapped("p", customer())]
    found = await told(replace(models, faces=FailsOnSmall(*models.faces.cards)), packets, "faces")
    verdicts = [message for message in found if message["type"] == "verdict"]
    odd = [message for message in verdicts if message["participant"] == "odd"]
    assert {message["state"] for message in odd} == {"undecided"}
    assert odd[-1]["reasons"] == ["face_failed"]
    (line,) = log_lines(capsys)
    assert (line["failed"], line["code"]) == ("faces", "model_not_finite")


async def test_why_a_detector_fails_is_logged_and_counted_and_the_others_judge_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = load_models(models_dir())
    configure(LogConfig())
    others = tuple(d for d in models.detectors if d.signal is not Signal.VOICE_SPOOF)
    packets = [*heard(), *tapped("p", customer())]
    await told(replace(models, detectors=(Broken(), *others)), packets, "voice_spoof")
    (line,) = log_lines(capsys)
    assert (line["failed"], line["code"]) == ("voice_spoof", "model_run")
    assert line["why"] == "voice_spoof failed: out of order"


async def test_networks_that_fail_on_every_picture_end_the_analysis_process() -> None:
    models = load_models(models_dir())
    worker = worker_of(replace(models, faces=FailsAlways(*models.faces.cards)))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        running = asyncio.create_task(worker.run(theirs))
        records = b"".join(map(encode_tap, tapped("p", small())))
        await asyncio.get_running_loop().sock_sendall(ours, records)
        with pytest.raises(ModelError, match="blazeface failed to run"):
            async with asyncio.timeout(60):
                await running
