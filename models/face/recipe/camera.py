"""What a webcam and its software do to a picture; drawn alike for both classes.

Real pictures are made soft, sharp, grainy, smoothed, dark and beautified over a wide range, so that
none of it can pass for a trace of forgery. The beauty filter smooths the skin alone and the blurred
background leaves the face alone: both look like a swap's mismatch, and both are genuine.
"""

from __future__ import annotations

import cv2
import numpy as np
from finish import denoise, grain, resample, unsharp
from masks import OVAL, hull_mask


def camera(picture: np.ndarray, rng: np.random.Generator, points: np.ndarray | None = None) -> np.ndarray:
    """Return uint8 (S, S, 3): what a webcam would give of ``picture``.

    Args:
        picture: uint8 (S, S, 3), RGB.
        rng: draws the camera.
        points: float32 (P, 2), the face's landmarks; without them there is neither beauty filter nor
            blurred background.
    """
    out = _optics(picture, rng)
    if rng.random() < 0.12 and points is not None:
        out = _background_blur(out, points, rng)
    out = _light(out, rng)
    if rng.random() < 0.6:
        out = grain(out, 255 * float(rng.uniform(0.002, 0.035)), rng)
    if rng.random() < 0.35:
        out = denoise(out, rng)
    if rng.random() < 0.3:
        out = unsharp(out, float(rng.uniform(0.4, 2.0)), float(rng.uniform(0.7, 1.6)))
    if rng.random() < 0.12 and points is not None:
        out = _beauty(out, points, rng)
    return out


def unseen_camera(
    picture: np.ndarray, rng: np.random.Generator, points: np.ndarray | None = None
) -> np.ndarray:
    """Return what a camera gives that training never draws: a Bayer sensor, its denoiser and sharpening.

    Light falls off to the corners, shot noise grows with brightness in linear light, the mosaic is
    filled in again, the grain averaged away, edges raised by a Laplacian. ``points`` is not looked at.
    """
    del points
    linear = (picture.astype(np.float32) / 255) ** 2.2 * float(rng.uniform(0.35, 1.1))
    y, x = np.mgrid[-1 : 1 : picture.shape[0] * 1j, -1 : 1 : picture.shape[1] * 1j]
    linear *= (1 - float(rng.uniform(0, 0.25)) * (x**2 + y**2) / 2)[..., None].astype(np.float32)
    linear *= 1 + rng.uniform(-0.15, 0.15, 3).astype(np.float32)
    noise = float(rng.uniform(0.0005, 0.012))
    linear += rng.normal(0, 1, linear.shape).astype(np.float32) * np.sqrt(
        np.maximum(linear, 0) * noise**1.5 + noise**2
    )
    seen = (np.clip(linear, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    mosaic = seen[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = seen[::2, ::2, 0], seen[1::2, 1::2, 2]
    out = cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB)
    if rng.random() < 0.5:
        out = cv2.fastNlMeansDenoisingColored(out, None, float(rng.uniform(2, 6)), 6, 3, 9)
    if rng.random() < 0.4:
        out = cv2.edgePreservingFilter(out, flags=1, sigma_s=float(rng.uniform(2, 5)), sigma_r=0.15)
    edges = cv2.Laplacian(cv2.GaussianBlur(out, (3, 3), 0), cv2.CV_32F, ksize=1)
    return np.clip(out - edges * float(rng.uniform(0, 0.6)), 0, 255).astype(np.uint8)


def _optics(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < 0.25:
        return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 2.2)))
    if kind < 0.45:
        return resample(picture, float(rng.uniform(0.3, 0.9)), rng)
    if kind < 0.6:
        return unsharp(picture, float(rng.uniform(0.4, 2.0)), float(rng.uniform(0.8, 2.0)))
    return picture


def _light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White balance, exposure, contrast; a fifth in low light."""
    out = picture.astype(np.float32) / 255 * (1 + rng.uniform(-0.12, 0.12, 3)).astype(np.float32)
    out = np.clip(out, 0, 1) ** float(rng.uniform(0.7, 1.4))
    if rng.random() < 0.2:
        out = out * float(rng.uniform(0.3, 0.8))
    return np.clip(out * 255, 0, 255).astype(np.uint8)


def _beauty(picture: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth the skin inside the face, eyes and mouth less, as call software does."""
    smooth = cv2.bilateralFilter(picture, 7, float(rng.uniform(20, 55)), 4.0)
    face = hull_mask(points[:OVAL], picture.shape[0])
    mouth = hull_mask(points[OVAL : OVAL + 20], picture.shape[0])
    weight = cv2.GaussianBlur(np.clip(face - 0.7 * mouth, 0, 1), (0, 0), float(rng.uniform(3, 9)))
    return _blend(picture, smooth, weight * float(rng.uniform(0.4, 1.0)))


def _background_blur(picture: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur what lies well outside the face (hair is kept), as call software does."""
    middle = points[:OVAL].mean(axis=0)
    outline = middle + (points[:OVAL] - middle) * float(rng.uniform(1.02, 1.2))
    weight = cv2.GaussianBlur(1 - hull_mask(outline, picture.shape[0]), (0, 0), float(rng.uniform(1.5, 6)))
    return _blend(picture, cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(2, 8))), weight)


def _blend(picture: np.ndarray, other: np.ndarray, weight: np.ndarray) -> np.ndarray:
    share = weight[..., None]
    return np.clip(np.round(other * share + picture * (1 - share)), 0, 255).astype(np.uint8)
