"""What a live swap, or a feed that is not live, does to a clip over time.

A swap takes the camera's picture, finds the face's points anew (with an error that differs from picture to
picture), forges the inner face as forge.py does and pastes it back. The draw of the forgery is the same all
clip long; what changes in time is drawn by kind:

- ``plain``: next to nothing but small errors of the points.
- ``jitter``: larger errors of the points, in place, turn and shape.
- ``gain``: brightness and colours matched anew, a little differently, in every picture.
- ``noise``: fine detail that a decoder makes up anew in every picture.
- ``smooth``: averaged over time, steadier than any camera.
- ``mixed``: several of these.

Never trained on: ``mask`` (the edge of the mask moves), ``stuck`` (the swap is slower than the camera: a
face is pasted two or three times), and any of them with the forgeries in ``UNSEEN_METHODS``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from data import Face
from forge import Forger
from temporal_clips import CHIP, HEIGHT, WIDTH

KINDS = ("plain", "jitter", "gain", "noise", "smooth", "mixed")
UNSEEN_KINDS = ("mask", "stuck")
METHODS = ("swap", "bottleneck", "swap_bottleneck", "blend")
UNSEEN_METHODS = ("pca", "morph")
EVENTS = ("frozen", "loop", "cut")


@dataclass(frozen=True)
class Tool:
    """One draw of a live tool: spreads of what it does differently in every picture.

    Args:
        method: of forge.py.
        seed: of the forgery's own draw, the same in every picture.
        points_px: error of the points common to the face, and of single ones.
        gain: relative error of brightness and of each colour.
        detail: levels of made-up detail, and its coarseness in pixels.
        keep: share of the last forged face that is kept.
        edge: how far the mask's edge wanders, as a part of the mask.
        hold: pictures for which a forged face is used.
    """

    method: str
    seed: int
    points_px: tuple[float, float] = (0.1, 0.1)
    gain: float = 0.0
    detail: tuple[float, float] = (0.0, 1.0)
    keep: float = 0.0
    edge: float = 0.0
    hold: int = 1


def draw_tool(kind: str, method: str, rng: np.random.Generator) -> Tool:
    """Return one tool of a kind."""
    has = {name: kind == name or (kind == "mixed" and rng.random() < 0.6) for name in KINDS}
    points = (rng.uniform(0.3, 1.2), rng.uniform(0.2, 0.9)) if has["jitter"] else (0.12, 0.1)
    return Tool(
        method=method,
        seed=int(rng.integers(2**32)),
        points_px=(float(points[0]), float(points[1])),
        gain=float(rng.uniform(0.004, 0.025)) if has["gain"] else 0.0,
        detail=(float(rng.uniform(1, 6)), float(rng.uniform(0.6, 2.0))) if has["noise"] else (0.0, 1.0),
        keep=float(rng.uniform(0.35, 0.7)) if kind == "smooth" else 0.0,
        edge=float(rng.uniform(0.15, 0.5)) if kind == "mask" else 0.0,
        hold=int(rng.integers(2, 4)) if kind == "stuck" else 1,
    )


class LiveSwap:
    """Puts another face on one clip, picture by picture."""

    def __init__(self, tool: Tool, forger: Forger, rng: np.random.Generator) -> None:
        self._tool, self._forger = tool, forger
        self._rng = np.random.default_rng(int(rng.integers(2**32)))
        self._forged: np.ndarray | None = None
        self._alpha = np.zeros((CHIP, CHIP), np.float32)
        self._at = 0

    def __call__(self, picture: np.ndarray, matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the picture uint8 (360, 640, 3) with the face replaced.

        Args:
            picture: what the camera gave.
            matrix: (2, 3) from chip to picture.
            points: (P, 2) of the face in the chip.
        """
        if self._forged is None or self._at % self._tool.hold == 0:
            how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            chip = cv2.warpAffine(picture, matrix, (CHIP, CHIP), flags=how, borderMode=cv2.BORDER_REPLICATE)
            self._forge(chip, points)
        self._at += 1
        assert self._forged is not None
        alpha = self._alpha
        if self._tool.edge:
            field = self._rng.normal(0, self._tool.edge, (5, 5)).astype(np.float32)
            moved = alpha + cv2.resize(field, (CHIP, CHIP), interpolation=cv2.INTER_CUBIC)
            alpha = np.where((alpha > 0.02) & (alpha < 0.98), np.clip(moved, 0, 1), alpha)
        pasted = cv2.warpAffine(self._forged, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        weight = cv2.warpAffine(alpha, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)[..., None]
        out = picture + (pasted - picture.astype(np.float32)) * weight
        return np.clip(np.round(out), 0, 255).astype(np.uint8)

    def _forge(self, chip: np.ndarray, points: np.ndarray) -> None:
        tool, rng = self._tool, self._rng
        face = Face("clip", chip, self._found(points))
        forged = self._forger.forge(face, chip, tool.method, np.random.default_rng(tool.seed))
        touched = (np.abs(forged.astype(np.int16) - chip).max(axis=2) > 0).astype(np.uint8)
        closed = cv2.morphologyEx(touched, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        self._alpha = cv2.GaussianBlur(
            cv2.erode(closed, np.ones((5, 5), np.uint8)) * 1.0, (0, 0), 2.0
        ).astype(np.float32)
        out = forged.astype(np.float32)
        if tool.gain:
            out = out * (1 + rng.normal(0, tool.gain) + rng.normal(0, tool.gain / 2, 3)).astype(np.float32)
        if tool.detail[0]:
            made_up = rng.normal(0, 1, (CHIP, CHIP, 1)).astype(np.float32)
            made_up = cv2.GaussianBlur(made_up, (0, 0), tool.detail[1])[..., None]
            out = out + made_up * np.float32(tool.detail[0] / max(float(made_up.std()), 1e-6))
        if tool.keep and self._forged is not None:
            out = out * (1 - tool.keep) + self._forged * tool.keep
        self._forged = out

    def _found(self, points: np.ndarray) -> np.ndarray:
        """Return the points as the tool's own finder gives them in this picture."""
        rng, (common, single) = self._rng, self._tool.points_px
        turn = rng.normal(0, common / 60)
        centre = points.mean(axis=0)
        moved = (points - centre) @ np.array([[1, turn], [-turn, 1]]) * (1 + rng.normal(0, common / 60))
        return (moved + centre + rng.normal(0, common, 2) + rng.normal(0, single, points.shape)).astype(
            np.float32
        )
