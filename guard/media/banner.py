"""The burnt-in warning: a band with an icon and words, laid over the pictures of a suspect's video.

The band is opaque and laid out once per picture size; drawing copies it into each
picture. It says its message in words and with a warning triangle, so that nobody needs
to tell colours apart (WCAG 2.2, 1.4.1), in white on near-black (contrast above 15:1);
red or amber stripes and a frame around the picture are only an addition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guard.media.lettering import LINE_RATIO, render_line, text_width_px, wrap
from guard.types import ImageArray, State

SMALLEST_LETTERS_PX = 11
LARGEST_LETTERS_PX = 52
MAX_BAND_RATIO = 0.48
_INK = np.array([255, 255, 255], np.float32)
_GROUND = np.array([20, 20, 22], np.float32)
_ACCENTS = {State.SUSPECT: (255, 176, 0), State.SPOOF: (226, 32, 32)}


@dataclass(frozen=True, slots=True)
class BannerText:
    """What the band says, in the recipient's language.

    Args:
        title: the warning in a few words; written larger.
        advice: the next step; may be empty.
        state: suspect or spoof; chooses the accent colour only.
    """

    title: str
    advice: str
    state: State = State.SPOOF

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise ValueError("a banner needs a title: an icon alone explains nothing")
        if self.state not in _ACCENTS:
            raise ValueError(f"a banner shows suspect or spoof, not {self.state}")


@dataclass(frozen=True, slots=True)
class _Lines:
    letters_px: int
    title: list[str]
    advice: list[str]

    @property
    def title_px(self) -> int:
        return round(self.letters_px * 1.15)

    @property
    def height_px(self) -> int:
        padding = self.letters_px
        return (
            round((len(self.title) * self.title_px + len(self.advice) * self.letters_px) * LINE_RATIO)
            + padding
        )


class Banner:
    """A band laid out for one picture size.

    Args:
        text: what it says.
        width: picture width in pixels, even, at least 64.
        height: picture height in pixels, even, at least 64.

    Raises:
        ValueError: the size is odd or too small.
    """

    def __init__(self, text: BannerText, width: int, height: int) -> None:
        if min(width, height) < 64 or width % 2 or height % 2:
            raise ValueError(f"pictures of {width}x{height} cannot carry a banner: even sizes from 64 on")
        self.text = text
        self.width = width
        self.height = height
        self._accent = np.array(_ACCENTS[text.state], np.float32)
        self._edge = max(2, min(width, height) // 90 // 2 * 2)
        self._stripes = max(4, min(width, height) // 60 * 2)
        lines = self._lay_out()
        self.letters_px = lines.letters_px
        self._band = self._paint(lines)
        self.band_height = self._band.shape[0]
        self._band_yuv = rgb_to_yuv420(self._band)
        self._accent_yuv = rgb_to_yuv420(np.broadcast_to(self._accent.astype(np.uint8), (2, 2, 3)))

    def _icon_px(self, letters_px: int) -> int:
        return round(letters_px * 2.4)

    def _lay_out(self) -> _Lines:
        """Return the largest letters whose lines fit the band; then the smallest, cut with an ellipsis."""
        largest = min(LARGEST_LETTERS_PX, max(SMALLEST_LETTERS_PX, min(self.width, self.height) // 14))
        room = self.height * MAX_BAND_RATIO - self._stripes - self._edge - 1
        for letters_px in range(largest, SMALLEST_LETTERS_PX - 1, -1):
            lines = self._wrapped(letters_px)
            if lines.height_px <= room:
                return lines
        while lines.height_px > room and len(lines.title) + len(lines.advice) > 1:
            advice = lines.advice[:-1]
            title = lines.title if lines.advice else lines.title[:-1]
            lines = _Lines(lines.letters_px, title, advice)
        (lines.advice or lines.title)[-1] = self._cut((lines.advice or lines.title)[-1])
        return lines

    def _text_left_px(self, letters_px: int) -> int:
        return self._edge + letters_px + self._icon_px(letters_px)

    def _wrapped(self, letters_px: int) -> _Lines:
        width = self.width - self._text_left_px(letters_px) - self._edge - letters_px // 2
        title_px = round(letters_px * 1.15)
        return _Lines(
            letters_px, wrap(self.text.title, title_px, width), wrap(self.text.advice, letters_px, width)
        )

    def _cut(self, line: str) -> str:
        width = self.width - self._text_left_px(SMALLEST_LETTERS_PX) - self._edge - SMALLEST_LETTERS_PX
        while line and text_width_px(line + "…", round(SMALLEST_LETTERS_PX * 1.15)) > width:
            line = line[:-1].rstrip()
        return line + "…"

    def _paint(self, lines: _Lines) -> ImageArray:
        stripes = self._stripes
        height = (lines.height_px + stripes + self._edge + 1) // 2 * 2
        band = np.broadcast_to(_GROUND, (height, self.width, 3)).copy()
        band[:stripes] = self._hazard(stripes)
        icon = self._icon_px(lines.letters_px)
        middle = stripes + lines.height_px // 2
        _blend(band, _triangle(icon), middle - icon // 2, self._edge + lines.letters_px // 3, self._accent)
        _blend(band, _mark(icon), middle - icon // 2, self._edge + lines.letters_px // 3, _GROUND)
        top = stripes + lines.letters_px // 2
        left = self._text_left_px(lines.letters_px)
        for text, size in [(t, lines.title_px) for t in lines.title] + [
            (t, lines.letters_px) for t in lines.advice
        ]:
            _blend(band, render_line(text, size), top, left, _INK)
            top += round(size * LINE_RATIO)
        return np.clip(np.rint(band), 0, 255).astype(np.uint8)

    def _hazard(self, rows: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
        """Diagonal stripes in the accent colour and black."""
        across = np.arange(self.width)[None, :] + np.arange(rows)[:, None]
        bright = (across // (rows * 2)) % 2 == 0
        return np.where(bright[:, :, None], self._accent, np.float32(0))

    def draw_rgb(self, picture: ImageArray) -> None:
        """Lay band and frame over a picture in place: uint8 (height, width, 3), RGB."""
        self._check(picture.shape, (self.height, self.width, 3))
        edge = self._edge
        picture[:edge] = picture[:, :edge] = picture[:, -edge:] = picture[-edge:] = self._accent.astype(
            np.uint8
        )
        top = self.height - self.band_height
        picture[top:-edge, edge:-edge] = self._band[: self.band_height - edge, edge:-edge]

    def draw_yuv420(self, picture: ImageArray) -> None:
        """Lay band and frame over a picture in place.

        Args:
            picture: uint8 (height * 3 // 2, width), planar YUV 4:2:0 (BT.601, limited range).
        """
        self._check(picture.shape, (self.height * 3 // 2, self.width))
        for plane, band, value, scale in zip(
            _planes(picture, self.height),
            _planes(self._band_yuv, self.band_height),
            self._values(),
            (1, 2, 2),
            strict=True,
        ):
            edge = self._edge // scale
            plane[:edge] = plane[:, :edge] = plane[:, -edge:] = plane[-edge:] = value
            rows = band.shape[0]
            plane[plane.shape[0] - rows : -edge, edge:-edge] = band[: rows - edge, edge:-edge]

    def _values(self) -> tuple[int, int, int]:
        y, u, v = _planes(self._accent_yuv, 2)
        return int(y[0, 0]), int(u[0, 0]), int(v[0, 0])

    def _check(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        if shape != wanted:
            raise ValueError(f"this banner is laid out for pictures of shape {wanted}, not {shape}")


def _planes(picture: ImageArray, height: int) -> tuple[ImageArray, ImageArray, ImageArray]:
    """Return views of the Y, U and V planes of a (height * 3 // 2, width) picture."""
    width = picture.shape[1]
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    return picture[:height], chroma[0], chroma[1]


def rgb_to_yuv420(image: ImageArray) -> ImageArray:
    """Convert uint8 (H, W, 3) RGB to planar (H * 3 // 2, W) YUV 4:2:0, BT.601 limited range.

    H and W are even. Source: ITU-R BT.601-7 section 2.5.3, 8 bits.
    """
    height, width = image.shape[:2]
    rgb = image.astype(np.float32)
    luma = 16 + rgb @ np.array([65.481, 128.553, 24.966], np.float32) / 255
    blue = 128 + rgb @ np.array([-37.797, -74.203, 112.0], np.float32) / 255
    red = 128 + rgb @ np.array([112.0, -93.786, -18.214], np.float32) / 255
    small = [c.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)) for c in (blue, red)]
    out = np.empty((height * 3 // 2, width), np.float32)
    out[:height] = luma
    out[height:] = np.stack(small).reshape(height // 2, width)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _blend(
    band: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    coverage: ImageArray,
    top: int,
    left: int,
    colour: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    """Paint ``colour`` where coverage says, clipped to the band."""
    top = max(0, top)
    target = band[top : top + coverage.shape[0], left : left + coverage.shape[1]]
    share = coverage[: target.shape[0], : target.shape[1], None].astype(np.float32) / 255
    target += (colour - target) * share


def _triangle(size: int) -> ImageArray:
    """Return the coverage of an upright triangle, uint8 (size, size), smoothed by oversampling."""
    fine = size * 4
    y, x = np.mgrid[0:fine, 0:fine] / fine
    inside = (y > 0.08) & (y < 0.92) & (np.abs(x - 0.5) < (y - 0.04) * 0.54)
    return _smooth(inside, size)


def _mark(size: int) -> ImageArray:
    """Return the coverage of the exclamation mark inside the triangle."""
    fine = size * 4
    y, x = np.mgrid[0:fine, 0:fine] / fine
    stem = (y > 0.34) & (y < 0.66) & (np.abs(x - 0.5) < 0.055)
    dot = (x - 0.5) ** 2 + (y - 0.77) ** 2 < 0.065**2
    return _smooth(stem | dot, size)


def _smooth(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], size: int) -> ImageArray:
    coverage: ImageArray = (mask.reshape(size, 4, size, 4).mean(axis=(1, 3)) * 255).astype(np.uint8)
    return coverage
