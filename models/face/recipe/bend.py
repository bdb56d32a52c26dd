"""Lays one face's landmarks on another's."""

from __future__ import annotations

import cv2
import numpy as np

_GRID = 21


def bend(image: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return ``image`` bent so that ``source`` (P, 2) comes to lie on ``target`` (P, 2).

    A thin-plate spline (Bookstein, PAMI 1989, section III) maps the target's grid back.
    """
    size = image.shape[0]
    scale = 1.0 / size
    knots, values = target[::2] * scale, source[::2] * scale
    distance = np.linalg.norm(knots[:, None] - knots[None], axis=2)
    count = len(knots)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _radial(distance) + np.eye(count) * 1e-4
    system[:count, count:] = np.column_stack([np.ones(count), knots])
    system[count:, :count] = system[:count, count:].T
    right = np.zeros((count + 3, 2))
    right[:count] = values
    weights = np.linalg.solve(system, right)
    axis = (np.arange(_GRID) / (_GRID - 1)).astype(np.float64)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    reach = _radial(np.linalg.norm(grid[:, None] - knots[None], axis=2))
    back = reach @ weights[:count] + np.column_stack([np.ones(len(grid)), grid]) @ weights[count:]
    coarse = (back.reshape(_GRID, _GRID, 2) * size).astype(np.float32)
    pixel = (np.arange(size, dtype=np.float32) / size) * (_GRID - 1)
    x, y = np.meshgrid(pixel, pixel)
    dense = cv2.remap(coarse, x, y, cv2.INTER_LINEAR)
    return cv2.remap(image, dense[..., 0], dense[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def normalised(points: np.ndarray) -> np.ndarray:
    """Return ``points`` (P, 2) moved to their middle and scaled to length 1."""
    centred = points - points.mean(axis=0)
    return centred / max(float(np.linalg.norm(centred)), 1e-6)


def laid_on(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return ``points`` (P, 2) moved and scaled to where ``target`` (P, 2) lies."""
    size = np.linalg.norm(target - target.mean(axis=0))
    return normalised(points) * size + target.mean(axis=0)


def _radial(distance: np.ndarray) -> np.ndarray:
    squared = distance**2
    return squared * np.log(squared + 1e-12)
