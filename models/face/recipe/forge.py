"""Makes forged faces out of real ones, in the ways live tools and generators leave traces.

Most forgeries keep hair, neck and background of the real picture and replace the inner face:

- ``blend``: the face blended with a slightly changed copy of itself (self-blending, Shiohara and
  Yamasaki, CVPR 2022, section 3, written anew from the paper).
- ``swap``: another person's face, bent to the landmarks by a thin-plate spline, colours matched.
- ``bottleneck``: the face squeezed through few pixels and brought back, as autoencoders do.
- ``swap_bottleneck``: both, the nearest to what DeepFaceLive and its like send into a call.
- ``decoded``: another person's face, or the same one, as a small autoencoder gives it (rebuild.py).
- ``recoded``: the face itself, coded, scaled, cleaned or sharpened apart from its surroundings.

One replaces the whole picture, as generators and face animation do, so that there is no seam:

- ``generated``: everything as a small autoencoder gives it, with what generators leave.

Three are never trained on, only calibrated, chosen and measured with:

- ``pca``: the inner face rebuilt from principal components.
- ``morph``: the inner face half another person's, half its own.
- ``generated_unseen``: like ``generated``, from autoencoders whose decoders grow in another way.

Every forgery is finished in a way drawn apart from its method, and named with it: ``as_is`` (mostly
softer than the real picture), ``even`` (its detail made like the real one's, sharper or softer by
chance), ``grainy`` or ``clean`` (noise added, or taken away, in the forged part only).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from bend import bend, laid_on, normalised
from data import Face, Faces
from finish import denoise, fit_detail, generator_traces, grain, other_history, resample, unsharp
from masks import OVAL, hull_mask, swap_mask
from rebuild import Rebuilder

FIRST_TRAINED = ("blend", "swap", "bottleneck", "swap_bottleneck")
TRAINED = (*FIRST_TRAINED, "decoded", "recoded", "generated")
HELD_OUT = ("pca", "morph", "generated_unseen")
WHOLE = ("generated", "generated_unseen")
FINISHES = ("as_is", "even", "grainy", "clean")
_SHARES = (0.4, 0.4, 0.1, 0.1)
_INNER = 112


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
        self._shapes = np.stack([normalised(face.points) for face in faces.faces])
        self._rebuilder = rebuilder
        self._pca = pca

    def forge(self, face: Face, picture: np.ndarray, method: str, rng: np.random.Generator) -> np.ndarray:
        """Return ``picture`` (a camera's view of ``face``) forged by ``method``."""
        return self.forge_and_name(face, picture, method, rng)[0]

    def forge_and_name(
        self, face: Face, picture: np.ndarray, method: str, rng: np.random.Generator
    ) -> tuple[np.ndarray, str]:
        """Return what ``forge`` returns and how the forgery was finished."""
        finish = str(rng.choice(FINISHES, p=_SHARES))
        mask = swap_mask(face.points, self._rows, method.startswith("swap"), rng)
        source = self._source(face, picture, method, rng)
        inside = mask > 0.5 if method not in WHOLE else np.ones(mask.shape, bool)
        if finish == "even" and inside.any():
            source = fit_detail(source, picture, inside, rng)
        elif finish == "grainy":
            source = grain(source, float(rng.uniform(1.5, 7)), rng)
        elif finish == "clean":
            source = denoise(source, rng)
        return (source if method in WHOLE else _mix(picture, source, mask)), finish

    def _source(self, face: Face, picture: np.ndarray, method: str, rng: np.random.Generator) -> np.ndarray:
        """Return the picture that is laid on, before it is finished."""
        if method in WHOLE:
            return generator_traces(self._rebuilder(picture, method == "generated", rng), rng)
        if method == "blend":
            return _resharpen(_nudge(_recolour(picture, 1.0, rng), rng), rng)
        if method == "recoded":
            return _recolour(other_history(picture, rng), float(rng.uniform(0.0, 0.5)), rng)
        if method == "pca":
            return self._from_components(picture, face.points, rng)
        if method == "morph":
            other = self._other_face(face, picture, rng).astype(np.float32)
            share = float(rng.uniform(0.35, 0.65))
            return np.round(other * share + picture * (1 - share)).astype(np.uint8)
        source = picture
        if method.startswith("swap") or (method == "decoded" and rng.random() < 0.5):
            source = self._other_face(face, picture, rng)
        if method.endswith("bottleneck"):
            source = _bottleneck(source, face.points, rng)
        if method == "decoded":
            source = self._rebuilder(source, True, rng)
        return source if method.startswith("swap") else _recolour(source, float(rng.uniform(0.0, 0.7)), rng)

    def _other_face(self, face: Face, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shape = normalised(face.points)
        pool = rng.choice(len(self._faces), size=min(40, len(self._faces)), replace=False)
        distance = ((self._shapes[pool] - shape) ** 2).sum(axis=(1, 2))
        order = pool[np.argsort(distance)]
        donor = self._faces[int(order[int(rng.integers(0, 6)) % len(order)])]
        if donor.name == face.name:
            donor = self._faces[int(order[-1])]
        keep = float(rng.uniform(0.0, 0.25))  # live tools leave a little of the donor's own shape
        target = face.points * (1 - keep) + laid_on(donor.points, face.points) * keep
        bent = bend(donor.image, donor.points, target)
        inside = hull_mask(face.points[:OVAL], bent.shape[0]) > 0.5
        return _match_colour(bent, picture, inside, rng)

    def _from_components(
        self, picture: np.ndarray, points: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
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
            rebuilt = unsharp(rebuilt, float(rng.uniform(0.3, 1.2)))
        return _lay_back(picture, rebuilt, matrix, cv2.INTER_CUBIC)


def inner_matrix(points: np.ndarray) -> np.ndarray:
    """Return the (2, 3) matrix that lays the face oval's box on the 112 x 112 inner face."""
    low, high = points[:OVAL].min(axis=0), points[:OVAL].max(axis=0)
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
    side = int(rng.integers(40, 113))
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
        large = unsharp(large, float(rng.uniform(0.3, 1.8)))
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


def _mix(picture: np.ndarray, source: np.ndarray, mask: np.ndarray) -> np.ndarray:
    weight = mask[..., None]
    out = source.astype(np.float32) * weight + picture.astype(np.float32) * (1 - weight)
    return np.clip(np.round(out), 0, 255).astype(np.uint8)


def _resharpen(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < 0.35:
        return resample(picture, 1 / float(rng.uniform(1.3, 3.0)), rng)
    if kind < 0.55:
        return unsharp(picture, float(rng.uniform(0.3, 1.2)))
    if kind < 0.75:
        return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 1.5)))
    return picture
