"""The temporal detector: gates, memory, batches, and what it makes of drawn faces."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest

from guard import reasons
from guard.detectors import temporal
from guard.detectors.card import load_card
from guard.detectors.onnx import Batch
from guard.detectors.temporal import Temporal, TemporalConfig
from guard.detectors.temporal_memory import SIZE, TemporalReadings
from guard.fusion.calibration import Logistic
from guard.inference.lanes import run_detector
from guard.resources import models_dir
from guard.types import (
    Abstain,
    AudioQuality,
    AudioWindow,
    FaceWindow,
    Finding,
    FloatArray,
    ImageArray,
    Signal,
)
from tests.detectors.temporal_scenes import KEY, MESH, little, of, texture, windows


class Sum:
    """Scores a row by its sum: enough to tell rows apart."""

    def raw(self, batch: Batch) -> FloatArray:
        return np.asarray(batch.sum(axis=1), np.float32)


def detector(config: TemporalConfig | None = None) -> Temporal:
    return Temporal(Sum(), Logistic(0.1, 0.0, 1.0), config)


def crops(count: int, flicker: float = 0.0, seed: int = 1) -> list[ImageArray]:
    """Return crops with a camera's noise, and inside the face with fresh detail of a known spread."""
    rng, base = np.random.default_rng(seed), texture()
    y, x = np.mgrid[0:224, 0:224]
    inside = (((x - 112) / 45) ** 2 + ((y - 115) / 58) ** 2 < 1)[..., None]
    noise = [
        rng.normal(0, 1.5, (224, 224, 1)) + inside * rng.normal(0, flicker, (224, 224, 1))
        for _ in range(count)
    ]
    return [np.clip(base + n, 0, 255).astype(np.uint8) for n in noise]


def last(found: list[TemporalReadings | Abstain]) -> TemporalReadings:
    assert isinstance(found[-1], TemporalReadings)
    return found[-1]


def read(items: list[FaceWindow]) -> list[TemporalReadings | Abstain]:
    own = detector()
    return [own.read(window) for window in items]


def test_too_few_looks_are_not_judged() -> None:
    found = read(windows(crops(12)))
    assert found[0] == Abstain("too_few_looks")
    assert found[6] == Abstain("too_few_looks")
    assert isinstance(found[7], TemporalReadings)


def test_too_few_pictures_between_the_looks_are_not_judged() -> None:
    bare = [replace(window, glimpses=window.glimpses[-1:]) for window in windows(crops(12))]
    assert read(bare)[-1] == Abstain("too_few_pictures")


def test_a_small_face_a_blurred_one_and_a_fast_one_are_not_judged() -> None:
    items = windows(crops(12))
    small = replace(items[-1], quality=replace(items[-1].quality, eye_distance_px=31.0))
    assert read([*items[:-1], small])[-1] == Abstain("face_too_small")
    blurred = replace(items[-1], quality=replace(items[-1].quality, sharpness=4.9))
    assert read([*items[:-1], blurred])[-1] == Abstain("face_blurred")
    own = detector(TemporalConfig(max_speed=0.1))
    assert [own.read(window) for window in items][-1] == Abstain("moving_fast")


def test_other_windows_are_refused() -> None:
    quality = AudioQuality(1.0, 4.0, 20.0, 0.0, 0.0)
    sound = AudioWindow(KEY, 0, 4, np.zeros(64000, np.float32), quality)
    assert detector().prepare(sound) == Abstain("wrong_window")
    cut = replace(windows(crops(1))[0], crop=np.zeros((100, 100, 3), np.uint8))
    assert detector().prepare(cut) == Abstain("wrong_window")


def test_limits_that_make_no_sense_are_refused() -> None:
    for wrong in ({"min_pairs": 1}, {"min_triples": 0}, {"min_sharpness": -1.0}, {"max_speed": 0.0}):
        with pytest.raises(ValueError):
            TemporalConfig(**wrong)


def test_a_lost_face_is_judged_anew() -> None:
    items = windows(crops(40))
    found = read([*items[:12], *items[34:]])
    assert isinstance(found[11], TemporalReadings)
    assert found[12] == Abstain("too_few_looks")


def test_detail_made_up_inside_the_face_raises_the_inside_only() -> None:
    plain, flickering = last(read(windows(crops(12)))), last(read(windows(crops(12, 6.0))))
    assert abs(plain.inside_against_around) < 0.4
    assert flickering.inside_against_around > plain.inside_against_around + 1.5
    assert flickering.jitter_inner == pytest.approx(plain.jitter_inner)


def test_a_steady_inside_amid_noise_lowers_it() -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:224, 0:224]
    outside = (((x - 112) / 45) ** 2 + ((y - 115) / 58) ** 2 >= 1)[..., None]
    smooth = [
        np.clip(texture() + outside * rng.normal(0, 3, (224, 224, 1)), 0, 255).astype(np.uint8)
        for _ in range(12)
    ]
    assert last(read(windows(smooth))).inside_against_around < -1.0


def test_brightness_that_flickers_inside_is_read() -> None:
    rng = np.random.default_rng(4)
    y, x = np.mgrid[0:224, 0:224]
    inside = (((x - 112) / 48) ** 2 + ((y - 115) / 62) ** 2 < 1)[..., None]
    gained = [
        np.clip(crop * (1 + inside * rng.normal(0, 0.03)), 0, 255).astype(np.uint8) for crop in crops(12)
    ]
    lit = [np.clip(crop * (1 + rng.normal(0, 0.03)), 0, 255).astype(np.uint8) for crop in crops(12)]
    assert last(read(windows(gained))).light > last(read(windows(lit))).light + 1.0


@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_pictures_without_a_face_give_finite_numbers(kind: str) -> None:
    rng = np.random.default_rng(0)
    shape = (12, 224, 224, 3)
    made: dict[str, ImageArray] = {
        "black": np.zeros(shape, np.uint8),
        "white": np.full(shape, 255, np.uint8),
        "noise": rng.integers(0, 256, shape, np.uint8),
    }
    for found in read(windows(list(made[kind]))):
        if isinstance(found, TemporalReadings):
            assert np.isfinite(found.row()).all()
    if kind != "black":
        assert isinstance(found, TemporalReadings)


def test_points_that_fall_together_or_lie_at_infinity_end_in_an_abstention_or_a_number() -> None:
    items = windows(crops(12))
    flat = [
        replace(w, glimpses=tuple(replace(g, points=np.ones_like(MESH)) for g in w.glimpses)) for w in items
    ]
    assert read(flat)[-1] == Abstain("too_few_pictures")


def test_a_row_has_a_number_for_every_reading() -> None:
    found = last(read(windows(crops(12))))
    assert found.row().shape == (SIZE,) == (len(astuple(found)),)
    assert found.row().dtype == np.float32
    assert np.abs(found.row()).max() <= 12


def stilled(items: list[FaceWindow]) -> list[FaceWindow]:
    """Return the windows of a feed that goes on and shows the first picture."""
    first = items[0].glimpses[0]
    return [
        replace(
            w, glimpses=tuple(replace(g, points=first.points, thumbnail=first.thumbnail) for g in w.glimpses)
        )
        for w in items
    ]


def jumped(items: list[FaceWindow]) -> list[FaceWindow]:
    """Return the windows of a feed that is another one from the middle on."""
    for at in range(len(items) // 2, len(items)):
        moved = [
            replace(g, points=None if g.points is None else g.points + 80, thumbnail=little(77))
            for g in items[at].glimpses
        ]
        items[at] = replace(items[at], glimpses=tuple(moved))
    return items


def repeated(items: list[FaceWindow], period: int) -> list[FaceWindow]:
    """Return the windows of a feed that shows its first ``period`` windows again and again."""
    out = []
    for at, window in enumerate(items):
        source = items[at % period].glimpses
        own = [replace(old, time_s=g.time_s) for old, g in zip(source, window.glimpses, strict=True)]
        out.append(replace(window, glimpses=tuple(own)))
    return out


def told_by_reading(items: list[FaceWindow]) -> set[str]:
    return {one.reason for one in read(items) if isinstance(one, Abstain)}


NOT_LIVE = {
    reasons.VIDEO_FROZEN: stilled(windows(crops(1) * 40)),
    reasons.VIDEO_REPEATS: repeated(windows(crops(1) * 75), 22),
    reasons.VIDEO_CUT: jumped(windows(crops(1) * 40)),
}


@pytest.mark.parametrize("why", sorted(NOT_LIVE))
def test_a_feed_that_is_not_live_is_told_as_the_reason_to_abstain(why: str) -> None:
    own = detector()
    found = [own.prepare(window) for window in NOT_LIVE[why]]
    told = [one.reason for one in found if isinstance(one, Abstain)]
    assert why in told
    assert set(told) & set(reasons.WITHHOLDING) == {why}
    assert any(not isinstance(one, Abstain) for one in found), "before it could be told"
    assert not any(one in reasons.WITHHOLDING for one in told_by_reading(NOT_LIVE[why])), (
        "the recipe learns from what the model is given, also of these"
    )


def test_it_goes_before_the_other_reasons_and_lasts_as_long_as_it_is_so() -> None:
    own = detector()
    small = [
        replace(w, quality=replace(w.quality, eye_distance_px=20.0)) for w in NOT_LIVE[reasons.VIDEO_FROZEN]
    ]
    assert [own.prepare(window) for window in small][-1] == Abstain(reasons.VIDEO_FROZEN)
    long = jumped(windows(crops(1) * 60))
    cut = [(w.end_s, own.prepare(of(w, "q"))) for w in long]
    told = [end_s for end_s, one in cut if isinstance(one, Abstain) and one.reason == reasons.VIDEO_CUT]
    jump_s = long[30].glimpses[0].time_s
    assert jump_s < told[0] < jump_s + 0.5
    assert told[-1] == pytest.approx(jump_s + 4.0, abs=0.2)
    live = [own.prepare(of(window, "r")) for window in windows(crops(60))]
    assert not any(isinstance(one, Abstain) and one.reason in reasons.WITHHOLDING for one in live)


def test_every_reason_of_a_picture_that_is_not_live_is_one_that_this_signal_gives() -> None:
    assert set(NOT_LIVE) == set(reasons.NOT_LIVE)


def test_a_batch_scores_as_its_rows_do_alone() -> None:
    one, other = windows(crops(10), seed=2), [of(w, "q") for w in windows(crops(10, 5.0), seed=3)]
    mixed = [w for pair in zip(one, other, strict=True) for w in pair]
    together = run_detector(detector(), mixed)
    apart = run_detector(detector(), one), run_detector(detector(), other)
    assert [s.llr for s in together if s.key == KEY] == [s.llr for s in apart[0]]
    assert [s.llr for s in together if s.key != KEY] == [s.llr for s in apart[1]]
    assert together[-1].llr is not None


def test_two_faces_of_one_picture_are_remembered_apart() -> None:
    own = detector()
    items = windows(crops(10))
    for window in items[:7]:
        own.prepare(window)
    for window in items[7:]:
        assert own.prepare(of(window, face=1)) == Abstain("too_few_looks")
        assert not isinstance(own.prepare(window), Abstain)
    assert own.remembered == (1, 2)


def test_who_left_is_forgotten_and_nobody_else() -> None:
    own = detector()
    for window in windows(crops(10)):
        own.prepare(window)
        own.prepare(of(window, "q"))
    own.forget("s", "p")
    assert own.remembered == (1, 1)
    again = windows(crops(12))
    assert own.prepare(again[0]) == Abstain("too_few_looks")
    assert isinstance(own.read(of(windows(crops(11))[10], "q")), TemporalReadings)


def test_a_track_that_begins_anew_is_judged_anew() -> None:
    own = detector()
    items = windows(crops(16))
    assert not isinstance([own.prepare(w) for w in items][-1], Abstain)
    assert [own.prepare(w) for w in items[:3]][-1] == Abstain("too_few_looks")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal, "MAX_TRACKS", 3)
    monkeypatch.setattr(temporal, "MAX_FACES", 4)
    own = detector()
    (window,) = windows(crops(1))
    for number in range(20):
        own.prepare(of(window, f"p{number}", number))
    assert own.remembered == (3, 4)


def test_the_shipped_model_is_of_this_signal_and_claims_little() -> None:
    card = load_card(models_dir() / "temporal")
    assert card.signal is Signal.TEMPORAL
    assert card.input.shape == (SIZE,)
    assert card.calibration.limit_llr <= 1.0
    own = Temporal.from_card(card)
    found = [(w, own.prepare(w)) for w in windows(crops(10))]
    rows = [(w, row) for w, row in found if not isinstance(row, Abstain)]
    scored = own.score(np.stack([row for _, row in rows]), [w for w, _ in rows])
    assert all(isinstance(f, Finding) and abs(f.llr) <= card.calibration.limit_llr for f in scored)
