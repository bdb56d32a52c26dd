"""What a picture of a screen carries that a picture of a person does not, as numbers.

A display is a grid of coloured stripes with a lit background, and a camera is a grid of its own: their beat
shows as periodic lines (moire) and coloured fringes, the second sampling softens, blacks are lifted by
backlight and room light, and glass reflects lamps. Everything is measured on the middle of the aligned
crop, and only up to the frequency that the picture itself held: a small face is enlarged for the crop, and
what lies above its own limit is interpolation.

Sources: periodic peaks as in Garcia and de Queiroz, IEEE TIFS 10 (4), 2015; colour and contrast changes as in
Wen, Han and Jain, IEEE TIFS 10 (4), 2015. The formulas are ours: docs/face-signals/presentation.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.types import FloatArray, ImageArray

SIDE_PX = 128
# where the measured part lies in the 224 px crop: brow to chin, cheek to cheek
LEFT_PX, TOP_PX = 48, 51
# between the middles of the eyes in every crop of guard.media.align
CROP_EYES_PX = 54.0
# the coder's blocks in the picture, whose edges are lines too
_BLOCK_PX = 8.0
_LOWEST = 0.06
_EDGE = 0.92
_EPS = 1e-8

NAMES = (
    "luma_peak",
    "luma_peaks",
    "axis_peak",
    "chroma_peak",
    "chroma_peaks",
    "band_mid",
    "band_high",
    "band_top",
    "chroma_share",
    "chroma_fall",
    "red_blue",
    "red_green",
    "fringe",
    "glare",
    "black",
    "white",
    "spread",
    "colour_mean",
    "colour_high",
    "warmth",
    "skew",
)


def features(face: ImageArray, eye_distance_px: float) -> FloatArray:
    """Return the numbers of ``NAMES`` for one face, float32 (21,), all finite.

    Args:
        face: uint8 (128, 128, 3) RGB, rows 51-178 and columns 48-175 of the 224 px crop.
        eye_distance_px: between the middles of the eyes in the picture the crop was cut from.
    """
    picture = face.astype(np.float32) / np.float32(255)
    luma, blue_less, red_less = _opponents(picture)
    own = min(1.0, eye_distance_px / CROP_EYES_PX)
    limit = 0.5 * _EDGE * own
    fine, colour = _Spectrum.of(luma), _Spectrum.of(blue_less + 1j * red_less)
    values = (
        *_peaks(fine, limit, own),
        *_chroma_peaks(colour, limit),
        *_bands(fine, limit),
        *_chroma_bands(colour, fine, limit),
        *_fringes(picture),
        *_tones(luma, blue_less, red_less),
    )
    return np.nan_to_num(np.array(values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _opponents(picture: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return luma and the two colour differences (ITU-R BT.601, section 2.5)."""
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma, 0.564 * (blue - luma), 0.713 * (red - luma)


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.meshgrid(np.fft.fftshift(np.fft.fftfreq(SIDE_PX)), np.fft.fftshift(np.fft.fftfreq(SIDE_PX)))


_FX, _FY = _grid()
_RADIUS = np.hypot(_FX, _FY)
_BIN = 1.0 / SIDE_PX
# one half of the plane: the other says the same
_HALF = (_FY > 0) | ((_FY == 0) & (_FX > 0))
_OFF_AXES = (np.abs(_FX) > 3.5 * _BIN) & (np.abs(_FY) > 3.5 * _BIN)
_HANN = np.outer(np.hanning(SIDE_PX), np.hanning(SIDE_PX)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """Power of each frequency, zero in the middle, and its natural logarithm: float32 (128, 128)."""

    power: FloatArray
    logs: FloatArray

    @classmethod
    def of(cls, plane: FloatArray | NDArray[np.complex64]) -> _Spectrum:
        """Return the spectrum of a plane; of two planes, a + ib, the mean of theirs."""
        found = np.fft.fftshift(np.fft.fft2((plane - plane.mean()) * _HANN))
        power = np.asarray(found.real**2 + found.imag**2, np.float32)
        if np.iscomplexobj(plane):  # |Z(f)|^2 + |Z(-f)|^2 = 2 (|A|^2 + |B|^2)
            power = 0.25 * (power + np.roll(power[::-1, ::-1], (1, 1), (0, 1)))
        power = power + np.float32(_EPS)
        return cls(power, np.log(power))


def _box(values: FloatArray, side: int) -> FloatArray:
    """Return sums over squares of ``side`` cells round each cell, wrapping at the edges."""
    half = side // 2
    for _ in range(2):  # along one axis, and turned, along the other
        size = len(values)
        wrapped = np.concatenate([values[-half:], values, values[:half]])
        total = wrapped[:size].copy()
        for start in range(1, side):
            total += wrapped[start : start + size]
        values = total.T
    return values


def _stand_out(spectrum: _Spectrum) -> FloatArray:
    """Return by how much each frequency stands out from those round it, natural log."""
    round_it = (_box(spectrum.logs, 13) - _box(spectrum.logs, 5)) / (13**2 - 5**2)
    return np.asarray(np.log(_box(spectrum.power, 3) / 9 + _EPS) - round_it, np.float32)


def _top(values: FloatArray, count: int) -> tuple[float, float]:
    """Return the largest value and the mean of the ``count`` largest; zeros where there are none."""
    if not len(values):
        return 0.0, 0.0
    largest = np.sort(values)[-count:]
    return float(largest[-1]), float(largest.mean())


def _peaks(spectrum: _Spectrum, limit: float, own: float) -> tuple[float, float, float]:
    """Return the highest peak and the mean of the highest away from the axes, and the highest on them.

    Lines on the axes at multiples of the coder's block frequency are the coder's.
    """
    found = _stand_out(spectrum)
    within = _HALF & (_RADIUS > _LOWEST) & (limit > _RADIUS)
    peak, peaks = _top(found[within & _OFF_AXES], 24)
    block = own / _BLOCK_PX
    along = np.maximum(np.abs(_FX), np.abs(_FY))
    from_block = np.abs(along / block - np.round(along / block)) * block
    coded = from_block < 2.5 * _BIN
    axis, _ = _top(found[within & ~_OFF_AXES & ~coded], 1)
    return peak, peaks, axis


def _chroma_peaks(spectrum: _Spectrum, limit: float) -> tuple[float, float]:
    """Return the highest peak of colour and the mean of the highest; calls halve its resolution."""
    within = _HALF & (_RADIUS > _LOWEST) & (limit / 2 > _RADIUS)
    return _top(_stand_out(spectrum)[within], 12)


def _level(spectrum: _Spectrum, low: float, high: float) -> float:
    band = spectrum.logs[(low < _RADIUS) & (high >= _RADIUS)]
    return float(band.mean()) if len(band) else 0.0


def _bands(spectrum: _Spectrum, limit: float) -> tuple[float, float, float]:
    """Return how far the spectrum has fallen in the middle, high and topmost part, against its low part."""
    low = _level(spectrum, 0.1 * limit, 0.25 * limit)
    edges = ((0.25, 0.45), (0.45, 0.7), (0.7, 1.0))
    mid, high, top = (_level(spectrum, a * limit, b * limit) - low for a, b in edges)
    return mid, high, top


def _chroma_bands(chroma: _Spectrum, luma: _Spectrum, limit: float) -> tuple[float, float]:
    """Return the power of colour against luma at low frequencies, and how far it falls above them."""
    low, high = (0.1 * limit, 0.25 * limit), (0.25 * limit, 0.5 * limit)
    below = _level(chroma, *low)
    return below - _level(luma, *low), _level(chroma, *high) - below


def _fringes(picture: FloatArray) -> tuple[float, float, float]:
    """Return how alike the fine parts of red and blue, and red and green, are, and how shifted they lie.

    The stripes of a display lie side by side, so red is seen left of blue, or right of it.
    """
    fine = picture[:, 1:-1] - 0.5 * (picture[:, :-2] + picture[:, 2:])
    red, green, blue = fine[..., 0], fine[..., 1], fine[..., 2]
    one, other = _alike(red[:, 1:], blue[:, :-1]), _alike(red[:, :-1], blue[:, 1:])
    return _alike(red, blue), _alike(red, green), abs(one - other)


def _alike(a: FloatArray, b: FloatArray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6))


def _levels(plane: FloatArray, shares: tuple[float, ...]) -> list[float]:
    """Return the levels below which these shares of a plane in [0, 1] lie, to a 255th."""
    counts = np.bincount((np.clip(plane, 0, 1) * 255).astype(np.uint8).ravel(), minlength=256).cumsum()
    return [float(np.searchsorted(counts, share * plane.size)) / 255 for share in shares]


def _tones(luma: FloatArray, blue_less: FloatArray, red_less: FloatArray) -> tuple[float, ...]:
    """Return the share of glare, the black and white levels, their distance, and how much colour there is."""
    colour = np.hypot(blue_less, red_less)
    glare = float(((luma > 0.94) & (colour < 0.05)).mean())
    black, low, high, white = _levels(luma, (0.01, 0.25, 0.75, 0.99))
    mean = float(luma.mean())
    spread = float(luma.std())
    from_mean = luma - mean
    skew = float((from_mean * from_mean * from_mean).mean() / (spread**3 + 1e-4))
    tint = float(red_less.mean() - blue_less.mean())
    return (
        glare,
        black,
        white,
        high - low,
        float(colour.mean()),
        *_levels(colour, (0.95,)),
        tint,
        skew,
    )
