"""Where a puppet's skin goes when the head turns, and which of it is seen there: the near hides the far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from guard.demo.puppet_head import Head, smooth_step
from guard.types import FloatArray

CELL_PX = 4
"""Pixels of the picture for one solved point of the map back."""

# how often the map back is refined, and by which part of what is missing
_ROUNDS, _STEP = 9, 0.85
# pixels at rest between two points of a row that is turned, and how far beside the picture it is looked for
_ROW_PX, _BESIDE_PX = 2, 96
# from the camera to the head, in face widths: a telephone held at half a metre
_DISTANCE = 3.6
# depth in face widths from which on a point is no longer part of the head's outline
_BALL = 0.15
# by how many face widths a turn brings skin toward the camera before it counts as the near side
_NEAR_SIDE = 0.06
# what hidden skin is moved on by from point to point, so that places along a row always grow
_GROWING = 1e-4


class Angles(Protocol):
    """How a head is held, degrees; as ``guard.demo.puppet.Pose``."""

    @property
    def yaw_deg(self) -> float:
        """Toward image right."""

    @property
    def pitch_deg(self) -> float:
        """Upward."""

    @property
    def roll_deg(self) -> float:
        """Leaning toward image right."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Cosines and sines of a head's three angles."""

    cos_yaw: float
    sin_yaw: float
    cos_pitch: float = 1.0
    sin_pitch: float = 0.0
    cos_roll: float = 1.0
    sin_roll: float = 0.0

    @classmethod
    def of(cls, pose: Angles) -> Turn:
        """Return them of a pose."""
        angles = (math.radians(a) for a in (pose.yaw_deg, pose.pitch_deg, pose.roll_deg))
        return cls(*(f(angle) for angle in angles for f in (math.cos, math.sin)))

    @property
    def moves(self) -> bool:
        """Whether the head is not at rest."""
        return any((self.sin_yaw, self.sin_pitch, self.sin_roll))


def projected(head: Head, x: FloatArray, y: FloatArray, turn: Turn) -> tuple[FloatArray, FloatArray]:
    """Return where points at rest come to lie: turned in space, seen by the camera, leant at the neck.

    Args:
        head: whose.
        x: pixels of the picture at rest, of any shape.
        y: the same.
        turn: how it is held.
    """
    height, width = head.matte.shape
    row = np.clip(y, 0, height - 1).astype(np.int32)
    column = np.clip(x, 0, width - 1).astype(np.int32)
    rigid = head.rigid[row, column]
    centre_x, centre_y = head.centre
    across, down = x - centre_x, y - centre_y
    face = head.face_width_px
    near_side = np.clip(-across * turn.sin_yaw / (_NEAR_SIDE * face), 0, 1)
    depth = head.depth[row, column]
    depth = depth + near_side * (head.rounded[row, column] - depth)
    # the outline of a ball stays where it is when the ball turns; only what is before it moves
    before = smooth_step(np.asarray(depth / (_BALL * face), np.float32))
    turned = across * (1 - before * (1 - turn.cos_yaw)) + depth * turn.sin_yaw
    ahead = depth * turn.cos_yaw - across * before * turn.sin_yaw
    nodded = down * (1 - before * (1 - turn.cos_pitch)) - ahead * turn.sin_pitch
    ahead = ahead * turn.cos_pitch + down * turn.sin_pitch
    distance = _DISTANCE * face
    nearer = (distance - depth) / (distance - ahead)
    over_x = centre_x + turned * nearer - head.neck[0]
    over_y = centre_y + nodded * nearer - head.neck[1]
    lean_x = over_x * turn.cos_roll - over_y * turn.sin_roll + head.neck[0]
    lean_y = over_x * turn.sin_roll + over_y * turn.cos_roll + head.neck[1]
    return (
        np.asarray(x + rigid * (lean_x - x), np.float32),
        np.asarray(y + rigid * (lean_y - y), np.float32),
    )


def came_from(
    head: Head, wanted_x: FloatArray, wanted_y: FloatArray, turn: Turn
) -> tuple[FloatArray, FloatArray]:
    """Return the points at rest that are seen at the wanted places, float32 of the same shape.

    A turn to the side is undone exactly, row by row, however far it goes; nod and lean by fixed-point
    iteration around it.

    Args:
        head: whose.
        wanted_x: pixels of the turned picture.
        wanted_y: the same.
        turn: how the head is held.
    """
    rows = _rows_undone(head, turn)
    aim_x, at_y = wanted_x, wanted_y
    at_x = wanted_x
    for _ in range(_ROUNDS):
        row = np.clip(at_y / CELL_PX, 0, len(rows) - 1).astype(np.int32)
        column = np.clip(aim_x + _BESIDE_PX, 0, rows.shape[1] - 1.001)
        first = column.astype(np.int32)
        part = column - first
        at_x = rows[row, first] * (1 - part) + rows[row, first + 1] * part
        there_x, there_y = projected(head, at_x, at_y, turn)
        aim_x = aim_x + _STEP * (wanted_x - there_x)
        at_y = at_y + _STEP * (wanted_y - there_y)
    return np.asarray(at_x, np.float32), np.asarray(at_y, np.float32)


def _rows_undone(head: Head, turn: Turn) -> FloatArray:
    """Return where each place of a row comes from when the head only turns to the side.

    Along a row the near side comes first; what it reaches beyond, nose before cheek, hides what lies behind.

    Returns:
        float32 (rows of cells, width + 2 * _BESIDE_PX): x at rest, in pixels.
    """
    height, width = head.matte.shape
    x = np.arange(0, width, _ROW_PX, dtype=np.float32)
    y = (np.arange(-(-height // CELL_PX), dtype=np.float32) + 0.5) * CELL_PX
    places_x, places_y = (np.asarray(values, np.float32) for values in np.meshgrid(x, y))
    there, _ = projected(head, places_x, places_y, Turn(turn.cos_yaw, turn.sin_yaw))
    if turn.sin_yaw >= 0:
        there = np.maximum.accumulate(there, axis=1)
    else:
        there = np.minimum.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    there = there + _GROWING * np.arange(len(x), dtype=np.float32)
    places = np.arange(-_BESIDE_PX, width + _BESIDE_PX, dtype=np.float32)
    return np.stack([np.interp(places, row, x) for row in there]).astype(np.float32)
