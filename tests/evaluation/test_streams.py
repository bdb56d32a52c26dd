"""Recorded calls and held-out scores: what is read, what is refused, what is drawn, what comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import ConfigError
from guard.evaluation.calls import CallPlan, attacks_on, draw_call
from guard.evaluation.replay import Outcome, replay, summary
from guard.evaluation.streams import Group, HeldOut, Stream, read_held_out, read_streams
from guard.fusion.config import FusionConfig
from guard.types import Signal, State

GENUINE = Group("quiet", False, ((-2.0, -1.5), (-1.0,)))
LOUD = Group("loud", True, ((4.0, 4.0),))
VOICE = HeldOut(Signal.VOICE_SPOOF, "0" * 64, "made by a test", (GENUINE, LOUD))
FACE = HeldOut(Signal.FACE_FRAME, "0" * 64, "made by a test", (GENUINE, LOUD))


def lines(path: Path, *objects: object) -> Path:
    path.write_text("\n".join(json.dumps(o) for o in objects) + "\n")
    return path


def score(end_s: float, llr: float | None = 4.0, **more: object) -> dict[str, object]:
    return {"signal": "voice_spoof", "start_s": end_s - 4, "end_s": end_s, "llr": llr, **more}


def test_own_lines_and_those_of_analyze_are_read(tmp_path: Path) -> None:
    own = {"v": 1, "call": "a", "label": "spoof", "length_s": 30, "scores": [score(8), score(4, None)]}
    analysed = {
        "path": "b.wav",
        "duration_s": 9.0,
        "timeline": [
            {"t_s": 2.5, "signal": "voice_spoof", "llr": 1},
            {"t_s": 3.0, "signal": "face_frame", "llr": -1.0},
        ],
    }
    first, second = read_streams([lines(tmp_path / "a.jsonl", own, analysed)])
    assert (first.call, first.is_spoof, first.length_s) == ("a", True, 30.0)
    assert [s.end_s for s in first.scores] == [4.0, 8.0] and first.scores[0].llr is None
    assert (second.call, second.is_spoof, second.length_s) == ("b.wav", None, 9.0)
    assert [(s.start_s, s.face) for s in second.scores] == [(0.0, None), (2.8, 0)]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("{", "line 1"),
        ("[]", "line 1"),
        ({"call": "a"}, "'timeline' is missing"),
        ({"call": "a", "label": "maybe", "scores": []}, "'maybe' is none of"),
        ({"call": "a", "scores": [score(3)]}, "must not lie"),
        ({"call": "a", "scores": [score(9, float("inf"))]}, "no finite number"),
        ({"call": "a", "scores": [score(9, True)]}, "no finite number"),
        ({"call": "a", "scores": [{**score(9), "signal": "smell"}]}, "smell"),
        ({"call": "a", "length_s": 5, "scores": [score(9)]}, "a score ends at"),
        ({"call": "a", "scores": [score(9, 10**400)]}, "more than 308 digits"),
        ({"call": "a", "scores": [score(9, face=float("inf"))]}, "inf is no whole number"),
        ({"call": "a", "scores": [score(9, face=1.5)]}, "1.5 is no whole number"),
        ({"call": "a", "scores": [score(9, face=True)]}, "True is no whole number"),
        ({"call": "a", "length_s": -5, "scores": []}, "a call of -5 s"),
        (
            {"call": "a", "length_s": -0.5, "scores": [score(4, face=None) | {"start_s": 0, "end_s": 0}]},
            "-0.5 s",
        ),
        ({"call": "a", "length_s": 1e300, "scores": [score(9)]}, "a call of 1e+300 s"),
        ({"call": "a", "scores": [score(9) | {"end_s": 90_000}]}, "a call of 90000 s"),
        ({"path": "x", "error": {"code": "file_not_found"}}, "file_not_found"),
    ],
)
def test_a_wrong_line_is_refused_with_file_and_line(tmp_path: Path, broken: object, words: str) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text(broken if isinstance(broken, str) else json.dumps(broken))
    with pytest.raises(ConfigError, match=r"calls\.jsonl, line 1") as refused:
        read_streams([path])
    assert refused.value.code == "stream_invalid" and words in refused.value.message


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "bytes", tmp_path / "nothing", tmp_path):
        with pytest.raises(ConfigError) as refused:
            read_streams([path])
        assert refused.value.code == "stream_unreadable"


def test_held_out_scores_need_both_classes_and_numbers(tmp_path: Path) -> None:
    assert read_held_out(tmp_path) is None
    group = {"group": "g", "label": "spoof", "clips": [[1.0]]}
    table = {"v": 1, "signal": "voice_spoof", "model_sha256": "a", "made_by": "b", "groups": [group]}
    for wrong in (table, {**table, "groups": [{**group, "clips": [["x"]]}]}, {**table, "signal": "smell"}):
        lines(tmp_path / "held_out.json", wrong)
        with pytest.raises(ConfigError) as refused:
            read_held_out(tmp_path)
        assert refused.value.code == "held_out_invalid"
    lines(tmp_path / "held_out.json", {**table, "groups": [group, {**group, "label": "bonafide"}]})
    held = read_held_out(tmp_path)
    assert held is not None and [g.is_spoof for g in held.of(True)] == [True]


def test_a_drawn_call_is_the_same_for_the_same_seed_and_switches_where_asked() -> None:
    plan = CallPlan(60.0, switch_s=30.0, answered=1.0)
    one, same, other = (
        draw_call([VOICE, FACE], "both", plan, np.random.default_rng(seed), "c") for seed in (1, 1, 2)
    )
    assert one == same != other
    assert all((s.llr == 4.0) == ((s.start_s + s.end_s) / 2 >= 30.0) for s in one.scores)
    assert {s.signal for s in one.scores} == {Signal.VOICE_SPOOF, Signal.FACE_FRAME}
    genuine = draw_call([VOICE], None, plan, np.random.default_rng(1), "c")
    assert all(s.llr is not None and s.llr < 0 for s in genuine.scores)


def test_half_of_a_call_unanswered_leaves_about_half_of_the_windows() -> None:
    found = draw_call([VOICE], None, CallPlan(4000.0, answered=0.5), np.random.default_rng(3), "c")
    assert 850 < len(found.scores) < 1150


def test_the_engine_turns_red_after_the_switch_and_not_before() -> None:
    plan = CallPlan(120.0, switch_s=60.0, answered=1.0)
    outcome = replay(draw_call([VOICE, FACE], "both", plan, np.random.default_rng(1), "c"), FusionConfig())
    assert outcome.alarm_s is not None and 60.0 < outcome.alarm_s < 80.0
    found = summary([outcome], 60.0)
    assert found["attacks"]["red"]["detected"] == 1 and found["genuine"] is None
    assert 0 < found["attacks"]["amber"]["delay_s"]["median"] < 20


def outcome(is_spoof: bool, amber_s: float | None = None, red_s: float | None = None) -> Outcome:
    return Outcome("c", is_spoof, 3600.0, amber_s, red_s, State.UNDECIDED, 0.0)


def test_missed_attacks_count_as_never_and_early_alarms_as_no_detection() -> None:
    attacks = [outcome(True, 70.0), outcome(True), outcome(True), outcome(True, 10.0)]
    genuine = [outcome(False), outcome(False, 5.0, 9.0)]
    found = summary([*attacks, *genuine], 60.0)
    assert found["attacks"]["alarmed_before_the_attack"] == 1
    assert found["attacks"]["amber"]["detected"] == 1 and found["attacks"]["amber"]["of"] == 3
    assert found["attacks"]["amber"]["delay_s"] == {"median": None, "p95": None}
    assert found["genuine"]["amber_per_hour"]["value"] == 0.5
    assert found["genuine"]["red_share"]["value"] == 0.5


@given(order=st.permutations(range(8)))
def test_the_order_of_equal_ends_changes_nothing(order: list[int]) -> None:
    drawn = draw_call([FACE], "face", CallPlan(8.0, answered=1.0), np.random.default_rng(1), "c")
    first = [s for s in drawn.scores if s.end_s <= 1.6 + 1e-9]
    again = Stream("c", True, 8.0, tuple(first[n] for n in order) + drawn.scores[8:])
    assert replay(again, FusionConfig()).red_s == replay(drawn, FusionConfig()).red_s


def numbered(signal: Signal, add: float) -> HeldOut:
    """Groups whose llr tell the group and the window: 10 * group + window, shifted by ``add``."""
    groups = tuple(
        Group(f"g{n}", spoof, ((10.0 * n + add, 10.0 * n + 1 + add), (10.0 * n + 2 + add,)))
        for n in range(6)
        for spoof in (False, True)
    )
    return HeldOut(signal, "0" * 64, "made by a test", groups)


def test_detectors_scored_on_the_same_groups_are_drawn_from_the_same_window() -> None:
    pair = [numbered(Signal.FACE_FRAME, 0.0), numbered(Signal.FACE_RING, 100.0)]
    for seed in range(5):
        call = draw_call(pair, "face", CallPlan(30.0, answered=1.0), np.random.default_rng(seed), "c")
        by_end: dict[float, list[float]] = {}
        for score in call.scores:
            assert score.llr is not None
            by_end.setdefault(score.end_s, []).append(score.llr)
        assert all(ring - frame == 100.0 for frame, ring in by_end.values())
        assert len({llrs[0] // 10 for llrs in by_end.values()}) == 1, "one face a call"
        assert len({llrs[0] for llrs in by_end.values()}) > 1, "of which every window comes"


def test_an_attack_forges_only_its_own_kind_of_track_and_only_kinds_with_scores_are_attacked() -> None:
    plan = CallPlan(20.0, answered=1.0)
    for attack, forged in (("voice", {Signal.VOICE_SPOOF}), ("face", {Signal.FACE_FRAME})):
        call = draw_call([VOICE, FACE], attack, plan, np.random.default_rng(1), "c")
        assert {s.signal for s in call.scores if s.llr == 4.0} == forged
        assert call.attack == replay(call, FusionConfig()).attack == attack
    assert attacks_on([VOICE, FACE]) == ("voice", "face", "both")
    assert (attacks_on([VOICE]), attacks_on([FACE])) == (("voice",), ("face",))


def test_a_genuine_call_has_no_attack_and_the_report_tells_none() -> None:
    call = draw_call([VOICE], None, CallPlan(20.0), np.random.default_rng(1), "c")
    assert (call.is_spoof, call.attack) == (False, None)
    assert summary([replay(call, FusionConfig())])["attacks"] is None


@pytest.mark.parametrize(("amber", "answer"), [(0, "held"), (8, "not_shown"), (40, "over")])
def test_a_budget_is_held_only_where_the_limit_lies_within(amber: int, answer: str) -> None:
    calls = [outcome(False, 5.0 if n < amber else None) for n in range(50)]
    budget = summary(calls)["genuine"]["budget"]["amber"]
    assert (budget["per_hour"], budget["answer"]) == (0.2, answer)
    assert budget["upper_95_per_hour"] > amber / 50
