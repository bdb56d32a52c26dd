"""The parts of guard eval face: conditions, fusion of short clips, scenes, masked faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guard.codec.call_video import CallVideo, fit_in
from guard.errors import MediaError
from guard.evaluation import metrics
from guard.evaluation.face_bootstrap import bootstrap_figures, draw_weights, error_rates, mean_auc
from guard.evaluation.face_conditions import CONDITIONS, Condition, Sender
from guard.evaluation.face_data import KEY
from guard.evaluation.face_fusion import alone, fuse, without
from guard.evaluation.face_scene import features, judge
from guard.evaluation.face_watch import Masked, Watched, face_area, without_face
from guard.evaluation.figures import Scores
from guard.evaluation.metrics import BoolVector, FloatVector
from guard.fusion.config import FusionConfig
from guard.inference.lanes import Listening, Remembering
from guard.resources import models_dir
from guard.types import (
    Abstain,
    AudioQuality,
    AudioWindow,
    FaceWindow,
    Finding,
    FloatArray,
    ImageArray,
    Score,
    Signal,
    VideoFrame,
    Window,
)
from guard.windows.face_models import load_face_models
from guard.windows.faces import FaceWindowConfig, FaceWindows

ASTRONAUT = Path(__file__).parents[1] / "fixtures" / "astronaut.jpg"
NAMED = {condition.name: condition for condition in CONDITIONS}


@pytest.fixture(scope="module")
def portrait() -> ImageArray:
    with Image.open(ASTRONAUT) as picture:
        return np.asarray(picture.convert("RGB"), np.uint8)


@pytest.fixture(scope="module")
def window(portrait: ImageArray) -> FaceWindow:
    stage = FaceWindows(KEY, FaceWindowConfig(), load_face_models(models_dir()))
    (found,) = stage.push(VideoFrame(KEY, 0.0, portrait))
    assert isinstance(found, FaceWindow)
    return found


def scores(llr: FloatVector, is_spoof: BoolVector, unit: Sequence[str]) -> Scores:
    count = len(llr)
    return Scores(llr, np.ones(count, np.bool_), is_spoof, [None] * count, unit, np.zeros(count))


def test_figures_of_all_draws_at_once_are_those_of_single_draws() -> None:
    rng = np.random.default_rng(1)
    llr, is_spoof = np.round(rng.normal(size=60), 1), rng.random(60) < 0.4  # rounded: with ties
    llr[is_spoof] += 0.5
    unit = [f"v{n // 2}" for n in range(60)]
    (weights,) = draw_weights(unit, is_spoof, rounds=40)
    p_miss, p_fa = error_rates(llr, is_spoof, weights)
    for n, row in enumerate(weights.astype(int)):
        repeated = np.repeat(np.arange(60), row)
        assert len({row[0], row[1]}) == 1 or is_spoof[0] != is_spoof[1]  # both files of a video or none
        misses, alarms = metrics.error_rates(llr[repeated], is_spoof[repeated])
        assert set(np.round(misses, 9)) == set(np.round(p_miss[n], 9))
        assert set(np.round(alarms, 9)) == set(np.round(p_fa[n], 9))


def test_bootstrap_agrees_with_the_one_of_the_voice_report() -> None:
    rng = np.random.default_rng(2)
    is_spoof = np.arange(80) % 2 == 0
    llr = rng.normal(size=80) + is_spoof
    unit = [str(n) for n in range(80)]
    found = bootstrap_figures(scores(llr, is_spoof, unit), 2000)
    for name, metric in {"auc": metrics.auc, "eer": metrics.eer}.items():
        slow = metrics.bootstrap(metric, llr, is_spoof, unit, rounds=2000, seed=5)
        assert found[name].value == slow.value
        assert found[name].low == pytest.approx(slow.low, abs=0.03)
        assert found[name].high == pytest.approx(slow.high, abs=0.03)
    assert found["tpr_at_5fa"].value == metrics.tpr_at_fa(llr, is_spoof, 0.05)


def test_the_mean_auc_of_methods_is_the_plain_mean_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(4)
    bona = np.round(rng.normal(size=60), 1)  # rounded: with ties
    kinds = [np.round(rng.normal(size=size) + shift, 1) for size, shift in ((8, 1.0), (40, 0.0))]
    found = mean_auc(kinds, bona, 400)
    single = [metrics.auc(np.concatenate([own, bona]), np.arange(len(own) + 60) < len(own)) for own in kinds]
    assert found.value == pytest.approx(np.mean(single))
    assert found.low < found.value < found.high
    more = mean_auc([np.tile(own, 9) for own in kinds], np.tile(bona, 9), 400)
    assert more.high - more.low < 0.5 * (found.high - found.low)  # nine times the videos


def test_certain_detection_has_the_interval_of_as_many_trials_as_videos() -> None:
    is_spoof = np.arange(20) < 10
    found = bootstrap_figures(scores(is_spoof.astype(float), is_spoof, [str(n) for n in range(20)]), 200)
    assert found["auc"].value == 1
    assert (found["tpr_at_1fa"].value, found["tpr_at_1fa"].high) == (1, 1)
    assert found["tpr_at_1fa"].low == pytest.approx(0.72, abs=0.01)


def noisy_clip(count: int, fps: float) -> list[VideoFrame]:
    """A busy picture that moves: it costs more than any bit rate here allows."""
    rng = np.random.default_rng(0)
    board = rng.integers(0, 256, (45, 80, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    return [VideoFrame(KEY, n / fps, np.roll(board, 3 * n, axis=1)[:360, :640]) for n in range(count)]


def sent(condition: Condition, frames: Sequence[VideoFrame], fps: float) -> tuple[list[VideoFrame], Sender]:
    sender = Sender(condition, "clip", fps)
    return [a for f in frames if (a := sender.push(f)) is not None], sender


@pytest.mark.parametrize("name", [c.name for c in CONDITIONS if c.codec])
def test_a_condition_sends_every_picture_at_about_its_bit_rate(name: str) -> None:
    frames = noisy_clip(30, 25.0)
    arrived, sender = sent(NAMED[name], frames, 25.0)
    assert [frame.time_s for frame in arrived] == [frame.time_s for frame in frames]
    assert sender.kbit_s is not None
    assert sender.kbit_s < 1.5 * NAMED[name].bit_rate / 1000  # a first keyframe is allowed to cost more
    size = (180, 320) if name == "half_size" else (360, 640)
    assert arrived[-1].image.shape[:2] == size


def test_fewer_bits_leave_less_of_the_picture() -> None:
    frames = noisy_clip(30, 25.0)
    errors = {}
    for name in ("vp8_500k", "vp8_150k"):
        arrived, _ = sent(NAMED[name], frames, 25.0)
        last = arrived[-1].image.astype(float) - frames[-1].image
        errors[name] = float(np.abs(last).mean())
    assert 1 < errors["vp8_500k"] < errors["vp8_150k"]


def test_clean_changes_nothing(portrait: ImageArray) -> None:
    frame = VideoFrame(KEY, 0.0, portrait)
    sender = Sender(NAMED["clean"], "clip", 25.0)
    assert sender.push(frame) is frame
    assert sender.still(frame) is frame
    assert sender.kbit_s is None


def test_low_light_is_dark_noisy_and_the_same_each_time() -> None:
    frame = VideoFrame(KEY, 0.0, np.full((360, 640, 3), 160, np.uint8))
    (first,), _ = sent(NAMED["low_light"], [frame], 25.0)
    (again,), _ = sent(NAMED["low_light"], [frame], 25.0)
    (lit,), _ = sent(NAMED["vp8_500k"], [frame], 25.0)
    assert np.array_equal(first.image, again.image)
    assert first.image.mean() < 0.75 * lit.image.mean()
    assert first.image.std() > 2 * lit.image.std()


def test_pictures_over_30_a_second_are_thinned_before_they_are_sent() -> None:
    arrived, _ = sent(NAMED["vp8_500k"], noisy_clip(60, 60.0), 60.0)
    assert len(arrived) == 30


def test_a_still_is_scaled_to_the_call_and_loses_detail(portrait: ImageArray) -> None:
    arrived = Sender(NAMED["vp8_150k"], "still", 25.0).still(VideoFrame(KEY, 0.0, portrait))
    assert arrived is not None
    assert arrived.image.shape[:2] == (360, 360)
    before = fit_in(portrait, 640, 360).astype(float)
    assert 1 < np.abs(arrived.image - before).mean() < 20  # the same picture, in the same place, coded


def test_the_size_may_change_within_a_stream() -> None:
    video = CallVideo("vp8", bit_rate=500_000, fps=25.0)
    for height, width in ((360, 640), (181, 321), (360, 640)):
        arrived = video.push(np.full((height, width, 3), 90, np.uint8))
        assert arrived is not None
        assert arrived.shape == (height // 2 * 2, width // 2 * 2, 3)


def test_a_picture_too_small_to_be_coded_is_refused() -> None:
    with pytest.raises(MediaError, match="14x360 is too small"):
        CallVideo("vp8", bit_rate=500_000, fps=25.0).push(np.zeros((360, 15, 3), np.uint8))


def looks(llr: float, count: int, signal: Signal = Signal.FACE_FRAME) -> list[Score]:
    return [Score(KEY, signal, 0.2 * n, 0.2 * n + 0.2, llr, None, 0) for n in range(count)]


def test_a_short_clip_has_the_best_llr_there_is_and_says_that_it_is_early() -> None:
    config = FusionConfig()
    enough = config.face.min_windows
    long, short = fuse(looks(1.0, enough), config), fuse(looks(1.0, enough - 1), config)
    assert long.llr is not None
    assert not long.is_early
    assert short.llr == pytest.approx(1.0, abs=0.2)
    assert short.is_early
    assert fuse([], config).llr is None


def test_alone_ignores_the_weight_and_without_leaves_one_out() -> None:
    config = FusionConfig(weights={Signal.FACE_FRAME: 1.0, Signal.TEMPORAL: 0.0})
    scores = [*looks(1.0, 15), *looks(3.0, 15, Signal.TEMPORAL)]
    frame = fuse(looks(1.0, 15), config).llr
    assert fuse(scores, config).llr == pytest.approx(frame)
    assert without(scores, Signal.FACE_FRAME, config).llr is None
    assert without(scores, Signal.TEMPORAL, config).llr == pytest.approx(frame)
    temporal = alone(scores, Signal.TEMPORAL, config).llr
    assert temporal is not None
    assert temporal > 2.5


def test_a_mask_hides_the_face_and_leaves_the_corners(window: FaceWindow) -> None:
    area = face_area(window)
    inside = np.round(window.landmarks).astype(int).clip(0, 223)
    assert area[inside[:, 1], inside[:, 0]].all()
    assert not area[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    hidden = without_face(window)
    assert np.ptp(hidden[area], axis=0).max() == 0
    assert np.array_equal(hidden[~area], window.crop[~area])


def test_scene_features_do_not_depend_on_the_face(window: FaceWindow) -> None:
    own = features(window)
    crop = window.crop.copy()
    crop[face_area(window)] = 255 - crop[face_area(window)]
    assert np.allclose(own, features(replace(window, crop=crop)))
    brighter = np.clip(window.crop.astype(int) + 40, 0, 255).astype(np.uint8)
    assert not np.allclose(own, features(replace(window, crop=brighter)))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_scene_features_of_a_flat_crop_are_finite(window: FaceWindow, level: int) -> None:
    assert np.isfinite(features(replace(window, crop=np.full_like(window.crop, level)))).all()


def test_scenes_that_differ_by_class_are_found_out_and_equal_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    is_spoof = np.arange(80) % 2 == 1
    groups = [f"pair{n // 2}" for n in range(80)]
    scene = rng.normal(size=(40, 26)).repeat(2, axis=0)  # both clips of a pair show the same
    same = judge(scene, is_spoof, groups)
    assert np.array_equal(same[0::2], same[1::2])
    scene[is_spoof, 3] += 4.0
    told = judge(scene, is_spoof, groups)
    assert ((told > 0) == is_spoof).mean() > 0.95


class Ghost:
    """Scores the redness of the crop; remembers nothing but what it was told to forget."""

    signal = Signal.FACE_FRAME

    def __init__(self) -> None:
        self.forgot: list[str] = []
        self.heard: list[AudioWindow] = []
        self.enrolled = "somebody"

    def prepare(self, window: Window) -> FloatArray | Abstain:
        assert isinstance(window, FaceWindow)
        return np.asarray(window.crop[100:120, 100:120].mean(axis=(0, 1)), np.float32)

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> Sequence[Finding | Abstain]:
        return [Finding(float(row[0])) for row in batch]

    def hear(self, window: AudioWindow) -> None:
        self.heard.append(window)

    def forget(self, session: str, participant: str) -> None:
        self.forgot.append(session)


def test_a_watched_detector_says_what_it_would_say_and_its_cost_is_counted(window: FaceWindow) -> None:
    ghost, shown = Ghost(), list[Window]()
    watched = Watched(ghost, shown.append)
    row = watched.prepare(window)
    assert isinstance(row, np.ndarray)
    assert watched.score(row[None], [window]) == ghost.score(row[None], [window])
    assert shown == [window]
    assert watched.cpu_s > 0
    voice = AudioWindow(KEY, 0.0, 4.0, np.zeros(4, np.float32), AudioQuality(1.0, 4.0, None, 0.0, 0.0))
    assert isinstance(watched, Listening)
    watched.hear(voice)
    assert ghost.heard == [voice]
    assert isinstance(watched, Remembering)
    watched.forget("s", "p")
    assert ghost.forgot == ["s"]
    assert watched.enrolled == "somebody"


def test_a_masked_detector_is_not_shown_the_face(window: FaceWindow) -> None:
    marked = window.crop.copy()
    marked[100:120, 100:120] = (255, 0, 0)
    red = replace(window, crop=marked)
    seen, hidden = Ghost().prepare(red), Masked(Ghost()).prepare(red)
    assert isinstance(seen, np.ndarray)
    assert isinstance(hidden, np.ndarray)
    assert seen[0] == 255
    assert hidden[0] < 250
