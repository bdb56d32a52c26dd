"""The counting of gesture judgements: the same commands again, limits that follow from the counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gesture_person import Acts
from benchmarks.gestures import asked, table
from guard.challenge.commands import Gesture
from guard.challenge.gestures import LIMIT_S
from guard.challenge.rates import RATES
from guard.evaluation.exact import share


def outcome(source: str, doing: str, wanted: str, answer: str) -> str:
    return json.dumps(
        {"source": source, "doing": doing, "asked": wanted, "answer": answer, "reason": "r", "onset_s": None}
    )


def test_counts_become_rows_of_the_table_with_exact_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []
    for gesture in LIMIT_S:
        lines += [outcome("rendered", gesture.value, gesture.value, "matched")] * 9
        lines += [outcome("rendered", gesture.value, gesture.value, "unseen")] * 2
        lines += [outcome("rendered", "nothing", gesture.value, "mismatched")] * 30
        lines += [outcome("clip", "nothing", gesture.value, "matched")]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    table([tmp_path / "a.jsonl"])
    printed = capsys.readouterr().out
    least, most = share(9, 9, 0.9).low, share(1, 31, 0.9).high
    assert f"Gesture.TURN_LEFT: Rates(9, 9, 1, 31, {least:.4f}, {most:.4f})" in printed
    assert "| `turn_left` | 9 / 0 / 2 | 0 / 30 / 0 | 1 / 0 / 0 |" in printed
    assert "turn_left clip nothing r: 1" in printed


@pytest.mark.parametrize("gesture", LIMIT_S)
def test_the_shipped_limits_follow_from_the_shipped_counts(gesture: Gesture) -> None:
    found = RATES[gesture]
    assert found.person_least == pytest.approx(share(found.person_matched, found.person, 0.9).low, abs=1e-4)
    assert found.spoof_most == pytest.approx(share(found.spoof_matched, found.spoof, 0.9).high, abs=1e-4)


@pytest.mark.parametrize("gesture", LIMIT_S)
def test_the_rendered_person_rests_before_the_command_and_acts_after_it(gesture: Gesture) -> None:
    steps = asked(gesture, 3).command.steps
    acts, idle = Acts(gesture, 3, steps), Acts(None, 3)
    assert all(acts.pose(t / 10) == idle.pose(t / 10) for t in range(-20, -4))
    assert any(acts.pose(t / 10) != idle.pose(t / 10) for t in range(4, 80))


def test_a_seed_asks_the_same_way_of_the_dot_again() -> None:
    assert asked(Gesture.FOLLOW_DOT, 5) == asked(Gesture.FOLLOW_DOT, 5)
    assert asked(Gesture.FOLLOW_DOT, 5) != asked(Gesture.FOLLOW_DOT, 6)
