"""The measuring of a live swap: the swap itself, what counts as turned or covered, the printed table."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.live_swap import LiveSwap, delaunay
from benchmarks.occlusion import HAND_S, PORTRAIT, TURN_S, phase, script, table
from guard.challenge.commands import Gesture
from guard.demo.puppet import Pose, Puppet
from guard.resources import models_dir
from guard.windows.face_models import load_face_models


def test_the_triangles_fill_the_hull_and_no_point_lies_in_their_circles() -> None:
    points = np.random.default_rng(3).uniform(0, 100, (60, 2))
    triangles = delaunay(points)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert 0.6 * 100 * 100 < area.sum() <= 100 * 100
    for corners, number in zip(np.stack([a, b, c], axis=1), triangles, strict=True):
        middle = np.linalg.solve(
            2 * (corners[1:] - corners[0]), (corners[1:] ** 2).sum(axis=1) - (corners[0] ** 2).sum()
        )
        others = np.delete(points, number, axis=0)
        least = np.hypot(*(others - middle).T).min()
        assert least >= np.hypot(*(corners[0] - middle)) * (1 - 1e-6)


def test_the_swap_changes_the_face_and_nothing_around_it() -> None:
    models = load_face_models(models_dir())
    puppet = Puppet.bundled(models)
    swap = LiveSwap(models, np.asarray(Image.open(PORTRAIT).convert("RGB")))
    for index, pose in enumerate((Pose(), Pose(yaw_deg=12.0), Pose(yaw_deg=25.0))):
        picture = puppet.frame(pose)
        changed = np.abs(swap.push(picture, index / 15).astype(int) - picture).max(axis=2) > 12
        x, y = puppet.head.centre
        half = 0.9 * puppet.head.face_width_px
        rows, columns = np.nonzero(changed)
        assert len(rows) > 5000
        assert rows.min() > y - 1.3 * half and rows.max() < y + 1.3 * half
        assert columns.min() > x - half and columns.max() < x + half
    empty = np.zeros((120, 160, 3), np.uint8)
    assert swap.push(empty, 9.0) is empty


def test_a_portrait_without_a_face_is_refused() -> None:
    with pytest.raises(ValueError, match="no face"):
        LiveSwap(load_face_models(models_dir()), np.zeros((120, 160, 3), np.uint8))


@pytest.mark.parametrize("number", [0, 1])
def test_each_person_turns_far_and_then_covers_the_mouth(number: int) -> None:
    actor, gesture = script(number)
    poses = [(k / 15, actor.pose(k / 15)) for k in range(300)]
    at = {
        name: [t for t, _ in poses if phase([p for p in poses if p[0] <= t], t) == name]
        for name in ("turn", "hand")
    }
    assert TURN_S < min(at["turn"]) < max(at["turn"]) < HAND_S < min(at["hand"])
    yaw = max((pose.yaw_deg for _, pose in poses), key=abs)
    assert abs(yaw) > 34 and (yaw > 0) == (gesture is Gesture.TURN_FAR_LEFT)


def test_the_table_compares_each_swap_with_its_own_person(capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for pair in range(4):
        for swapped in (False, True):
            rise = 1.0 if swapped and pair else 0.25
            said = [[1.0, "rest", "face_frame", -1.0], [7.0, "turn", "face_frame", -1.0 + rise]]
            said += [[7.2, "turn", "face_frame", "face_turned"]]
            answers = {"turn": ["matched", "done"], "hand": ["mismatched", "not_answered"]}
            if swapped:
                answers["turn"] = ["mismatched", "not_far_enough"]
            lines.append({"pair": pair, "swapped": swapped, "answers": answers, "said": said})
    table(lines)
    printed = capsys.readouterr().out
    assert "face_frame turn: 3 of 4 [19.4, 99.4 %]" in printed
    assert "face_frame hand: no pair" in printed
    assert "+0.25 [+0.25, +0.25] n=4 | 4 of 8 face_turned" in printed
    assert "turn, bona fide: matched 4 of 4 [39.8, 100.0 %]" in printed
    assert "turn, swapped: matched 0 of 4 [0.0, 60.2 %] not_far_enough" in printed
