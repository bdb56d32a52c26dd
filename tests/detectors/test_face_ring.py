"""The face ring detector: gates, memory of looks, batches, and the shipped model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from guard.detectors import face_ring
from guard.detectors.card import load_card
from guard.detectors.face_ring import FaceRing, FaceRingConfig
from guard.detectors.onnx import OnnxModel
from guard.detectors.table import DETECTORS
from guard.errors import ModelError
from guard.fusion.calibration import Logistic
from guard.inference.lanes import Remembering
from guard.media.contrasts import COUNT, NAMES
from guard.media.ring import BROWS, MOUTH, OVAL
from guard.resources import models_dir
from guard.types import (
    Abstain,
    AudioQuality,
    AudioWindow,
    FaceQuality,
    FaceWindow,
    Finding,
    FloatArray,
    Kind,
    Signal,
    TrackKey,
)

KEY = TrackKey("s", "p", Kind.VIDEO)
GOOD = FaceQuality(eye_distance_px=70.0, sharpness=60.0, yaw_deg=2.0, luma=120.0, confidence=1.0)


class FirstFeature:
    """Gives the first feature as the raw score."""

    def raw(self, batch: object) -> FloatArray:
        first: FloatArray = np.asarray(batch, np.float32)[:, 0].copy()
        return first


def landmarks() -> FloatArray:
    points = np.zeros((468, 2), np.float32)
    turn = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False) - np.pi / 2
    points[list(OVAL)] = 112 + np.stack([np.cos(turn) * 59, np.sin(turn) * 67], axis=1)
    points[list(BROWS)] = np.stack([np.linspace(75, 149, len(BROWS)), np.full(len(BROWS), 76)], axis=1)
    points[list(MOUTH)] = [[89, 141], [112, 134], [135, 141], [112, 150]]
    return points


def grain(strength: float = 12.0, seed: int = 3) -> np.ndarray:
    values = np.random.default_rng(seed).normal(128, strength, (224, 224, 1))
    return np.clip(np.repeat(values, 3, axis=2), 0, 255).astype(np.uint8)


def window(
    crop: np.ndarray | None = None,
    *,
    at_s: float = 0.2,
    face: int = 0,
    key: TrackKey = KEY,
    quality: FaceQuality = GOOD,
) -> FaceWindow:
    return FaceWindow(
        key=key,
        face=face,
        start_s=at_s - 0.2,
        end_s=at_s,
        crop=grain() if crop is None else crop,
        landmarks=landmarks(),
        quality=quality,
    )


def row(detector: FaceRing, item: FaceWindow) -> FloatArray:
    prepared = detector.prepare(item)
    assert not isinstance(prepared, Abstain)
    return prepared


def given(value: float) -> FloatArray:
    """Features whose first is ``value``."""
    features = np.zeros(COUNT, np.float32)
    features[0] = value
    return features


def llrs(found: object) -> list[float]:
    assert isinstance(found, list)
    return [finding.llr for finding in found if isinstance(finding, Finding)]


@pytest.fixture
def scripted() -> FaceRing:
    return FaceRing(FirstFeature(), Logistic(1.0, 0.0, 100.0))


@pytest.fixture(scope="module")
def shipped() -> FaceRing:
    return FaceRing.from_card(load_card(models_dir() / "face_ring"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eye_distance_px": 39.9}, "face_too_small"),
        ({"sharpness": 4.9}, "face_blurred"),
        ({"yaw_deg": 35.1}, "face_turned"),
        ({"yaw_deg": -35.1}, "face_turned"),
        ({"luma": 29.9}, "face_dark"),
    ],
)
def test_abstains_on_a_face_it_cannot_judge(
    scripted: FaceRing, change: dict[str, float], reason: str
) -> None:
    assert scripted.prepare(window(quality=replace(GOOD, **change))) == Abstain(reason)


def test_abstains_where_the_surroundings_are_not_in_the_picture(scripted: FaceRing) -> None:
    crop = grain()
    crop[:78] = crop[150:] = 0
    crop[:, :70] = crop[:, 154:] = 0
    assert scripted.prepare(window(crop)) == Abstain("ring_not_seen")


def test_abstains_where_the_face_is_burnt_out(scripted: FaceRing) -> None:
    crop = grain()
    crop[70:165, 62:162] = 255
    assert scripted.prepare(window(crop)) == Abstain("face_flat")


def test_abstains_where_the_face_has_no_texture(scripted: FaceRing) -> None:
    crop = grain()
    crop[50:180, 52:172] = 128
    assert scripted.prepare(window(crop)) == Abstain("face_flat")


@pytest.mark.parametrize("level", [0, 128, 255])
def test_abstains_on_a_picture_of_one_colour(scripted: FaceRing, level: int) -> None:
    found = scripted.prepare(window(np.full((224, 224, 3), level, np.uint8)))
    assert isinstance(found, Abstain)


def test_abstains_on_a_window_of_another_kind(scripted: FaceRing) -> None:
    quality = AudioQuality(speech_ratio=1, speech_s=4, snr_db=20, clipping_ratio=0, concealed_ratio=0)
    voice = AudioWindow(KEY, 0.0, 4.0, np.zeros(64_000, np.float32), quality)
    assert scripted.prepare(voice) == Abstain("wrong_window")
    lost = replace(window(), landmarks=np.full((468, 2), np.nan, np.float32))
    assert scripted.prepare(lost) == Abstain("wrong_window")


def test_the_median_of_the_last_looks_counts(scripted: FaceRing) -> None:
    values = [1.0, 9.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 8.0]
    looks = [window(at_s=0.2 * number) for number in range(1, 11)]
    found = [llrs(scripted.score(given(v)[None], [w]))[0] for v, w in zip(values, looks, strict=True)]
    assert found[:4] == [1.0, 5.0, 2.0, 2.5]
    assert found[7] == np.median(values[:8])
    assert found[9] == np.median(values[2:])


def test_looks_of_long_ago_and_of_another_beginning_do_not_count(scripted: FaceRing) -> None:
    scripted.score(given(100.0)[None], [window(at_s=1.0)])
    assert llrs(scripted.score(given(2.0)[None], [window(at_s=5.1)])) == [2.0]
    assert llrs(scripted.score(given(3.0)[None], [window(at_s=0.2)])) == [3.0]


def test_faces_and_tracks_do_not_mix(scripted: FaceRing) -> None:
    other = TrackKey("s", "q", Kind.VIDEO)
    scripted.score(given(10.0)[None], [window()])
    found = scripted.score(np.stack([given(1.0), given(2.0)]), [window(face=1), window(key=other)])
    assert llrs(found) == [1.0, 2.0]


def test_batch_of_n_equals_n_singles_in_the_same_order(shipped: FaceRing) -> None:
    items = [window(grain(8 + i, seed=i), at_s=0.2 * i, face=i % 2) for i in range(6)]
    rows = np.stack([row(shipped, item) for item in items])
    shipped.forget("s", "p")
    together = llrs(shipped.score(rows, items))
    shipped.forget("s", "p")
    alone = [llrs(shipped.score(rows[i : i + 1], [items[i]]))[0] for i in range(6)]
    assert together == pytest.approx(alone, abs=1e-5)


def test_memory_is_bounded_and_forgotten(scripted: FaceRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_ring, "MAX_FACES", 5)
    for number in range(20):
        scripted.score(given(float(number))[None], [window(face=number)])
    assert scripted.faces == 5
    other = TrackKey("s", "q", Kind.VIDEO)
    scripted.score(given(1.0)[None], [window(key=other)])
    assert isinstance(scripted, Remembering)
    scripted.forget("s", "p")
    assert scripted.faces == 1
    assert llrs(scripted.score(given(3.0)[None], [window(face=19)])) == [3.0]


def test_features_do_not_depend_on_other_looks(scripted: FaceRing) -> None:
    first = row(scripted, window())
    scripted.score(first[None], [window()])
    np.testing.assert_array_equal(row(scripted, window()), first)


def test_shipped_card_fits_the_detector() -> None:
    card = load_card(models_dir() / "face_ring")
    detector = FaceRing.from_card(card)
    assert card.input.shape == (COUNT,)
    assert card.signal is Signal.FACE_RING
    assert "make -C models/face ring" in card.licence
    assert card.calibration.limit_llr <= 1.0
    with pytest.raises(ModelError, match="face_ring wants"):
        detector.score(np.zeros((1, 3), np.float32), [window()])


def test_shipped_graph_standardises_cuts_and_weighs() -> None:
    card = load_card(models_dir() / "face_ring")
    graph = onnx.load(str(card.folder / card.file)).graph
    value = {item.name: numpy_helper.to_array(item).astype(np.float64) for item in graph.initializer}
    given = np.random.default_rng(4).normal(value["mean"], 3 * value["spread"], (5, COUNT))
    x = np.clip((given - value["mean"]) / value["spread"], value["low"], value["high"])
    x = np.maximum(x @ value["w0"] + value["b0"], 0)
    wanted = (x @ value["w1"] + value["b1"])[:, 0]
    np.testing.assert_allclose(OnnxModel(card).raw(given.astype(np.float32)), wanted, atol=1e-3)


def test_shipped_model_finds_a_soft_inner_face_more_suspect(shipped: FaceRing) -> None:
    y, x = np.mgrid[0:224, 0:224] + 0.5
    inner = (((x - 112) / 52) ** 2 + ((y - 112) / 60) ** 2 < 1)[..., None]
    soft = grain(20).astype(np.float64)
    for axis in (0, 1):
        soft = (np.roll(soft, 1, axis) + 2 * soft + np.roll(soft, -1, axis)) / 4
    plain = grain(20)
    swapped = np.where(inner, soft, plain).astype(np.uint8)
    found = [
        llrs(shipped.score(row(shipped, w)[None], [w]))[0] for w in (window(plain), window(swapped, face=1))
    ]
    assert found[1] > found[0]


def test_the_table_builds_it_for_its_signal() -> None:
    (entry,) = [entry for entry in DETECTORS if entry.signal is Signal.FACE_RING]
    assert entry.model == "face_ring"
    assert entry.load(load_card(models_dir() / entry.model)).signal is Signal.FACE_RING


def test_features_are_named() -> None:
    assert len(NAMES) == COUNT


@pytest.mark.parametrize(
    "wrong", [{"max_yaw_deg": 0.0}, {"min_luma": -1.0}, {"looks": 0}, {"max_age_s": 0.0}, {"min_outside": 0}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FaceRingConfig(**wrong)  # type: ignore[arg-type]
