"""Calls put together from clips: as long as asked, of one voice and one face, the same for a seed."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.whole_calls import PROFILES, in_turns, main
from benchmarks.whole_calls_media import (
    APART,
    Face,
    Material,
    at_16k,
    course,
    demo_material,
    drift,
    fill,
    groups,
    pairs,
    read_pictures,
    received,
    shown,
)
from benchmarks.whole_calls_report import account, from_attack, picture, table
from benchmarks.whole_calls_run import (
    CAMERA_TOO,
    CELLS,
    ENROLLED,
    START,
    VOICE,
    Call,
    Plan,
    Ran,
    apart,
    draw,
    run,
)
from guard.app.parts import Models, load_models, settings_config
from guard.config import load_settings
from guard.errors import ConfigError
from guard.evaluation.clips import Clip, Item
from guard.evaluation.replay import Outcome
from guard.fusion.config import Thresholds
from guard.types import Kind, Signal, State


def clip(
    name: str, *, is_spoof: bool, seconds: float = 5.0, level: float = 0.1, rate_hz: int = 22_050
) -> Clip:
    dice = np.random.default_rng(len(name))
    samples = (level * dice.standard_normal(int(seconds * rate_hz))).astype(np.float32)
    return Clip(Item(Path("x.wav"), is_spoof, name, name), samples, rate_hz, seconds)


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models(None)


@pytest.fixture(scope="module")
def demo() -> Material:
    return demo_material()


def calls_of(material: Material, plan: Plan, carries: str, attack: str | None) -> list[Call]:
    return [c for c in draw(material, plan, 1) if (c.cell.carries, c.cell.attack) == (carries, attack)]


def test_a_stretch_uses_every_clip_before_any_comes_again() -> None:
    clips = [clip("a", is_spoof=False, level=level, rate_hz=16_000) for level in (0.1, 0.2, 0.3)]
    stretch = fill(clips, 15.0, random.Random(1))
    assert stretch.shape == (15 * 16_000,)
    assert np.abs(stretch).max() <= 1.0
    assert len(at_16k(clip("b", is_spoof=False))) == 80_000


def test_voices_and_engines_with_too_little_sound_are_left_out() -> None:
    long = [clip("long", is_spoof=False) for _ in range(3)]
    engine = [clip("engine", is_spoof=True) for _ in range(3)]
    voices, engines = groups([*long, *engine, clip("short", is_spoof=False), clip("brief", is_spoof=True)])
    assert (set(voices), set(engines)) == ({"long"}, {"engine"})


@pytest.mark.parametrize("of", [2, 3, 7, 75])
def test_a_course_goes_one_picture_at_a_time_and_never_stands_still(of: int) -> None:
    places = list(course(1000, of, random.Random(3)))
    assert len(places) == 1000
    assert set(np.abs(np.diff(places))) == {1}
    assert (min(places), max(places)) == (0, of - 1)


def test_the_window_over_the_picture_stays_in_it_and_moves_by_a_pixel_at_most() -> None:
    places = np.array(list(drift(2000, 25.0, random.Random(3))))
    assert places.min() == 0
    assert places.max() == 16
    assert np.abs(np.diff(places, axis=0)).max() == 1


def test_the_twin_takes_over_at_the_same_place_of_the_same_course(demo: Material) -> None:
    (face,) = demo.swaps
    rate_hz, swapped = shown(face, 2.0, 1.0, random.Random(5))
    _, genuine = shown(face, 2.0, None, random.Random(5))
    same = [np.array_equal(a, b) for a, b in zip(swapped, genuine, strict=True)]
    assert rate_hz == pytest.approx(24, abs=0.5)
    turn = sum(same)
    assert turn == pytest.approx(rate_hz, abs=1)
    assert all(same[:turn])
    # twins show the same room: what surrounds the face differs by coding noise only
    _, again = shown(face, 2.0, 0.0, random.Random(5))
    _, genuine = shown(face, 2.0, None, random.Random(5))
    corner = [
        np.abs(a[:60, :60].astype(float) - b[:60, :60]).mean() for a, b in zip(again, genuine, strict=True)
    ]
    assert max(corner) < 6.0


def test_clips_that_are_no_twins_are_refused(demo: Material, tmp_path: Path) -> None:
    (face,) = demo.swaps
    pictures, rate_hz = read_pictures(face.genuine)
    assert len(pictures) == 125
    assert len(list(received(rate_hz, iter(pictures[:24])))) == pytest.approx(15, abs=1)
    (tmp_path / "manifest.csv").write_text("path,label,method,pair\na.mp4,fake,m,one\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no genuine clip of the pairs"):
        pairs(tmp_path)
    (tmp_path / "manifest.csv").write_text(
        "path,label,method,pair\na.mp4,fake,m,one\nb.mp4,real,m,one\nc.mp4,real,m,two\n", encoding="utf-8"
    )
    assert pairs(tmp_path) == [
        Face("one", tmp_path / "b.mp4", tmp_path / "a.mp4"),
        Face("two", tmp_path / "c.mp4", None),
    ]


def test_every_kind_of_call_is_drawn_as_often_as_planned_and_again_from_the_same_seed(demo: Material) -> None:
    plan = Plan(2, 4.0, 8.0)
    calls, again, other = (list(draw(demo, plan, seed)) for seed in (1, 1, 2))
    assert calls == again != other
    assert {cell: sum(call.cell == cell for call in calls) for cell in CELLS} == {
        c: 2 * c.times for c in CELLS
    }
    for call in calls:
        attacked = call.cell.attack is not None
        assert (call.begin_s is not None, call.face is None) == (attacked, call.cell.carries == VOICE)
        assert call.length_s == (8.0 if call.cell.begins == START else 12.0)
        assert (call.engine is not None) == (call.cell.attack in ("voice", "both"))
        if call.cell.attack in ("face", "both"):
            assert call.face is not None
            assert call.face.swapped is not None
    kinds = [call.cell for call in in_turns(calls)[: len(calls) // 2]]
    assert set(kinds) == set(CELLS)
    voices_only = replace(demo, faces=())
    assert {call.cell.carries for call in draw(voices_only, plan, 1)} == {VOICE}


def test_signals_that_repetition_disturbs_weigh_nothing_and_all_others_what_ships() -> None:
    shipped = settings_config(load_settings(), PROFILES[0])
    weights = apart(shipped).fusion.weights
    assert {signal for signal in APART if weights[signal] == 0.0} == set(APART)
    others = set(Signal) - set(APART)
    assert {s: weights.get(s) for s in others} == {s: shipped.fusion.weights.get(s) for s in others}


def test_a_forged_call_of_the_demo_is_noticed_and_a_genuine_one_is_not(
    demo: Material, models: Models
) -> None:
    plan = Plan(1, 4.0, 20.0)
    shipped = apart(settings_config(load_settings(), PROFILES[0]))
    # a clip of three seconds says too little for amber as it ships; what is noticed is told all the same
    sooner = replace(shipped.fusion, thresholds=Thresholds(amber_llr=3.0))
    config = replace(shipped, fusion=sooner)
    genuine = calls_of(demo, plan, CAMERA_TOO, None)[0]
    forged = next(c for c in calls_of(demo, plan, CAMERA_TOO, "both") if c.cell.begins == START)
    quiet, loud = (run(call, demo, models, config, profile=PROFILES[0]) for call in (genuine, forged))
    assert (quiet.outcome.alarm_s, quiet.told, quiet.outcome.is_spoof) == (None, (), False)
    assert loud.outcome.alarm_s is not None
    assert loud.told[0] == (loud.outcome.alarm_s, State.SUSPECT.value)
    for one in (quiet, loud):
        assert {score.signal.kind for score in one.scores} == set(Kind)
        assert {score.signal.kind for score in one.stream(Kind.VIDEO).scores} == {Kind.VIDEO}
        assert one.line[-1][0] <= one.call.length_s + 0.1


def test_an_enrolled_photo_is_compared_with_and_forgotten_after_the_call(
    demo: Material, models: Models
) -> None:
    plan = Plan(1, 1.0, 3.0)
    config = settings_config(load_settings(), PROFILES[0])
    (call,) = calls_of(demo, plan, ENROLLED, "face")
    compared, plain = (
        run(replace(call, cell=cell), demo, models, config, profile=PROFILES[0])
        for cell in (call.cell, replace(call.cell, carries=CAMERA_TOO))
    )
    assert (compared.compared, plain.compared) == (True, False)
    seen = [[s.llr for s in one.scores if s.signal is Signal.FACE_IDENTITY] for one in (compared, plain)]
    # without a photo nothing is compared before five seconds have been seen
    assert all(llr is not None for llr in seen[0][1:])
    assert all(llr is None for llr in seen[1])


def ran(call: Call, alarm_s: float | None) -> Ran:
    attacked = call.begin_s is not None
    state = State.UNDECIDED if alarm_s is None else State.SUSPECT
    outcome = Outcome(call.name, attacked, call.length_s, alarm_s, None, state, 0.0, call.cell.attack)
    return Ran(call, outcome, (), ((0.0, None, "undecided"), (1.0, 0.5, state.value)), ())


def test_delays_count_from_the_attack_and_an_alarm_before_it_is_no_detection(
    demo: Material, tmp_path: Path
) -> None:
    calls = list(draw(demo, Plan(2, 4.0, 8.0), 1))
    alarms = [None if call.begin_s is None else call.begin_s + 3.0 for call in calls]
    early = next(n for n, call in enumerate(calls) if call.cell.attack == "face" and call.begin_s == 4.0)
    alarms[early] = 2.0
    assert from_attack(ran(calls[early], 2.0).outcome, 4.0).alarm_s == -2.0
    config = settings_config(load_settings(), PROFILES[0]).fusion
    found = account([ran(call, alarm) for call, alarm in zip(calls, alarms, strict=True)], {"": config})
    by_attack = found["without_photo"]["attacks"]["by_attack"]
    assert by_attack["face"]["alarmed_before_the_attack"] == 1
    assert by_attack["both"]["amber"]["delay_s"] == {"median": 3.0, "p95": 3.0}
    assert (
        found["by_kind"]["voice and face: face forged, from the switch"]["attacks"]["over_units"][
            "amber_share"
        ]["value"]
        == 0.5
    )
    assert found["without_photo"]["genuine"]["amber_calls"] == 0
    json.dumps(found)
    text = table(found)
    assert "| **all on face, without photo** |" in text
    assert "never" not in text.splitlines()[-2].split("|")[5]
    picture(found["lines"], {"amber_llr": 3.1, "red_llr": 4.7}, tmp_path / "lines.png")
    assert (tmp_path / "lines.png").read_bytes().startswith(b"\x89PNG")


def test_the_whole_account_of_voices_alone(
    demo: Material, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.whole_calls.demo_material", lambda: replace(demo, faces=()))
    found = main([], Plan(1, 2.0, 4.0), 1)
    assert found["without_photo"]["calls"] == sum(cell.times for cell in CELLS if cell.carries == VOICE)
    assert (found["calls_left_out"], found["faces"], found["folders"]) == (0, 0, ["demo"])
    assert found["hours"] == pytest.approx((5 * 6 + 3 * 4 + 3 * 6) / 3600, abs=1e-3)
    assert set(found["other_profiles"]) == set(PROFILES[1:])
    assert "times real time" in capsys.readouterr().err
