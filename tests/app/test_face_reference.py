"""A photo over the link into the analysis process, and the face it is compared with from then on."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from dataclasses import replace

import pytest
from PIL import Image

from guard.app.analysis import AnalysisWorker
from guard.app.check_tools import check_tools
from guard.app.parts import Models, load_models, settings_config, thresholds_of
from guard.challenge.outputs import CheckConfig
from guard.clock import SystemClock
from guard.codec.files import read_file
from guard.codec.receive import ReceiveConfig
from guard.config import Settings
from guard.detectors.face_identity import CALL, PHOTO, FaceIdentity
from guard.errors import ModelError
from guard.inference.lanes import run_detector
from guard.log import LogConfig, configure
from guard.resources import clips_dir, models_dir
from guard.types import FaceWindow, FloatArray, Kind, TrackKey, VideoFrame
from guard.windows.faces import FaceWindowConfig, FaceWindows
from guard.workers.wire import Decoder, FacePhoto, Message, encode_message, encode_photo

KEY = TrackKey("s", "p", Kind.VIDEO)


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models(models_dir())


def picture_of(clip: str) -> VideoFrame:
    frames = read_file(clips_dir() / f"{clip}.webm")
    return next(frame for frame in frames if isinstance(frame, VideoFrame))


def jpeg(clip: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture_of(clip).image).save(out, "JPEG")
    return out.getvalue()


async def told(models: Models, *records: bytes, answers: int = 0) -> list[Message]:
    """Run a worker on some records until it gave so many answers about faces, then close the link."""
    worker = AnalysisWorker(
        SystemClock(),
        models,
        config=settings_config(Settings()),
        receive=ReceiveConfig(),
        thresholds_of=thresholds_of,
        checks=check_tools(CheckConfig(), None),
    )
    ours, theirs = socket.socketpair()
    running = asyncio.create_task(worker.run(theirs))
    decoder = Decoder()
    found: list[Message] = []
    with ours:
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, b"".join(records))
        while len(found) < answers:
            read = decoder.feed(await loop.sock_recv(ours, 65536))
            found += [r for r in read if isinstance(r, dict) and r["type"] == "face"]
    await running
    return found


def seen(models: Models, clip: str) -> float | str | None:
    """Return what the first look at a clip's face says: an llr, or why there is none."""
    (window,) = FaceWindows(KEY, FaceWindowConfig(), models.faces).push(picture_of(clip))
    assert isinstance(window, FaceWindow)
    assert models.identity is not None
    (score,) = run_detector(models.identity.detector, [window])
    models.identity.detector.forget("s", "p")
    return score.reason if score.llr is None else score.llr


async def test_a_photo_is_answered_with_a_vector_or_with_why_not(models: Models) -> None:
    assert models.identity is not None
    good, bad = await told(
        models,
        encode_photo(FacePhoto(7, jpeg("customer_genuine"))),
        encode_photo(FacePhoto(8, b"no photo")),
        answers=2,
    )
    if good["number"] == 8:  # each is described in a thread of its own
        good, bad = bad, good
    assert (good["number"], good["error"], len(good["vector"])) == (7, None, 128)
    assert good["model"] == models.identity.card.sha256
    assert (bad["number"], bad["error"]) == (8, "photo_unreadable")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyError("scripted"), "KeyError in test_face_reference.py:"),
        (ModelError("model_run", "out of order"), "out of order"),
    ],
)
async def test_a_fault_of_guards_own_is_answered_and_its_place_logged(
    models: Models, capsys: pytest.CaptureFixture[str], error: Exception, why: str
) -> None:
    class Broken:
        def embed(self, batch: FloatArray) -> FloatArray:
            raise error

    assert models.identity is not None
    calibrations = models.identity.card.calibrations
    broken = FaceIdentity(Broken(), calibrations[CALL], calibrations[PHOTO])
    configure(LogConfig())
    (answer,) = await told(
        replace(models, identity=replace(models.identity, detector=broken)),
        encode_photo(FacePhoto(7, jpeg("customer_genuine"))),
        answers=1,
    )
    code = error.code if isinstance(error, ModelError) else "internal_error"
    assert (answer["number"], answer["error"]) == (7, code)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["kind"], line["code"]) == ("enrolment_failed", "face", code)
    assert line["why"].startswith(why)


async def test_the_face_told_is_compared_until_it_is_withdrawn(models: Models) -> None:
    assert models.identity is not None
    (answer,) = await told(models, encode_photo(FacePhoto(1, jpeg("customer_genuine"))), answers=1)
    who = {"session": "s", "participant": "p"}
    reference = {"type": "face_reference", **who, "vector": answer["vector"], "model": answer["model"]}
    await told(models, encode_message(reference))
    right, wrong = (seen(models, f"customer_{kind}") for kind in ("genuine", "synthetic"))
    assert isinstance(right, float)
    assert isinstance(wrong, float)
    assert right < 0 < wrong
    await told(models, encode_message({"type": "face_withdrawn", **who}))
    assert seen(models, "customer_genuine") == "no_reference_yet"
    await told(models, encode_message(reference | {"model": "another"}))
    assert seen(models, "customer_genuine") == "no_reference_yet"
    await told(models, encode_message(reference), encode_message({"type": "session_ended", "session": "s"}))
    assert seen(models, "customer_genuine") == "no_reference_yet"
