"""Enrolled voices and faces: files to vectors, hostile bytes, what the relay process keeps and repeats."""

from __future__ import annotations

import asyncio
import io
import struct
import wave
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guard.app.describe import describe_photo, describe_voice, parted
from guard.app.enrolment import (
    FACE,
    VOICE,
    Enrolments,
    answer_message,
    read_vector,
    refusal_message,
)
from guard.codec.files import read_file
from guard.codec.voice import read_voice
from guard.detectors.face_identity import Identity, load_face_identity
from guard.detectors.speaker import Speaker, Voices, load_speaker
from guard.errors import MediaError, ModelError, Overload
from guard.resources import clips_dir, models_dir
from guard.types import Abstain, AudioFrame, AudioWindow, Finding, FloatArray, Signal, VideoFrame, Window
from guard.windows.face_models import FaceModels, load_face_models
from guard.workers.wire import Decoder, FacePhoto, Message, VoiceRecording

VECTOR = np.eye(4, dtype=np.float32)[0]
CUSTOMER = (clips_dir() / "voices" / "customer_genuine.opus").read_bytes()
AGENT = (clips_dir() / "voices" / "agent_genuine.opus").read_bytes()


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return load_speaker(models_dir() / "speaker")


def wav(seconds: float, rate_hz: int = 16_000) -> bytes:
    """The beginning of the bundled voice as a wav file."""
    frames = read_file(clips_dir() / "voices" / "customer_genuine.opus")
    samples = np.concatenate([frame.samples for frame in frames if isinstance(frame, AudioFrame)])
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((samples[: int(seconds * 48_000)] * 32767).astype("<i2").tobytes())
    return out.getvalue()


def test_a_recording_becomes_a_vector_of_its_voice(speaker: Speaker) -> None:
    mine, again, hers = (describe_voice(x, speaker, None) for x in (CUSTOMER, wav(12.0), AGENT))
    assert mine.shape == (256,)
    assert np.linalg.norm(mine) == pytest.approx(1.0, abs=1e-4)
    assert mine @ again > mine @ hers + 0.1
    assert np.array_equal(mine, describe_voice(CUSTOMER, speaker, None))


def test_under_five_seconds_of_speech_is_refused(speaker: Speaker) -> None:
    with pytest.raises(MediaError) as refused:
        describe_voice(wav(3.0), speaker, None)
    assert refused.value.code == "voice_too_short"


class HearsMusic:
    """Hears music in every window that begins before a time."""

    signal = Signal.VOICE_SPOOF
    content_reasons = frozenset({"music"})

    def __init__(self, until_s: float) -> None:
        self._until_s = until_s

    def prepare(self, window: Window) -> FloatArray | Abstain:
        assert isinstance(window, AudioWindow)
        return window.samples

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        if self._until_s == float("inf"):
            raise ModelError("model_run", "out of order")
        return [Abstain("music") if window.start_s < self._until_s else Finding(0.0) for window in windows]


def test_only_what_is_one_voice_is_described(speaker: Speaker) -> None:
    with pytest.raises(MediaError, match=r"0\.0 s .* beside music") as refused:
        describe_voice(CUSTOMER, speaker, HearsMusic(1e6))
    assert refused.value.code == "voice_too_short"
    whole, later = (describe_voice(CUSTOMER, speaker, HearsMusic(until_s)) for until_s in (0.0, 10.0))
    assert np.array_equal(whole, describe_voice(CUSTOMER, speaker, None))
    assert not np.array_equal(whole, later)


class ByLevel:
    """Describes loud windows as one voice and quiet ones as another."""

    def embed(self, batch: FloatArray) -> FloatArray:
        loud = np.sqrt(np.mean(batch**2, axis=1)) > 0.02
        return np.asarray(np.where(loud[:, None], np.eye(4)[0], np.eye(4)[1]), np.float32)


def wav_of(samples: FloatArray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return out.getvalue()


def test_two_people_one_after_the_other_are_nobodys_reference(speaker: Speaker) -> None:
    frames = read_voice(CUSTOMER, max_s=12.0)
    spoken = np.concatenate([frame.samples for frame in frames])[: 12 * 48_000]
    by_level = replace(speaker, voices=Voices(ByLevel()))
    gain = np.where(np.arange(len(spoken)) < 6 * 48_000, 1.0, 0.05)
    assert describe_voice(wav_of(spoken), by_level, None).shape == (4,)
    with pytest.raises(MediaError) as refused:
        describe_voice(wav_of(spoken * gain), by_level, None)
    assert refused.value.code == "voice_several"
    assert refused.value.code in VOICE.refusals


def test_how_far_the_voices_of_a_recording_lie_apart() -> None:
    rng = np.random.default_rng(0)

    def said(who: int, count: int) -> list[FloatArray]:
        near = np.eye(32)[who] + rng.normal(0, 0.05, (count, 32))
        return list((near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32))

    assert parted(said(0, 12)) < 0.2
    assert parted([*said(0, 6), *said(1, 6)]) > 0.9
    assert parted([*said(0, 2), *said(1, 3), *said(0, 4)]) > 0.9  # whoever speaks when
    assert parted([*said(0, 9), *said(1, 1)]) == 0.0  # one window is no second person
    assert parted(said(0, 1)) == 0.0


def test_a_voice_is_described_though_what_hears_music_failed(speaker: Speaker) -> None:
    failed = HearsMusic(float("inf"))
    assert np.array_equal(describe_voice(CUSTOMER, speaker, failed), describe_voice(CUSTOMER, speaker, None))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 4096,
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVEfmt " + struct.pack("<I", 0x7FFFFFFF),
        b"OggS" + b"\xff" * 2000,
        bytes(np.random.default_rng(1).integers(0, 256, 20_000, dtype=np.uint8)),
    ],
)
def test_bytes_that_are_no_recording_are_refused(content: bytes) -> None:
    with pytest.raises(MediaError) as refused:
        list(read_voice(content, max_s=60.0))
    assert refused.value.code == "voice_unreadable"


@pytest.mark.parametrize("rate_hz", [0, 1, 768_000, 4_000_000_000])
def test_a_rate_that_no_recording_has_is_refused(rate_hz: int) -> None:
    content = bytearray(wav(1.0))
    content[24:28] = struct.pack("<I", rate_hz)
    with pytest.raises(MediaError) as refused:
        list(read_voice(bytes(content), max_s=60.0))
    assert refused.value.code == "voice_unreadable"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, len(CUSTOMER)), st.binary(min_size=1, max_size=40))
def test_a_damaged_recording_gives_frames_or_is_refused(at: int, rubbish: bytes) -> None:
    try:
        frames = list(read_voice(CUSTOMER[:at] + rubbish + CUSTOMER[at + len(rubbish) :], max_s=60.0))
    except MediaError as error:
        assert error.code == "voice_unreadable"
    else:
        assert all(np.isfinite(frame.samples).all() for frame in frames)


def test_no_more_of_a_recording_is_read_than_is_used() -> None:
    frames = list(read_voice(CUSTOMER, max_s=2.0))
    assert 2.0 <= sum(len(f.samples) / f.rate_hz for f in frames) < 2.2


class Analysis:
    """The other end of the link: takes records and answers by hand."""

    def __init__(self) -> None:
        self.up = True
        self.records: list[Any] = []
        self._decoder = Decoder()

    def write(self, data: bytes) -> bool:
        if self.up:
            self.records += self._decoder.feed(data)
        return self.up

    def messages(self) -> list[Message]:
        """Return and drop the messages that came."""
        found = [r for r in self.records if isinstance(r, dict)]
        self.records.clear()
        return found


async def enrolled(analysis: Analysis, voices: Enrolments, participant: str = "customer") -> None:
    task = asyncio.ensure_future(voices.enrol("s", participant, b"bytes"))
    await asyncio.sleep(0)
    recording = analysis.records.pop()
    assert recording == VoiceRecording(recording.number, b"bytes")
    voices.answered(answer_message(VOICE, recording.number, VECTOR, "model-1"))
    await task


async def test_the_vector_comes_back_and_is_sent_as_the_reference() -> None:
    analysis = Analysis()
    voices = Enrolments(analysis.write, VOICE)
    await enrolled(analysis, voices)
    (message,) = analysis.messages()
    assert (message["type"], message["session"], message["participant"]) == (
        "voice_reference",
        "s",
        "customer",
    )
    assert message["model"] == "model-1"
    assert np.array_equal(read_vector(message), VECTOR)


async def test_a_restarted_analysis_process_is_told_every_voice_again() -> None:
    analysis = Analysis()
    voices = Enrolments(analysis.write, VOICE)
    await enrolled(analysis, voices)
    await enrolled(analysis, voices, "guest")
    analysis.messages()
    voices.analysis_down()
    voices.analysis_up()
    assert [m["participant"] for m in analysis.messages()] == ["customer", "guest"]
    voices.withdraw("s")
    assert [m["type"] for m in analysis.messages()] == ["voice_withdrawn"] * 2
    voices.analysis_up()
    assert analysis.messages() == []


async def test_what_could_not_be_sent_is_sent_later_and_only_the_newest_word() -> None:
    analysis = Analysis()
    voices = Enrolments(analysis.write, VOICE)
    await enrolled(analysis, voices)
    analysis.messages()
    analysis.up = False
    voices.withdraw("s", "customer")
    voices.flush()
    analysis.up = True
    voices.flush()
    voices.flush()
    assert [m["type"] for m in analysis.messages()] == ["voice_withdrawn"]


@pytest.mark.parametrize(
    ("code", "kind", "shown"),
    [
        ("voice_too_short", MediaError, "voice_too_short"),
        ("voice_unreadable", MediaError, "voice_unreadable"),
        ("model_run", Overload, "analysis_unavailable"),
    ],
)
async def test_a_refusal_reaches_the_caller_and_nothing_is_kept(
    code: str, kind: type[Exception], shown: str
) -> None:
    analysis = Analysis()
    voices = Enrolments(analysis.write, VOICE)
    task = asyncio.ensure_future(voices.enrol("s", "customer", b"bytes"))
    await asyncio.sleep(0)
    voices.answered(refusal_message(VOICE, analysis.records.pop().number, code, "why"))
    with pytest.raises(kind) as refused:
        await task
    assert getattr(refused.value, "code", None) == shown
    voices.analysis_up()
    assert analysis.messages() == []


async def test_analysis_that_is_down_dies_or_is_silent_is_an_overload() -> None:
    analysis = Analysis()
    analysis.up = False
    with pytest.raises(Overload, match="cannot take a voice now"):
        await Enrolments(analysis.write, VOICE).enrol("s", "customer", b"bytes")
    analysis.up = True
    with pytest.raises(Overload):
        await Enrolments(analysis.write, VOICE, timeout_s=0.01).enrol("s", "customer", b"bytes")
    voices = Enrolments(analysis.write, VOICE)
    task = asyncio.ensure_future(voices.enrol("s", "customer", b"bytes"))
    await asyncio.sleep(0)
    voices.analysis_down()
    with pytest.raises(Overload):
        await task


@pytest.mark.parametrize("participant", ["customer", None])
async def test_a_voice_withdrawn_while_it_is_described_is_not_kept(participant: str | None) -> None:
    analysis = Analysis()
    voices = Enrolments(analysis.write, VOICE)
    task = asyncio.ensure_future(voices.enrol("s", "customer", b"bytes"))
    await asyncio.sleep(0)
    number = analysis.records.pop().number
    voices.withdraw("s", participant)  # None: the session ends
    voices.answered(answer_message(VOICE, number, VECTOR, "model-1"))
    await task
    voices.analysis_up()
    assert analysis.messages() == []
    await enrolled(analysis, voices)
    assert [m["type"] for m in analysis.messages()] == ["voice_reference"]


async def test_an_answer_nobody_waits_for_is_dropped() -> None:
    analysis = Analysis()
    voices = Enrolments(analysis.write, VOICE)
    voices.answered(answer_message(VOICE, 77, VECTOR, "m"))
    voices.analysis_up()
    assert analysis.messages() == []


@pytest.mark.parametrize("vector", [[[0.1]], [float("nan")], ["x"]])
def test_a_vector_that_is_none_is_refused(vector: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"vector|convert"):
        read_vector({"vector": vector})


@pytest.fixture(scope="module")
def identity() -> Identity:
    return load_face_identity(models_dir() / "face_identity")


@pytest.fixture(scope="module")
def faces() -> FaceModels:
    return load_face_models(models_dir())


def picture_of(clip: str) -> Image.Image:
    """The first picture of a bundled clip."""
    frames = (frame for frame in read_file(clips_dir() / f"{clip}.webm") if isinstance(frame, VideoFrame))
    return Image.fromarray(next(frames).image)


def saved(picture: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def test_a_photo_becomes_a_vector_of_its_face(identity: Identity, faces: FaceModels) -> None:
    customer = picture_of("customer_genuine")
    wide = Image.new("RGB", (1000, 800), "grey")
    wide.paste(customer.rotate(5, Image.Resampling.BILINEAR), (200, 300))
    pictures = (customer, wide, picture_of("customer_synthetic"))
    mine, again, swapped = (describe_photo(saved(p), identity.detector, faces) for p in pictures)
    assert mine.shape == (128,)
    assert np.linalg.norm(mine) == pytest.approx(1.0, abs=1e-4)
    assert mine @ again > mine @ swapped + 0.05
    assert np.array_equal(mine, describe_photo(saved(customer), identity.detector, faces))
    assert identity.detector.remembered == (0, 0)


def test_a_photo_without_one_good_face_is_refused_and_says_why(identity: Identity, faces: FaceModels) -> None:
    face = picture_of("customer_genuine")
    double = Image.new("RGB", (2 * face.width, face.height))
    for place in (0, face.width):
        double.paste(face, (place, 0))
    dark = face.point(lambda value: value * 0.15)
    small = Image.new("RGB", (640, 480), "grey")
    small.paste(face.resize((face.width // 4, face.height // 4)), (200, 150))
    wanted = [
        (Image.new("RGB", (640, 480), "grey"), "photo_no_face", "no face"),
        (double, "photo_several_faces", "2 faces"),
        (dark, "photo_poor", "too dark"),
        (small, "photo_poor", "too small"),
    ]
    for picture, code, why in wanted:
        with pytest.raises(MediaError, match=why) as refused:
            describe_photo(saved(picture), identity.detector, faces)
        assert refused.value.code == code
    with pytest.raises(MediaError) as refused:
        describe_photo(b"no picture", identity.detector, faces)
    assert refused.value.code == "photo_unreadable"


async def test_a_face_travels_as_a_photo_and_is_kept_apart_from_the_voice() -> None:
    analysis = Analysis()
    people = Enrolments(analysis.write, FACE)
    task = asyncio.ensure_future(people.enrol("s", "customer", b"bytes"))
    await asyncio.sleep(0)
    photo = analysis.records.pop()
    assert photo == FacePhoto(photo.number, b"bytes")
    people.answered(answer_message(FACE, photo.number, VECTOR, "model-2"))
    await task
    people.withdraw("s")
    told = [(m["type"], m.get("model")) for m in analysis.messages()]
    assert told == [("face_reference", "model-2"), ("face_withdrawn", None)]


@pytest.mark.parametrize("code", sorted(FACE.refusals))
async def test_why_a_photo_was_refused_reaches_the_caller(code: str) -> None:
    analysis = Analysis()
    people = Enrolments(analysis.write, FACE)
    task = asyncio.ensure_future(people.enrol("s", "customer", b"bytes"))
    await asyncio.sleep(0)
    people.answered(refusal_message(FACE, analysis.records.pop().number, code, "why"))
    with pytest.raises(MediaError, match="why") as refused:
        await task
    assert refused.value.code == code
