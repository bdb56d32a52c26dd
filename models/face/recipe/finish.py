"""What is done to a picture's fine detail: sharper, softer, grainier, coded or scaled apart.

A swapped face is not always the softer part of the picture: tools sharpen and restore it, webcams
blur what surrounds it. So a forged face (or a picture generated as a whole) gets the detail of the
real one times a factor drawn on either side of 1, and "sharp means real" cannot be learned.
"""

from __future__ import annotations

import cv2
import numpy as np

_HOW = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
_MOST_GAIN = 3.0


def unsharp(picture: np.ndarray, amount: float, sigma: float = 1.2) -> np.ndarray:
    """Return uint8 ``picture`` with ``amount`` of its detail below ``sigma`` px added again."""
    soft = cv2.GaussianBlur(picture, (0, 0), sigma)
    return cv2.addWeighted(picture, 1 + amount, soft, -amount, 0)


def grain(picture: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 ``picture`` with noise of ``strength`` (of 255) added, fine or a little blotchy."""
    noise = rng.normal(0, strength, picture.shape).astype(np.float32)
    if rng.random() < 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), 0.7) * 1.6
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def denoise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 ``picture`` without its grain: an edge-keeping, a median or a Gaussian filter."""
    kind = rng.random()
    if kind < 0.5:
        return cv2.bilateralFilter(picture, 5, float(rng.uniform(10, 45)), 2.5)
    if kind < 0.75:
        return cv2.medianBlur(picture, 3)
    return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 1.1)))


def resample(picture: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 ``picture`` scaled by ``factor`` and back, by kernels drawn at random."""
    side = max(32, round(picture.shape[0] * factor))
    down = cv2.INTER_AREA if factor < 1 else int(rng.choice(_HOW))
    there = cv2.resize(picture, (side, side), interpolation=down)
    back = cv2.INTER_AREA if factor > 1 else int(rng.choice(_HOW))
    return cv2.resize(there, picture.shape[1::-1], interpolation=back)


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """Return uint8 ``picture`` after JPEG at ``quality``."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def fit_detail(
    source: np.ndarray, like: np.ndarray, inside: np.ndarray, rng: np.random.Generator, spread: float = 0.4
) -> np.ndarray:
    """Return ``source`` with as much fine detail as ``like`` has, times exp(N(0, ``spread``)).

    Args:
        source: uint8 (S, S, 3), the forged picture.
        like: uint8 (S, S, 3), the real one.
        inside: bool (S, S), where the detail of both is measured.
        rng: draws the factor and the width of "fine".
        spread: of the factor's logarithm; half the forgeries come out sharper than the real picture.
    """
    sigma = float(rng.uniform(0.8, 2.0))
    coarse = cv2.GaussianBlur(source, (0, 0), sigma).astype(np.float32)
    fine = source.astype(np.float32) - coarse
    wanted = like.astype(np.float32) - cv2.GaussianBlur(like, (0, 0), sigma)
    ratio = (float(wanted[inside].std()) + 0.3) / (float(fine[inside].std()) + 0.3)
    gain = ratio * float(np.exp(rng.normal(0, spread)))
    out = coarse + fine * min(gain, _MOST_GAIN)
    if gain > _MOST_GAIN or rng.random() < 0.2:  # too little left to raise: grain fills the gap
        missing = float(wanted[inside].std()) * 0.6
        out = out + cv2.GaussianBlur(rng.normal(0, missing * 1.5, out.shape).astype(np.float32), (0, 0), 0.6)
    return np.clip(out, 0, 255).astype(np.uint8)


def other_history(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``picture`` coded, scaled, cleaned or sharpened on its own, as a face handled apart is."""
    kind = rng.random()
    if kind < 0.3:
        shift = int(rng.integers(0, 8)), int(rng.integers(0, 8))
        return np.roll(
            jpeg(np.roll(picture, shift, (0, 1)), int(rng.integers(15, 75))), (-shift[0], -shift[1]), (0, 1)
        )
    if kind < 0.6:
        return resample(picture, float(rng.choice([rng.uniform(0.4, 0.9), rng.uniform(1.1, 1.9)])), rng)
    if kind < 0.75:
        return denoise(picture, rng)
    if kind < 0.9:
        return unsharp(picture, float(rng.uniform(0.6, 2.2)), float(rng.uniform(0.8, 1.6)))
    return grain(picture, float(rng.uniform(2, 9)), rng)


def generator_traces(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``picture`` with what generators leave: a faint grid, even light, skin without pores."""
    out = picture.astype(np.float32)
    if rng.random() < 0.35:
        out = out + _grid(picture.shape[0], rng)[..., None]
    if rng.random() < 0.3:
        low = cv2.GaussianBlur(out, (0, 0), 14.0)
        out = out + (low[:, ::-1] - low) * float(rng.uniform(0.15, 0.5))
    out = np.clip(out, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        out = cv2.bilateralFilter(out, 7, float(rng.uniform(12, 40)), 3.0)
    return out


def _grid(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return float32 (size, size): waves of one or two periods both ways, as upsampling leaves them."""
    x = np.arange(size, dtype=np.float32)
    waves = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        period = float(rng.uniform(2.0, 8.0))
        row = np.cos(2 * np.pi * x / period + float(rng.uniform(0, 6.28)))
        column = np.cos(2 * np.pi * x / period + float(rng.uniform(0, 6.28)))
        waves += float(rng.uniform(0.6, 2.5)) * (
            row[None] * column[:, None] if rng.random() < 0.5 else (row[None] + column[:, None]) / 2
        )
    return waves
