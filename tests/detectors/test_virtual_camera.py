from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from guard.app.parts import load_models
from guard.detectors import virtual_camera
from guard.detectors.virtual_camera import (
    CLUES,
    LIMIT_LLR,
    REPEATS,
    CameraKind,
    DeviceReport,
    Format,
    VirtualCamera,
    graded,
    read_report,
)
from guard.fusion.config import FACE
from guard.fusion.engine import Fusion
from guard.inference.lanes import Remembering, run_detector
from guard.resources import models_dir
from guard.signalling.messages import DeviceMessage
from guard.types import (
    Abstain,
    AudioQuality,
    AudioWindow,
    FaceQuality,
    FaceWindow,
    Kind,
    Signal,
    TrackKey,
)

DOCS = Path(__file__).parents[2] / "docs" / "face-signals" / "virtual_camera.md"
PLAIN = DeviceReport(
    kind=CameraKind.PHYSICAL,
    automated=False,
    has_id=True,
    reported=Format(640, 360, 30.0),
    actual=Format(640, 360, 29.7),
    first_picture_ms=480.0,
    resize_ms=310.0,
)
MESSAGE: dict[str, Any] = {
    "kind": "virtual",
    "automated": True,
    "has_id": False,
    "reported": {"width": 640, "height": 360, "rate_hz": 30},
    "actual": {"width": 1280, "height": 720, "rate_hz": None},
    "first_picture_ms": None,
    "resize_ms": 12.5,
}


def window(participant: str = "cust", session: str = "s", end_s: float = 1.0) -> FaceWindow:
    return FaceWindow(
        TrackKey(session, participant, Kind.VIDEO),
        0,
        end_s - 0.2,
        end_s,
        np.zeros((224, 224, 3), np.uint8),
        np.zeros((468, 2), np.float32),
        FaceQuality(60.0, 100.0, 0.0, 120.0, 1.0),
    )


def codes(report: DeviceReport) -> tuple[str, ...]:
    return graded(report)[1]


def test_without_a_report_there_is_no_evidence() -> None:
    assert VirtualCamera().prepare(window()) == Abstain("no_device_report")


def test_a_report_without_a_clue_never_speaks_for_bona_fide() -> None:
    camera = VirtualCamera()
    camera.report("s", "cust", PLAIN)
    assert graded(PLAIN) == (0.0, ())
    assert camera.prepare(window()) == Abstain("device_plain")


def test_what_is_said_before_a_window_is_what_is_said_of_it() -> None:
    camera, key = VirtualCamera(), window().key
    assert camera.declines(key) == "no_device_report"
    camera.report("s", "cust", PLAIN)
    assert camera.declines(key) == "device_plain"
    camera.report("s", "cust", replace(PLAIN, automated=True))
    assert camera.declines(key) is None


def test_no_clue_takes_away_and_the_limit_is_that_of_the_design() -> None:
    assert all(0 < clue.llr <= LIMIT_LLR for clue in CLUES)
    assert LIMIT_LLR == 1.0


@pytest.mark.parametrize("kind", [k for k in CameraKind if k is not CameraKind.PHYSICAL])
def test_every_kind_but_the_physical_has_its_line(kind: CameraKind) -> None:
    assert codes(replace(PLAIN, kind=kind)) == (f"kind_{kind.value}",)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"automated": True}, "automated"),
        ({"has_id": False}, "no_id"),
        ({"actual": Format(1280, 720, 30.0)}, "other_size"),
        ({"first_picture_ms": 12.0}, "quick_start"),
        ({"resize_ms": 16.0}, "quick_resize"),
    ],
)
def test_each_clue_is_found_alone(change: dict[str, Any], code: str) -> None:
    assert codes(replace(PLAIN, **change)) == (code,)


@pytest.mark.parametrize("actual", [Format(360, 640, 30.0), Format(640, 352, 30.0), Format(None, None, None)])
def test_a_turned_rounded_or_unknown_size_is_no_other_size(actual: Format) -> None:
    assert codes(replace(PLAIN, actual=actual)) == ()


def test_what_the_browser_does_not_say_is_no_clue() -> None:
    assert codes(replace(PLAIN, first_picture_ms=None, resize_ms=None)) == ()


def test_clues_add_up_to_the_limit_and_no_further() -> None:
    some = replace(PLAIN, kind=CameraKind.EFFECTS, automated=True)
    assert graded(some)[0] == pytest.approx(0.8)
    everything = replace(some, kind=CameraKind.VIRTUAL, has_id=False, first_picture_ms=1.0)
    assert graded(everything)[0] == LIMIT_LLR


def test_the_message_of_the_relay_process_is_read() -> None:
    report = read_report(MESSAGE)
    assert report.kind is CameraKind.VIRTUAL
    assert report.actual == Format(1280, 720, None)
    assert codes(report) == ("kind_virtual", "automated", "no_id", "other_size", "quick_resize")
    with pytest.raises(ValueError, match="no size"):
        read_report(MESSAGE | {"resize_ms": float("nan")})


def test_the_page_may_send_exactly_the_kinds_there_are() -> None:
    assert set(get_args(DeviceMessage.model_fields["kind"].annotation)) == {k.value for k in CameraKind}


def test_reports_are_kept_apart_replaced_and_forgotten() -> None:
    camera = VirtualCamera()
    camera.report("s", "cust", replace(PLAIN, kind=CameraKind.VIRTUAL))
    assert camera.prepare(window("other")) == Abstain("no_device_report")
    assert camera.prepare(window(session="t")) == Abstain("no_device_report")
    assert run_detector(camera, [window()])[0].llr == pytest.approx(0.4)
    camera.report("s", "cust", PLAIN)
    assert camera.prepare(window()) == Abstain("device_plain")
    assert isinstance(camera, Remembering)
    camera.forget("s", "cust")
    assert (camera.prepare(window()), camera.participants) == (Abstain("no_device_report"), 0)


def test_a_report_that_is_lent_is_one_of_its_own() -> None:
    camera = VirtualCamera()
    camera.lend("s", "cust", "cust+")
    assert camera.declines(window("cust+").key) == "no_device_report"
    camera.report("s", "cust", replace(PLAIN, kind=CameraKind.VIRTUAL))
    camera.lend("s", "cust", "cust+")
    assert camera.declines(window("cust+").key) is None
    camera.withdraw("s", "cust+")
    assert camera.declines(window("cust+").key) == "no_device_report"
    assert camera.declines(window("cust").key) is None


def test_memory_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_camera, "MAX_PARTICIPANTS", 3)
    camera = VirtualCamera()
    for number in range(5):
        camera.report("s", f"p{number}", PLAIN)
    assert camera.participants == 3
    assert camera.prepare(window("p1")) == Abstain("no_device_report")
    assert camera.prepare(window("p2")) == Abstain("device_plain")


def test_a_batch_equals_its_rows_one_by_one() -> None:
    camera = VirtualCamera()
    camera.report("s", "a", replace(PLAIN, kind=CameraKind.VIRTUAL))
    camera.report("s", "b", replace(PLAIN, kind=CameraKind.CAPTURE))
    windows = [window(name) for name in ("a", "b", "c", "a")]
    together = run_detector(camera, windows)
    assert together == [run_detector(camera, [one])[0] for one in windows]
    assert [score.llr for score in together] == [
        pytest.approx(0.4),
        pytest.approx(0.1),
        None,
        pytest.approx(0.4),
    ]


def test_a_window_of_another_kind_is_refused() -> None:
    quality = AudioQuality(1.0, 4.0, None, 0.0, 0.0)
    voice = AudioWindow(TrackKey("s", "cust", Kind.AUDIO), 0, 4, np.zeros(64000, np.float32), quality)
    assert VirtualCamera().prepare(voice) == Abstain("wrong_window")


def test_a_report_repeated_for_minutes_never_counts_for_more_than_its_limit() -> None:
    assert pytest.approx(1 / FACE.call_share) == REPEATS
    camera, fusion = VirtualCamera(), Fusion("s", "cust")
    camera.report("s", "cust", replace(PLAIN, kind=CameraKind.TEST, automated=True))
    for at in range(1, 5 * 120):
        for score in run_detector(camera, [window(end_s=at / 5)]):
            fusion.push(score)
    state = fusion.verdict(120.0).signals[Signal.VIRTUAL_CAMERA]
    assert state.llr is not None
    assert 0.85 <= state.llr <= LIMIT_LLR


def test_it_is_in_use_without_a_model() -> None:
    models = load_models(models_dir())
    assert models.cameras in models.detectors
    assert Signal.VIRTUAL_CAMERA not in models.errors


def test_the_table_in_the_documentation_is_the_one_in_use() -> None:
    listed = re.findall(r"^\| `(\w+)` \| \+(\d\.\d) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [(code, float(llr)) for code, llr in listed] == [(clue.code, clue.llr) for clue in CLUES]
