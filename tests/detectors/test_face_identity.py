"""Face identity: what is remembered and compared, what it may weigh, the shipped network's golden numbers."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guard.detectors.face_identity import (
    CALL,
    MAX_FACES,
    MAX_TRACKS,
    PHOTO,
    FaceIdentity,
    FaceIdentityConfig,
    Identity,
    load_face_identity,
    load_face_identity_card,
)
from guard.detectors.face_in_place import InPlace, InPlaceConfig
from guard.detectors.vector_card import PersonCalibration
from guard.errors import ModelError
from guard.fusion.calibration import Logistic
from guard.fusion.config import FusionConfig, Thresholds
from guard.inference.lanes import run_detector
from guard.resources import models_dir
from guard.types import (
    Abstain,
    AudioQuality,
    AudioWindow,
    FaceQuality,
    FaceWindow,
    FloatArray,
    Glimpse,
    Kind,
    Score,
    Signal,
    TrackKey,
)

DATA = Path(__file__).parent / "data"
KEY = TrackKey("s", "p", Kind.VIDEO)
GOOD = FaceQuality(eye_distance_px=70.0, sharpness=60.0, yaw_deg=2.0, luma=120.0, confidence=1.0)
CALLS = PersonCalibration(Logistic(20.0, -10.0, 4.0), spoof_share=0.1, bona_fide_share=0.03)
PHOTOS = PersonCalibration(Logistic(20.0, -10.0, 4.0), spoof_share=0.4, bona_fide_share=0.02)
ANNA, BORIS, CLARA = 40, 120, 200
CLOSE = 2
# 1 - cosine of the genuine crop and the one with another face put on; pinned, a new model writes a new one
GOLDEN_SWAPPED = 0.1520


class Grey:
    """A scripted model: the brightness of the chip is the person, each at right angles to the others."""

    def __init__(self) -> None:
        self.rows = 0

    def embed(self, batch: FloatArray) -> FloatArray:
        self.rows += len(batch)
        vectors = np.zeros((len(batch), 256), np.float32)
        vectors[np.arange(len(batch)), batch[:, 0, 75, 75].astype(int)] = 1.0
        return vectors


def vector(person: int) -> FloatArray:
    return np.asarray(np.eye(256)[person], np.float32)


def window(
    person: int,
    end_s: float,
    *,
    face: int = 0,
    key: TrackKey = KEY,
    quality: FaceQuality = GOOD,
    scene: int | None = 0,
    faces: int = 1,
) -> FaceWindow:
    """A look at a person before a scene of that number: None without the whole picture, -1 a flat one.

    A quarter of the picture is face and differs from person to person; in ``CLOSE`` nearly all of it is.
    """
    crop = np.full((224, 224, 3), person, np.uint8)
    glimpses: tuple[Glimpse, ...] = ()
    if scene is not None:
        room = np.full((18, 32), 20, np.uint8)
        if scene >= 0:
            room = np.random.default_rng(scene).integers(0, 256, (18, 32)).astype(np.uint8)
        room[3:15, 10:22] = np.random.default_rng(1000 + person).integers(0, 256, (12, 12))
        sides = [(40, 20), (600, 340)] if scene == CLOSE else [(230, 90), (410, 270)]
        shape = np.array(sides * 234, np.float32)
        glimpses = (Glimpse(end_s, shape, room, (640, 360), faces=faces),)
    points = np.zeros((468, 2), np.float32)
    return FaceWindow(key, face, max(0.0, end_s - 0.2), end_s, crop, points, quality, glimpses)


def detector() -> FaceIdentity:
    return FaceIdentity(Grey(), CALLS, PHOTOS)


def looks(
    found: FaceIdentity, person: int, first_s: float, last_s: float, face: int = 0, scene: int | None = 0
) -> list[Score]:
    """Score five looks a second, each by itself."""
    times = np.arange(first_s, last_s, 0.2)
    return [run_detector(found, [window(person, float(t), face=face, scene=scene)])[0] for t in times]


def test_nothing_is_compared_before_five_seconds_were_seen() -> None:
    scores = looks(detector(), ANNA, 0.0, 10.0)
    first = next(s for s in scores if s.llr is not None)
    assert 4.9 < first.end_s < 6.3
    assert {s.reason for s in scores if s.llr is None} == {"no_reference_yet"}
    assert all(s.llr == pytest.approx(CALLS.llr(np.array([-4.0]))[0]) for s in scores if s.llr is not None)


def test_another_face_is_seen_at_once_and_adopted_after_half_a_minute() -> None:
    found = detector()
    assert (looks(found, ANNA, 0.0, 10.0)[-1].llr or 0) < 0
    other = looks(found, BORIS, 12.0, 82.0)
    highest = pytest.approx(CALLS.llr(np.array([4.0]))[0])
    assert all(s.llr == highest for s in other if s.end_s < 40)
    assert all((s.llr or 0) < 0 for s in other if s.end_s > 50)


def test_a_short_visit_does_not_enter_the_reference() -> None:
    found = detector()
    looks(found, ANNA, 0.0, 10.0)
    looks(found, BORIS, 10.0, 25.0)
    assert all((s.llr or 0) < 0 for s in looks(found, ANNA, 25.0, 30.0))


def test_a_face_that_comes_back_under_a_new_number_is_compared_with_the_one_that_went() -> None:
    found = detector()
    looks(found, ANNA, 0.0, 10.0, face=0)
    assert (looks(found, ANNA, 10.2, 11.0, face=1)[0].llr or 0) < 0
    assert (looks(found, BORIS, 11.2, 12.0, face=2)[0].llr or 0) > 0


def test_two_faces_of_one_picture_are_not_compared_with_each_other() -> None:
    found = detector()
    for t in np.arange(0.0, 10.0, 0.2):
        pair = [window(ANNA, float(t), face=0), window(BORIS, float(t), face=1)]
        scores = run_detector(found, pair)
        assert all(s.llr is None or s.llr < 0 for s in scores)
    assert all(s.llr is not None for s in scores)


def test_a_face_that_becomes_another_from_one_look_to_the_next_was_replaced_as_long_as_it_stays() -> None:
    found = detector()
    before = looks(found, ANNA, 0.0, 10.0)
    assert all(s.replaced_llr == pytest.approx(-4.0) for s in before if s.llr is not None)
    after = looks(found, BORIS, 10.0, 100.0)
    assert all(s.replaced_llr == pytest.approx(4.0) for s in after), "it is never taken for the reference"
    gone = looks(found, BORIS, 102.0, 104.0, face=1)
    assert all(s.replaced_llr == pytest.approx(4.0) for s in gone), "hiding for a moment changes nothing"
    back = looks(found, ANNA, 104.0, 110.0, face=1)
    assert all(s.replaced_llr == pytest.approx(-4.0) for s in back)


@pytest.mark.parametrize(
    ("pause_s", "face", "before", "after"),
    [
        (1.0, 0, 0, 0),
        (0.0, 1, 0, 0),
        (0.0, 0, 0, 1),
        (0.0, 0, None, None),
        (0.0, 0, -1, -1),
        (0.0, 0, CLOSE, CLOSE),
    ],
    ids=[
        "unseen for longer",
        "a face found anew",
        "another scene",
        "no picture",
        "too flat to tell",
        "nothing around the face",
    ],
)
def test_another_who_can_have_come_was_not_put_on(
    pause_s: float, face: int, before: int | None, after: int | None
) -> None:
    found = detector()
    looks(found, ANNA, 0.0, 10.0, scene=before)
    then = looks(found, BORIS, 10.0 + pause_s, 60.0, face=face, scene=after)
    assert all(s.replaced_llr is None or s.replaced_llr < 0 for s in then)


def picture(room: int, face: int, *, bars: bool = False, flat: bool = False, left: int = 10) -> Glimpse:
    """A face of 8 x 8 cells before a room, both drawn by number: beside black bars, or the room all grey."""
    little = np.random.default_rng(room).integers(0, 256, (18, 32)).astype(np.uint8)
    if flat:
        little[:] = 90
    little[4:12, left : left + 8] = np.random.default_rng(1000 + face).integers(0, 256, (8, 8))
    if bars:
        little[:, :6] = little[:, 26:] = 16
    sides = [(20.0 * left + 26, 106.0), (20.0 * left + 134, 214.0)]
    return Glimpse(9.8, np.array(sides * 234, np.float32), little, (640, 360))


@pytest.mark.parametrize(
    ("before", "after", "alike"),
    [
        (picture(0, 1), picture(0, 2), True),
        (picture(0, 1), picture(1, 1), False),
        (picture(0, 1), picture(0, 2, left=14), True),
        (picture(0, 1, bars=True), picture(0, 2, bars=True), True),
        (picture(0, 1, bars=True), picture(1, 2, bars=True), False),
        (picture(0, 1, flat=True), picture(0, 1, flat=True), True),
        (picture(0, 1, flat=True), picture(0, 2, flat=True), False),
    ],
    ids=[
        "another face in the same room",
        "the same face in another room",
        "another face, moved",
        "beside bars",
        "another room beside bars",
        "nothing but a face that hardly differs",
        "nothing but another face",
    ],
)
def test_the_same_picture_is_told_by_what_lies_around_the_face(
    before: Glimpse, after: Glimpse, alike: bool
) -> None:
    placed = InPlace(InPlaceConfig())
    for n in range(8):
        placed.compare(replace(window(ANNA, 8.4 + n / 5), glimpses=(before,)), -4.0)
    told = placed.compare(replace(window(BORIS, 10.0), glimpses=(after,)), 4.0)
    assert told == (4.0 if alike else None)


def test_two_faces_in_one_picture_can_be_mistaken_for_each_other() -> None:
    found = detector()
    for t in np.arange(0.0, 20.0, 0.2):
        first, second = (ANNA, BORIS) if t < 10 else (BORIS, ANNA)
        pair = [window(who, float(t), face=n, faces=2) for n, who in enumerate((first, second))]
        assert all(s.replaced_llr is None or s.replaced_llr < 0 for s in run_detector(found, pair))


def test_somebody_who_was_seen_just_before_and_never_judged_can_have_taken_the_place() -> None:
    found = detector()
    for t in np.arange(0.0, 20.0, 0.2):
        beside = 2 if 6.0 < t < 7.0 else 1
        (score,) = run_detector(found, [window(ANNA if t < 10 else BORIS, float(t), faces=beside)])
        assert score.replaced_llr is None or score.replaced_llr < 0


def test_a_stranger_who_once_looks_like_the_person_before_was_not_put_on() -> None:
    """After a cut: looks at somebody else, one of them just on the near side, as a clip of val had."""
    placed = InPlace(InPlaceConfig())
    for n in range(20):
        placed.compare(window(ANNA, n / 5), -4.0)
    after = [0.4 if n % 10 else -0.4 for n in range(1, 30)] + [2.0] * 20
    said = [placed.compare(window(BORIS, 4.0 + n / 5, scene=1), llr) for n, llr in enumerate(after)]
    assert all(llr is None or llr <= 0 for llr in said)
    assert not placed.replaced


def test_one_odd_look_accuses_nobody_who_comes_later() -> None:
    found = detector()
    looks(found, ANNA, 0.0, 10.0)
    looks(found, BORIS, 10.0, 10.1)
    later = looks(found, BORIS, 15.0, 30.0, face=1, scene=1)
    assert all(s.replaced_llr is None for s in later)


def test_whoever_comes_long_after_a_face_that_was_put_on_is_not_that_face() -> None:
    found = detector()
    looks(found, ANNA, 0.0, 10.0)
    looks(found, BORIS, 10.0, 20.0)
    later = looks(found, CLARA, 31.0, 40.0, face=1)
    assert all(s.replaced_llr is None for s in later)


def test_who_only_looks_somewhat_different_becomes_the_reference_as_ever() -> None:
    """Glasses, say: an llr of 0.5 in every look is no other person, and is adopted after half a minute."""
    placed = InPlace(InPlaceConfig())
    assert [placed.compare(window(ANNA, 8.6 + n / 5), -4.0) for n in range(8)] == [-4.0] * 8
    assert [placed.compare(window(ANNA, 10.2 + n / 5), 0.5) for n in range(100)] == [0.5] * 100
    assert not placed.replaced
    assert [placed.compare(window(ANNA, 31.0 + n / 5), 1.5) for n in range(8)] == [1.5] * 8
    assert placed.replaced


def test_a_look_at_somebody_else_amid_others_is_taken_back_by_the_next() -> None:
    found = detector()
    looks(found, ANNA, 0.0, 10.0)
    (odd,) = looks(found, BORIS, 10.0, 10.1)
    assert odd.replaced_llr == pytest.approx(4.0)
    assert all(s.replaced_llr == pytest.approx(-4.0) for s in looks(found, ANNA, 10.2, 15.0))


def test_an_enrolled_photo_is_compared_from_the_first_look() -> None:
    found = detector()
    found.enrol("s", "p", vector(ANNA))
    (right,) = looks(found, ANNA, 0.0, 0.2)
    assert right.llr == pytest.approx(PHOTOS.llr(np.array([-4.0]))[0])
    (wrong,) = looks(found, BORIS, 1.0, 1.2)
    assert wrong.llr == pytest.approx(PHOTOS.llr(np.array([4.0]))[0])
    # the wrong face from the beginning on, with no change at all: only the photo tells
    assert all((s.llr or 0) > 2 for s in looks(found, BORIS, 2.0, 12.0))
    assert right.other_person_llr == pytest.approx(-4.0)
    assert wrong.other_person_llr == pytest.approx(4.0)


def test_the_photo_is_of_one_participant_and_is_withdrawn_with_the_session() -> None:
    found = detector()
    found.enrol("s", "p", vector(ANNA))
    found.enrol("s", "q", vector(BORIS))
    other = window(BORIS, 0.2, key=TrackKey("t", "p", Kind.VIDEO))
    assert run_detector(found, [other])[0].reason == "no_reference_yet"
    found.withdraw("s", "p")
    assert looks(found, BORIS, 1.0, 1.2)[0].reason == "no_reference_yet"
    found.withdraw("s")
    again = window(ANNA, 0.2, key=TrackKey("s", "q", Kind.VIDEO))
    assert run_detector(found, [again])[0].reason == "no_reference_yet"


def test_a_photo_that_is_lent_judges_the_borrower_until_it_is_withdrawn() -> None:
    found = detector()
    found.enrol("s", "p", vector(ANNA))
    found.lend("s", "p", "p+")
    borrower = TrackKey("s", "p+", Kind.VIDEO)
    (wrong,) = run_detector(found, [window(BORIS, 0.2, key=borrower)])
    assert wrong.llr == pytest.approx(PHOTOS.llr(np.array([4.0]))[0])
    found.withdraw("s", "p+")
    assert run_detector(found, [window(BORIS, 0.4, key=borrower)])[0].reason == "no_reference_yet"
    assert looks(found, ANNA, 0.0, 0.2)[0].llr is not None, "its owner keeps it"


def test_forget_drops_what_was_seen_and_keeps_the_photo() -> None:
    found = detector()
    looks(found, ANNA, 0.0, 10.0)
    found.enrol("s", "p", vector(ANNA))
    found.forget("s", "p")
    assert found.remembered == (0, 0)
    assert looks(found, ANNA, 20.0, 20.2)[0].llr is not None
    found.withdraw("s", "p")
    assert looks(found, ANNA, 21.0, 21.2)[0].reason == "no_reference_yet"


def test_media_time_that_begins_anew_begins_the_memory_anew() -> None:
    found = detector()
    looks(found, ANNA, 50.0, 60.0)
    assert looks(found, BORIS, 0.0, 1.0)[0].reason == "no_reference_yet"


def test_memory_is_bounded() -> None:
    found = detector()
    for number in range(MAX_TRACKS + 5):
        run_detector(found, [window(ANNA, 0.2, key=TrackKey(f"s{number}", "p", Kind.VIDEO))])
    assert found.remembered == (MAX_TRACKS, MAX_TRACKS)
    for face in range(MAX_FACES + 5):
        run_detector(found, [window(ANNA, 1.0, face=face)])
    assert found.remembered == (MAX_TRACKS, MAX_TRACKS - 1 + MAX_FACES)


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (replace(GOOD, eye_distance_px=31.9), "face_too_small"),
        (replace(GOOD, luma=29.9), "face_dark"),
        (replace(GOOD, yaw_deg=-30.1), "face_turned"),
        (replace(GOOD, sharpness=4.9), "face_blurred"),
    ],
)
def test_poor_faces_are_not_described(quality: FaceQuality, reason: str) -> None:
    assert detector().prepare(window(ANNA, 0.2, quality=quality)) == Abstain(reason)


def test_a_window_of_the_other_kind_is_refused() -> None:
    voice = AudioWindow(
        replace(KEY, kind=Kind.AUDIO), 0.0, 4.0, np.zeros(64_000, np.float32), AudioQuality(1, 4, 30, 0, 0)
    )
    assert detector().prepare(voice) == Abstain("wrong_window")
    assert detector().prepare(replace(window(ANNA, 0.2), crop=np.zeros((64, 64, 3), np.uint8))) == Abstain(
        "wrong_window"
    )


@pytest.mark.parametrize(
    "wrong", [{"min_luma": -1.0}, {"keep_every_s": 0.0}, {"max_yaw_deg": 0.0}, {"max_yaw_deg": 91.0}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must"):
        FaceIdentityConfig(**wrong)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shipped() -> Identity:
    return load_face_identity(models_dir() / "face_identity")


def crop(name: str) -> np.ndarray:
    return np.asarray(Image.open(DATA / name).convert("RGB"))


def described(identity: Identity, *crops: np.ndarray) -> FloatArray:
    rows = [identity.detector.prepare(replace(window(ANNA, 0.2), crop=c)) for c in crops]
    return identity.detector.describe(np.stack([row for row in rows if isinstance(row, np.ndarray)]))


def test_the_network_finds_the_genuine_and_the_swapped_face_two_people(shipped: Identity) -> None:
    genuine, swapped = described(shipped, crop("face_genuine.png"), crop("face_swapped.png"))
    distance = float(1 - genuine @ swapped)
    assert distance == pytest.approx(GOLDEN_SWAPPED, abs=2e-3)
    for calibration in shipped.card.calibrations.values():
        assert calibration.other_llr(np.array([distance], np.float32))[0] > 0


def test_scale_light_and_compression_leave_the_same_person(shipped: Identity) -> None:
    picture = Image.fromarray(crop("face_genuine.png"))
    small = picture.resize((112, 112), Image.Resampling.BOX).resize((224, 224), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=25)
    changed = [small, picture.point(lambda v: v * 0.5), Image.open(file), picture.rotate(4)]
    first, *others = described(shipped, crop("face_genuine.png"), *(np.asarray(c) for c in changed))
    distances = 1 - np.stack(others) @ first
    for calibration in shipped.card.calibrations.values():
        assert (calibration.other_llr(distances) < -1).all()


def test_batch_of_faces_equals_singles(shipped: Identity) -> None:
    crops = [crop("face_genuine.png"), crop("face_swapped.png"), crop("face_genuine.png")[:, ::-1]]
    singles = np.concatenate([described(shipped, c) for c in crops])
    assert np.abs(described(shipped, *crops) - singles).max() < 1e-5


@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_any_picture_gives_a_vector_of_length_one(shipped: Identity, kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    picture = {"black": np.zeros_like(noise), "white": np.full_like(noise, 255), "noise": noise}[kind]
    (found,) = described(shipped, picture)
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-4)


def test_a_look_costs_little_cpu(shipped: Identity) -> None:
    picture = crop("face_genuine.png")
    described(shipped, picture)
    begin_s = time.process_time()
    for _ in range(10):
        described(shipped, picture)
    # five looks a second: under 0.1 core on a machine that has other things to do
    assert (time.process_time() - begin_s) / 10 < 0.02


def test_a_match_is_hardly_evidence_and_neither_use_reaches_red_alone(shipped: Identity) -> None:
    config, thresholds = FusionConfig(), Thresholds()
    share = config.face.call_share  # many looks are worth at most 1 / call_share of one
    for name, limit in ((CALL, thresholds.amber_llr), (PHOTO, thresholds.red_llr)):
        calibration = shipped.card.calibrations[name]
        low, high = (
            config.weights[Signal.FACE_IDENTITY] * float(calibration.llr(np.array([other]))[0]) / share
            for other in (-calibration.other.limit_llr, calibration.other.limit_llr)
        )
        assert high < limit
        assert thresholds.bona_fide_llr < low < 0


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('file = "model.onnx"', 'file = "../model.onnx"', "card_invalid"),
        ("bona_fide_share = 0.02", "bona_fide_share = 0.9", "card_invalid"),
        ("[calibration.photo]", "[calibration.other]", "card_invalid"),
        ("shape = [3, 150, 150]", "shape = [3, 150, -1]", "card_invalid"),
        ("shape = [3, 150, 150]", "shape = [3, 160, 160]", "model_input"),
        ('name = "vector"', 'name = "embedding"', "model_names"),
        ("shape = [128]", "shape = [256]", "model_output"),
        ('sha256 = "', 'sha256 = "0', "model_hash"),
    ],
)
def test_a_wrong_card_is_refused(tmp_path: Path, old: str, new: str, code: str) -> None:
    folder = models_dir() / "face_identity"
    text = (folder / "card.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "card.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    (tmp_path / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
    with pytest.raises(ModelError) as refused:
        load_face_identity(tmp_path)
    assert refused.value.code == code


def test_a_missing_card_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as refused:
        load_face_identity_card(tmp_path)
    assert refused.value.code == "card_missing"
    (tmp_path / "card.toml").write_bytes((models_dir() / "face_identity" / "card.toml").read_bytes())
    with pytest.raises(ModelError) as refused:
        load_face_identity(tmp_path)
    assert refused.value.code == "model_missing"
