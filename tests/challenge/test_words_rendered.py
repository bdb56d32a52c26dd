"""Spoken words through pixels: a rendered person says shipped sounds, seen by guard's own networks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from guard.challenge.commands import Answer, Command, Gesture, Judgement, Observed, Sight
from guard.challenge.sight import SightMemory, make_sight
from guard.challenge.words import WordsJudge
from guard.challenge.words_lists import vocabulary
from guard.codec.encode import VideoEncoder, encode_opus
from guard.codec.files import read_file
from guard.codec.receive import TrackReceiver
from guard.codec.video import PictureDecoder, rgb
from guard.demo.puppet import Pose, Puppet
from guard.media.banner import rgb_to_yuv420
from guard.media.resample import Resampler
from guard.resources import models_dir, web_dir
from guard.types import AudioFrame, FloatArray, Kind, TapPacket, TrackKey
from guard.windows.face_models import FaceModels, load_face_models

RATE_HZ, SHOWN_S, LENGTH_S, PICTURES_PER_S = 48_000, 50.0, 5.0, 12
ASKED = ("seven", "window", "january")
COMMAND = Command(Gesture.SAY_WORDS, LENGTH_S, words=ASKED, language="en")
VOICE = TrackKey("s", "customer", Kind.AUDIO)


def word(text: str) -> FloatArray:
    path = web_dir() / "sounds" / "en" / f"word.{vocabulary('en').index(text)}.webm"
    return np.concatenate([frame.samples for frame in read_file(path) if isinstance(frame, AudioFrame)])


def sentence(words: tuple[str, ...]) -> FloatArray:
    """Return ``LENGTH_S`` at 48 kHz: the words from 1.2 s on, 0.3 s between them."""
    pause = np.zeros(round(0.3 * RATE_HZ), np.float32)
    parts = [np.zeros(round(1.2 * RATE_HZ), np.float32)]
    for text in words:
        parts += [word(text), pause]
    whole = np.concatenate(parts)
    count = round(LENGTH_S * RATE_HZ)
    return np.pad(whole, (0, max(0, count - len(whole))))[:count]


def through_opus(samples: FloatArray) -> FloatArray:
    """Return what guard hears of it, at 16 kHz."""
    receiver, resampler = TrackReceiver(VOICE, "opus"), Resampler(RATE_HZ)
    heard = []
    for number, payload in enumerate(encode_opus(samples)):
        packet = TapPacket(VOICE, "opus", number, number * 960, False, number * 0.02, payload)
        heard += receiver.push(packet)
    heard += receiver.flush()
    parts = [resampler.push(frame.samples) for frame in heard if isinstance(frame, AudioFrame)]
    return np.concatenate([*parts, resampler.flush()])


def opened(samples: FloatArray) -> FloatArray:
    """Return how far the mouth is open, 100 times a second, in [0, 1]: the loudness of the sound."""
    loud = np.sqrt(np.mean(samples.reshape(-1, RATE_HZ // 100) ** 2, axis=1))
    return np.asarray(np.convolve(loud / loud.max(), np.hanning(9) / 4, "same").clip(0, 1), np.float32)


def pictures(puppet: Puppet, mouth: FloatArray) -> Iterator[tuple[float, Pose]]:
    for number in range(-PICTURES_PER_S, round(LENGTH_S * PICTURES_PER_S)):
        at_s = number / PICTURES_PER_S
        hop = round((at_s + 0.05) * 100)
        yield at_s, Pose(mouth=float(mouth[hop]) if 0 <= hop < len(mouth) else 0.0)


def watched(models: FaceModels, puppet: Puppet, mouth: FloatArray) -> list[Sight]:
    """Return what is seen of a mouth that opens so, after VP8."""
    height, width = puppet.head.matte.shape
    encoder, decoder = VideoEncoder("vp8", width, height), PictureDecoder("vp8")
    memory, sights, region = SightMemory(), [], None
    for at_s, pose in pictures(puppet, mouth):
        encoded, _ = encoder.encode(rgb_to_yuv420(puppet.frame(pose)))
        picture = decoder.decode(encoded)
        assert picture is not None
        image = rgb(picture)
        mesh = models.mesh(image, region or models.find(image)[0].region())
        region = mesh.region()
        sights.append(make_sight(SHOWN_S + at_s, image, [mesh.points], memory))
    return sights


@pytest.fixture(scope="module")
def models() -> FaceModels:
    return load_face_models(models_dir())


@pytest.fixture(scope="module")
def puppet(models: FaceModels) -> Puppet:
    return Puppet.bundled(models)


def judged(sights: list[Sight], voice: FloatArray) -> Judgement:
    before = [sight for sight in sights if sight.time_s < SHOWN_S]
    after = [sight for sight in sights if sight.time_s >= SHOWN_S]
    seen = Observed((SHOWN_S,), before, after, voice, SHOWN_S, "7, window, January.")
    judgement = WordsJudge().judge(COMMAND, seen, over=True)
    assert judgement is not None
    return judgement


def test_a_rendered_person_who_says_the_words_matches(models: FaceModels, puppet: Puppet) -> None:
    said = sentence(ASKED)
    found = judged(watched(models, puppet, opened(said)), through_opus(said))
    assert (found.answer, found.reason) == (Answer.MATCHED, "words_right"), found
    assert found.onset_s == pytest.approx(1.28, abs=0.15)


def test_the_words_beside_a_rendered_face_that_rests_do_not(models: FaceModels, puppet: Puppet) -> None:
    resting = np.zeros(round(LENGTH_S * 100), np.float32)
    found = judged(watched(models, puppet, resting), through_opus(sentence(ASKED)))
    assert (found.answer, found.reason) == (Answer.MISMATCHED, "mouth_still"), found
