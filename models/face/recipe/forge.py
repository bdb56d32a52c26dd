"""Makes forged faces out of real ones, in the ways live tools and generators leave traces.

Most forgeries keep hair, neck and background of the real picture and replace the inner face:

- ``blend``: the face blended with a slightly changed copy of itself (self-blending, Shiohara and
  Yamasaki, CVPR 2022, section 3, written anew from the paper).
- ``swap``: another person's face, bent to the landmarks by a thin-plate spline, colours matched.
- ``bottleneck``: the face squeezed through few pixels and brought back, as autoencoders do.
- ``swap_bottleneck``: both, the nearest to what DeepFaceLive and its like send into a call.
- ``decoded``: another person's face, or the same one, as a small autoencoder gives it (rebuild.py).

One replaces the whole picture, as generators and face animation do, so that there is no seam:

- ``generated``: everything as a small autoencoder gives it, then often sharpened or made grainy.

Two are never trained on, only calibrated and measured with:

- ``pca``: the inner face rebuilt from principal components.
- ``generated_unseen``: like ``generated``, from autoencoders whose decoders grow in another way.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from data import Face, Faces
from rebuild import Rebuilder

FIRST_TRAINED = ("blend", "swap", "bottleneck", "swap_bottleneck")
TRAINED = (*FIRST_TRAINED, "decoded", "generated")
HELD_OUT = ("pca", "generated_unseen")
WHOLE = ("generated", "generated_unseen")
_OVAL = 36  # the first landmarks of the file run round the face
_INNER = 112
_GRID = 21


@dataclass(frozen=True)
class FacePca:
    """Principal components of aligned inner faces: mean (D,), basis (K, D), D = 112 * 112 * 3."""

    mean: np.ndarray
    basis: np.ndarray


class Forger:
    """Draws forgeries of one set of faces.

    Args:
        faces: whose faces are forged and whose faces are put on.
        rebuilder: the autoencoders of ``decoded`` and ``generated``.
        pca: needed for the held-out method only.
    """

    def __init__(self, faces: Faces, rebuilder: Rebuilder, pca: FacePca | None = None) -> None:
        self._faces = faces.faces
        self._rows = {index: row for row, index in enumerate(faces.indices)}
        self._shapes = np.stack([_normalised(face.points) for face in faces.faces])
        self._rebuilder = rebuilder
        self._pca = pca

    def forge(self, face: Face, picture: np.ndarray, method: str, rng: np.random.Generator) -> np.ndarray:
        """Return ``picture`` (a camera's view of ``face``) with its face replaced by ``method``."""
        if method in WHOLE:
            return _finish(self._rebuilder(picture, method == "generated", rng), rng)
        source = picture.copy()
        if method.startswith("swap") or (method == "decoded" and rng.random() < 0.5):
            source = self._other_face(face, picture, rng)
        if method.endswith("bottleneck"):
            source = _bottleneck(source, face.points, rng)
        if method == "blend":
            source = _nudge(_recolour(source, 1.0, rng), rng)
            source = _resharpen(source, rng)
        elif method == "bottleneck":
            source = _recolour(source, float(rng.uniform(0.0, 0.7)), rng)
        elif method == "decoded":
            source = _recolour(self._rebuilder(source, True, rng), float(rng.uniform(0.0, 0.7)), rng)
        elif method == "pca":
            source = self._rebuild(source, face.points, rng)
        mask = self._mask(face.points, method, rng)
        return _mix(picture, source, mask)

    def _other_face(self, face: Face, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shape = _normalised(face.points)
        pool = rng.choice(len(self._faces), size=min(40, len(self._faces)), replace=False)
        distance = ((self._shapes[pool] - shape) ** 2).sum(axis=(1, 2))
        order = pool[np.argsort(distance)]
        donor = self._faces[int(order[int(rng.integers(0, 6)) % len(order)])]
        if donor.name == face.name:
            donor = self._faces[int(order[-1])]
        keep = float(rng.uniform(0.0, 0.25))  # live tools leave a little of the donor's own shape
        target = face.points * (1 - keep) + _laid_on(donor.points, face.points) * keep
        bent = bend(donor.image, donor.points, target)
        inside = hull_mask(face.points[:_OVAL], bent.shape[0]) > 0.5
        return _match_colour(bent, picture, inside, rng)

    def _rebuild(self, picture: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self._pca is None:
            raise ValueError("the pca forgery needs its components")
        matrix = inner_matrix(points)
        cut = cv2.warpAffine(picture, matrix, (_INNER, _INNER), borderMode=cv2.BORDER_REPLICATE)
        count = int(rng.integers(60, len(self._pca.basis)))
        basis = self._pca.basis[:count]
        weights = basis @ (cut.astype(np.float32).ravel() - self._pca.mean)
        rebuilt = (self._pca.mean + weights @ basis).reshape(_INNER, _INNER, 3)
        rebuilt = np.clip(rebuilt, 0, 255).astype(np.uint8)
        if rng.random() < 0.5:
            rebuilt = _unsharp(rebuilt, float(rng.uniform(0.3, 1.2)))
        return _lay_back(picture, rebuilt, matrix, cv2.INTER_CUBIC)

    def _mask(self, points: np.ndarray, method: str, rng: np.random.Generator) -> np.ndarray:
        oval = points[:_OVAL]
        kind = rng.random()
        if kind < 0.45:
            outline = oval
        elif kind < 0.7:  # brows to chin: forehead stays the victim's
            row = self._rows
            brows = points[[row[i] for i in (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)]]
            low = oval[oval[:, 1] > brows[:, 1].mean()]
            outline = np.concatenate([brows - (0, rng.uniform(0, 8)), low])
        elif kind < 0.85 or method.startswith("swap"):  # a box's inscribed ellipse
            centre, radius = oval.mean(axis=0), np.ptp(oval, axis=0) / 2 * rng.uniform(0.8, 1.05, 2)
            turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
            outline = centre + np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius
        else:  # mouth and chin only, as dubbing tools do
            mouth = points[_OVAL : _OVAL + 20]
            radius = np.ptp(mouth, axis=0) * rng.uniform(0.7, 1.3, 2) + 6
            turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
            outline = mouth.mean(axis=0) + np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius
        return _soften(hull_mask(outline, 200), rng)


def hull_mask(outline: np.ndarray, size: int) -> np.ndarray:
    """Return float32 (size, size): 1 inside the convex hull of ``outline`` (N, 2), else 0."""
    mask = np.zeros((size, size), np.float32)
    hull = cv2.convexHull(outline.astype(np.float32))
    cv2.fillConvexPoly(mask, np.round(hull * 8).astype(np.int32), 1.0, lineType=cv2.LINE_AA, shift=3)
    return np.minimum(mask, 1.0)


def inner_matrix(points: np.ndarray) -> np.ndarray:
    """Return the (2, 3) matrix that lays the face oval's box on the 112 x 112 inner face."""
    low, high = points[:_OVAL].min(axis=0), points[:_OVAL].max(axis=0)
    scale = _INNER / float((high - low).max() * 1.04)
    shift = _INNER / 2 - (low + high) / 2 * scale
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)


def fit_pca(faces: Faces, count: int, seed: int) -> FacePca:
    """Return the principal components of at most 1,200 of the faces."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(faces.faces))[:1200]
    cuts = []
    for row in rows:
        face = faces.faces[row]
        cut = cv2.warpAffine(
            face.image, inner_matrix(face.points), (_INNER, _INNER), borderMode=cv2.BORDER_REPLICATE
        )
        cuts.append(cut.astype(np.float32).ravel())
    stack = np.stack(cuts)
    mean = stack.mean(axis=0)
    stack -= mean
    values, vectors = np.linalg.eigh(stack @ stack.T)
    order = np.argsort(values)[::-1][:count]
    basis = (stack.T @ vectors[:, order]) / np.sqrt(np.maximum(values[order], 1e-6))
    return FacePca(mean, np.ascontiguousarray(basis.T, dtype=np.float32))


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


def _radial(distance: np.ndarray) -> np.ndarray:
    squared = distance**2
    return squared * np.log(squared + 1e-12)


def _normalised(points: np.ndarray) -> np.ndarray:
    centred = points - points.mean(axis=0)
    return centred / max(float(np.linalg.norm(centred)), 1e-6)


def _laid_on(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(target - target.mean(axis=0))
    return _normalised(points) * size + target.mean(axis=0)


def _match_colour(
    source: np.ndarray, target: np.ndarray, inside: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Move mean and spread of the source's colours to the target's, in Lab or RGB."""
    lab = rng.random() < 0.6
    a = (cv2.cvtColor(source, cv2.COLOR_RGB2LAB) if lab else source).astype(np.float32)
    b = (cv2.cvtColor(target, cv2.COLOR_RGB2LAB) if lab else target).astype(np.float32)
    strength = float(rng.uniform(0.6, 1.0))
    here, there = a[inside], b[inside]
    gain = (there.std(axis=0) + 1.0) / (here.std(axis=0) + 1.0)
    gain = 1 + (np.clip(gain, 0.6, 1.6) - 1) * strength
    moved = (a - here.mean(axis=0)) * gain + here.mean(axis=0)
    moved += (there.mean(axis=0) - here.mean(axis=0)) * strength
    out = np.clip(moved, 0, 255).astype(np.uint8)
    return cv2.cvtColor(out, cv2.COLOR_LAB2RGB) if lab else out


def _bottleneck(picture: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    matrix = inner_matrix(points)
    cut = cv2.warpAffine(
        picture, matrix, (_INNER, _INNER), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    side = int(rng.integers(40, 105))
    small = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)
    smoothing = rng.random()
    if smoothing < 0.3:
        small = cv2.GaussianBlur(small, (0, 0), float(rng.uniform(0.3, 0.8)))
    elif smoothing < 0.55:
        small = cv2.bilateralFilter(small, 5, float(rng.uniform(10, 40)), 2.0)
    elif smoothing < 0.65:
        small = cv2.medianBlur(small, 3)
    up = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]))
    large = cv2.resize(small, (_INNER * 2, _INNER * 2), interpolation=up)
    if rng.random() < 0.5:
        large = _unsharp(large, float(rng.uniform(0.3, 1.8)))
    scale = np.array([[2.0], [2.0]], np.float32)
    return _lay_back(picture, large, (matrix * scale).astype(np.float32), cv2.INTER_LINEAR)


def _lay_back(picture: np.ndarray, cut: np.ndarray, matrix: np.ndarray, how: int) -> np.ndarray:
    out = picture.copy()
    size = picture.shape[1], picture.shape[0]
    return cv2.warpAffine(
        cut, matrix, size, dst=out, flags=how | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_TRANSPARENT
    )


def _recolour(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    gain = 1 + rng.uniform(-0.12, 0.12, 3) * strength
    offset = rng.uniform(-14, 14, 3) * strength
    out = (picture.astype(np.float32) - 128) * gain * (1 + rng.uniform(-0.12, 0.12) * strength) + 128 + offset
    return np.clip(out, 0, 255).astype(np.uint8)


def _nudge(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turn = np.deg2rad(rng.uniform(-2, 2))
    scale = rng.uniform(0.96, 1.04)
    a, b = scale * np.cos(turn), scale * np.sin(turn)
    shift = rng.uniform(-4, 4, 2)
    matrix = np.array(
        [[a, -b, 100 - 100 * a + 100 * b + shift[0]], [b, a, 100 - 100 * b - 100 * a + shift[1]]]
    )
    return cv2.warpAffine(
        picture, matrix, picture.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )


def _resharpen(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < 0.35:
        side = int(picture.shape[0] / rng.uniform(1.3, 3.0))
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    if kind < 0.55:
        return _unsharp(picture, float(rng.uniform(0.3, 1.2)))
    if kind < 0.75:
        return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 1.5)))
    return picture


def _finish(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sharpen or add grain now and then: a generated picture need not be softer than a real one."""
    kind = rng.random()
    if kind < 0.45:
        picture = _unsharp(picture, float(rng.uniform(0.3, 1.5)))
    if 0.3 < kind < 0.65:
        grain = rng.normal(0, float(rng.uniform(1, 6)), picture.shape)
        picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
    return picture


def _unsharp(picture: np.ndarray, amount: float) -> np.ndarray:
    soft = cv2.GaussianBlur(picture, (0, 0), 1.2)
    return cv2.addWeighted(picture, 1 + amount, soft, -amount, 0)


def _soften(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:  # an uneven outline, as segmentation nets draw it
        coarse = rng.normal(0, 1, (6, 6, 2)).astype(np.float32) * float(rng.uniform(0, 4))
        push = cv2.resize(coarse, mask.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]].astype(np.float32)
        mask = cv2.remap(mask, x + push[..., 0], y + push[..., 1], cv2.INTER_LINEAR)
    grow = int(rng.integers(-12, 5))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1, 2 * abs(grow) + 1))
    mask = cv2.erode(mask, kernel) if grow < 0 else cv2.dilate(mask, kernel)
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(1.0, 9.0)))
    return mask * float(rng.choice([1.0, 1.0, 1.0, 0.85]))


def _mix(picture: np.ndarray, source: np.ndarray, mask: np.ndarray) -> np.ndarray:
    weight = mask[..., None]
    out = source.astype(np.float32) * weight + picture.astype(np.float32) * (1 - weight)
    return np.clip(np.round(out), 0, 255).astype(np.uint8)
