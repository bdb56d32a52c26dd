"""Draws on a face what may hide part of it, and what genuine people wear that hides nothing that matters.

Numpy and PIL only. A chip is float (200, 200, 3) in [0, 255]; a coverage is float (200, 200) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HIDING = ("mask", "hand", "scarf", "bar", "picture", "half", "eye", "hand_eye", "hair", "eyes_bar")
WORN = ("beard", "glasses", "side_light", "sunglasses")
SIZE_PX = 200
_CLOTH = ([225, 230, 235], [150, 190, 220], [30, 30, 34], [200, 150, 170], [90, 140, 110], [240, 240, 240])
_LOWER_FACE = (361, 288, 397, 378, 152, 149, 172, 58, 132)
_LIPS = (61, 40, 37, 0, 267, 270, 291, 405, 17, 181)
_Y, _X = np.mgrid[0:SIZE_PX, 0:SIZE_PX].astype(np.float32)


class Points:
    """The landmarks of a chip by FaceMesh index, and the face's own axes."""

    def __init__(self, points: np.ndarray, indices: list[int]) -> None:
        self._rows = {index: points[row].astype(float) for row, index in enumerate(indices)}
        self.eyes = [(self[a] + self[b]) / 2 for a, b in ((33, 133), (263, 362))]
        self.between = (self.eyes[0] + self.eyes[1]) / 2
        self.unit = float(np.hypot(*(self.eyes[1] - self.eyes[0])))
        self.x = (self.eyes[1] - self.eyes[0]) / self.unit
        self.y = np.array([-self.x[1], self.x[0]])
        self.mouth = (self[61] + self[291]) / 2

    def __getitem__(self, index: int) -> np.ndarray:
        return self._rows[index]

    def at(self, across: float, down: float) -> np.ndarray:
        """Return the place so many eye distances from the middle between the eyes."""
        return self.between + self.x * self.unit * across + self.y * self.unit * down


class Painter:
    """Draws on one chip; the numbers drawn are those of ``rng`` alone."""

    def __init__(
        self, rng: np.random.Generator, face: np.ndarray, points: Points, other: Callable[[], np.ndarray]
    ) -> None:
        self.rng, self.face, self.p, self._other = rng, face, points, other

    def draw(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the chip with something of ``HIDING`` or ``WORN`` on it, and what of it is covered."""
        surface, cover = getattr(self, f"_{kind}")()
        mixed = self.face * (1 - cover[..., None]) + surface * cover[..., None]
        return mixed.clip(0, 255), cover if kind in HIDING else np.zeros_like(cover)

    def _mask(self) -> tuple[np.ndarray, np.ndarray]:
        p, top = self.p, 0.3 + self.rng.uniform(-0.1, 0.35)
        ears = p[234] * 0.6 + p[93] * 0.4, p[454] * 0.6 + p[323] * 0.4
        upper = [ears[0], p.at(-0.45, top + 0.15), p.at(0, top), p.at(0.45, top + 0.15), ears[1]]
        lower = [p[i] + (p.y * p.unit * 0.12 if i == 152 else 0) for i in _LOWER_FACE]
        away = ((_X - p.between[0]) * p.x[0] + (_Y - p.between[1]) * p.x[1]) / p.unit
        round_ = 1 - 0.18 * np.clip(np.abs(away), 0, 1.2) ** 2
        return self._cloth() * round_[..., None], _shape([*upper, *lower], self._soft())

    def _scarf(self) -> tuple[np.ndarray, np.ndarray]:
        p, top, lean = self.p, self.rng.uniform(0.3, 0.8), self.rng.uniform(-0.15, 0.15)
        edge = [p.at(q, top + self.rng.normal(0, 0.05)) for q in (-1.0, -0.5, 0.0, 0.5, 1.0)]
        outline = [p.at(-6, top + lean), *edge, p.at(6, top - lean), p.at(6, 6), p.at(-6, 6)]
        return self._cloth(), _shape(outline, self._soft())

    def _bar(self) -> tuple[np.ndarray, np.ndarray]:
        return self._surface(), _shape(self._below(), self.rng.uniform(0.2, 1.2))

    def _picture(self) -> tuple[np.ndarray, np.ndarray]:
        area = self._below() if self.rng.random() < 0.5 else self._side()
        return self._elsewhere(), _shape(area, self._soft())

    def _half(self) -> tuple[np.ndarray, np.ndarray]:
        return self._surface(), _shape(self._side(), self.rng.uniform(0.2, 1.5))

    def _eye(self) -> tuple[np.ndarray, np.ndarray]:
        p, side = self.p, self.rng.choice([-0.5, 0.5])
        w, h = self.rng.uniform(0.36, 0.48), self.rng.uniform(0.25, 0.6)
        box = [p.at(side - w, -h), p.at(side + w, -h), p.at(side + w, h), p.at(side - w, h)]
        return self._surface(), _shape(box, self._soft())

    def _eyes_bar(self) -> tuple[np.ndarray, np.ndarray]:
        p, up, down = self.p, -self.rng.uniform(0.25, 1.0), self.rng.uniform(0.22, 0.45)
        return self._surface(), _shape(
            [p.at(-6, up), p.at(6, up), p.at(6, down), p.at(-6, down)], self._soft()
        )

    def _hand(self) -> tuple[np.ndarray, np.ndarray]:
        centre = self.p.mouth + self.rng.normal(0, 0.06, 2) * self.p.unit
        return self._fingers(centre, self.p.unit * self.rng.uniform(0.75, 1.0))

    def _hand_eye(self) -> tuple[np.ndarray, np.ndarray]:
        centre = self.p.eyes[self.rng.integers(2)] + self.rng.normal(0, 0.05, 2) * self.p.unit
        return self._fingers(centre, self.p.unit * self.rng.uniform(0.6, 0.9))

    def _hair(self) -> tuple[np.ndarray, np.ndarray]:
        p, rng, side = self.p, self.rng, self.rng.choice([-1, 1])
        cover, tone = (Image.new("L", (2 * SIZE_PX, 2 * SIZE_PX), ground) for ground in (0, 128))
        pens = ImageDraw.Draw(cover), ImageDraw.Draw(tone)
        for _ in range(rng.integers(140, 320)):
            out = side * rng.uniform(0.1, 0.95)
            end = out + side * rng.normal(0, 0.1)
            last = end + side * rng.normal(0.1, 0.2)
            places = [
                (out, -1.6),
                ((out + end) / 2 + 0.06 * side, -0.8),
                (end, 0.0),
                (last, rng.uniform(0.2, 1.4)),
            ]
            line, width = [tuple(2 * p.at(*place)) for place in places], int(rng.integers(2, 7))
            pens[0].line(line, fill=255, width=width)
            pens[1].line(line, fill=int(np.clip(rng.normal(128, 30), 40, 230)), width=width)
        colour = rng.integers(10, 110) * np.array([1, rng.uniform(0.75, 0.95), rng.uniform(0.5, 0.85)])
        return colour * 2 * _small(tone)[..., None], _small(cover)

    def _beard(self) -> tuple[np.ndarray, np.ndarray]:
        p, rng = self.p, self.rng
        sides = [p[291] + p.x * p.unit * 0.18, (p[327] + p[270]) / 2, p[2] * 0.55 + p[0] * 0.45]
        sides += [(p[98] + p[40]) / 2, p[61] - p.x * p.unit * 0.18]
        jaw = [p[i] + (p.y * p.unit * 0.1 if i == 152 else 0) for i in reversed(_LOWER_FACE)]
        cover = _shape([*jaw, *sides], rng.uniform(1.5, 4)) * (1 - _shape([p[i] for i in _LIPS], 1.2))
        cover = cover * rng.uniform(0.5, 0.95) * np.clip(1 + 0.3 * self._noise(2), 0, 1)
        tone = 1 + rng.uniform(0.15, 0.5) * self._noise(rng.uniform(1, 2.2))
        colour = rng.integers(8, 120) * np.array([1, rng.uniform(0.78, 0.95), rng.uniform(0.6, 0.9)])
        return colour * tone[..., None], cover

    def _glasses(self) -> tuple[np.ndarray, np.ndarray]:
        return np.ones_like(self.face) * self.rng.integers(5, 90, 3), self._frames()[0]

    def _sunglasses(self) -> tuple[np.ndarray, np.ndarray]:
        frame, lens = self._frames()
        tint = self.rng.integers(5, 60, 3) * (1 + self.rng.uniform(0, 1.2) * (_Y / SIZE_PX - 0.3))[..., None]
        glass = tint + self.rng.uniform(0, 0.12) * self.face
        colour = self.rng.integers(5, 90, 3)
        return np.where(frame[..., None] > 0.5, colour, glass), np.maximum(frame, lens)

    def _side_light(self) -> tuple[np.ndarray, np.ndarray]:
        p, low, side = self.p, self.rng.uniform(0.2, 0.6), self.rng.choice([-1, 1])
        away = ((_X - p.between[0]) * p.x[0] + (_Y - p.between[1]) * p.x[1]) / p.unit
        light = low + (1.15 - low) / (1 + np.exp(-side * away * self.rng.uniform(1.5, 6)))
        return self.face * light[..., None], np.ones((SIZE_PX, SIZE_PX))

    def _frames(self) -> tuple[np.ndarray, np.ndarray]:
        p, rng = self.p, self.rng
        frame, lens = (Image.new("L", (2 * SIZE_PX, 2 * SIZE_PX), 0) for _ in range(2))
        pen, width = ImageDraw.Draw(frame), int(rng.integers(2, 7))
        w, h, round_ = rng.uniform(0.38, 0.46), rng.uniform(0.26, 0.4), rng.uniform(0.3, 1)
        for side in (-0.5, 0.5):
            x, y = p.at(side, 0.04)
            box = [2 * (x - w * p.unit), 2 * (y - h * p.unit), 2 * (x + w * p.unit), 2 * (y + h * p.unit)]
            pen.rounded_rectangle(box, 2 * round_ * h * p.unit, outline=255, width=width)
            ImageDraw.Draw(lens).rounded_rectangle(box, 2 * round_ * h * p.unit, fill=255)
        pen.line([tuple(2 * p.at(w - 0.5, 0)), tuple(2 * p.at(0.5 - w, 0))], fill=255, width=width)
        return _small(frame), _small(lens)

    def _fingers(self, centre: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
        """Return two to four fingers side by side and a palm, out of this face's own cheek."""
        rng, count = self.rng, int(self.rng.integers(2, 5))
        angle, width, length = (
            rng.uniform(-np.pi, np.pi),
            size * rng.uniform(0.42, 0.6),
            size * rng.uniform(1.6, 2.4),
        )
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        cover, shade = np.zeros_like(_X), np.ones_like(_X)
        for finger in range(count):
            foot = centre + across * width * (finger - (count - 1) / 2)
            tip, way = foot + along * length * rng.uniform(0.45, 0.65), -along * length
            t = np.clip(((_X - tip[0]) * way[0] + (_Y - tip[1]) * way[1]) / (way @ way), 0, 1)
            off = np.hypot(_X - tip[0] - t * way[0], _Y - tip[1] - t * way[1]) / (width * 0.52)
            own = 1 / (1 + np.exp((off - 1) * 14))
            shade = np.where(own > cover, 1 - 0.35 * np.clip(off, 0, 1.2) ** 2, shade)
            cover = np.maximum(cover, own)
        palm = centre - along * length * 0.75
        off = np.hypot(_X - palm[0], _Y - palm[1]) / (width * count * 0.62)
        own = 1 / (1 + np.exp(np.clip((off - 1) * 14, -50, 50)))
        shade = np.where(own > cover, 1 - 0.1 * np.minimum(off, 2) ** 2, shade)
        return self._skin() * shade[..., None], np.maximum(cover, own)

    def _below(self) -> list[np.ndarray]:
        p, top = self.p, self.rng.uniform(0.25, 0.8)
        wide = 6.0 if self.rng.random() < 0.4 else self.rng.uniform(0.9, 1.6)
        low = 6.0 if self.rng.random() < 0.5 else self.rng.uniform(1.75, 2.6)
        return [p.at(-wide, top), p.at(wide, top), p.at(wide, low), p.at(-wide, low)]

    def _side(self) -> list[np.ndarray]:
        p, side = self.p, self.rng.choice([-1, 1])
        edge, lean = side * self.rng.uniform(-0.1, 0.22), self.rng.uniform(-0.2, 0.2)
        return [p.at(edge, -6), p.at(6 * side, -6), p.at(6 * side, 6), p.at(edge + lean, 6)]

    def _surface(self) -> np.ndarray:
        kind = self.rng.integers(5)
        if kind == 0:
            return np.ones_like(self.face) * self.rng.integers(10, 245, 3)
        if kind == 1:
            slope = self.rng.uniform(-0.6, 0.6, 2)
            light = 1 + slope[0] * (_X / SIZE_PX - 0.5) + slope[1] * (_Y / SIZE_PX - 0.5)
            grain = self.rng.normal(0, 3, (SIZE_PX, SIZE_PX, 1))
            return self.rng.integers(40, 220, 3) * light[..., None] + grain
        return (self._elsewhere, self._cloth, self._skin)[kind - 2]()

    def _elsewhere(self) -> np.ndarray:
        """Return an edge of another picture, enlarged: background, hair, clothes."""
        side = int(self.rng.integers(40, 120))
        along = int(self.rng.integers(0, SIZE_PX - side))
        row, column = [(0, along), (SIZE_PX - side, along), (along, 0), (along, SIZE_PX - side)][
            self.rng.integers(4)
        ]
        part = self._other().astype(np.uint8)[row : row + side, column : column + side]
        return np.asarray(Image.fromarray(part).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC), float)

    def _cloth(self) -> np.ndarray:
        rng = self.rng
        colour = (
            rng.integers(20, 240, 3) if rng.random() < 0.15 else np.array(_CLOTH[rng.integers(len(_CLOTH))])
        )
        down, shade = _Y / SIZE_PX + rng.uniform(-0.4, 0.4) * _X / SIZE_PX, np.zeros_like(_X)
        for _ in range(rng.integers(0, 5)):
            at, width = rng.uniform(0, 1), rng.uniform(0.004, 0.02)
            shade -= rng.uniform(0.05, 0.3) * np.exp(-(((down - at) / width) ** 2))
            shade += rng.uniform(0, 0.15) * np.exp(-(((down - at - 2 * width) / (2 * width)) ** 2))
        shade += rng.uniform(0.02, 0.15) * self._noise(rng.uniform(15, 70)) + rng.uniform(
            0, 0.05
        ) * self._noise(2)
        shade += rng.uniform(-0.3, 0.3) * (_X / SIZE_PX - 0.5) + rng.uniform(-0.4, 0.1) * (_Y / SIZE_PX - 0.5)
        if rng.random() < 0.3:
            lines, angle = rng.uniform(10, 40), rng.uniform(0, np.pi)
            wave = np.sin(2 * np.pi * lines * (_X * np.cos(angle) + _Y * np.sin(angle)) / SIZE_PX)
            shade += rng.uniform(0.02, 0.17) * np.sign(wave)
        return (colour * (1 + shade)[..., None]).clip(0, 255)

    def _skin(self) -> np.ndarray:
        """Return skin out of a cheek, mirrored over the whole chip, with new shading."""
        p, half = self.p, int(self.p.unit * 0.22) + 2
        place = p.eyes[self.rng.integers(2)] + p.y * p.unit * 0.55
        x, y = (int(v) for v in np.clip(place, half, SIZE_PX - half - 1))
        tile = self.face[y - half : y + half, x - half : x + half]
        mean = tile.mean(axis=(0, 1))
        tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
        tile = np.concatenate([tile, tile[::-1]], axis=0)
        times = SIZE_PX // tile.shape[0] + 2
        skin = np.tile(tile, (times, times, 1))[:SIZE_PX, :SIZE_PX]
        skin = mean + (skin - mean) * self.rng.uniform(0.4, 1.0)
        light = 1 + self.rng.uniform(0.03, 0.12) * self._noise(self.rng.uniform(12, 40))
        return skin * light[..., None] * self.rng.uniform(0.8, 1.15)

    def _noise(self, cell_px: float) -> np.ndarray:
        side = max(2, int(np.ceil(SIZE_PX / cell_px)))
        coarse = Image.fromarray(self.rng.normal(0, 1, (side, side)).astype(np.float32))
        return np.asarray(coarse.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))

    def _soft(self) -> float:
        return float(self.rng.uniform(0.4, 2.0))


def _shape(outline: list[np.ndarray], soft_px: float) -> np.ndarray:
    picture = Image.new("L", (2 * SIZE_PX, 2 * SIZE_PX), 0)
    ImageDraw.Draw(picture).polygon([tuple(2 * float(v) for v in point) for point in outline], fill=255)
    small = picture.resize((SIZE_PX, SIZE_PX), Image.Resampling.BOX)
    return np.asarray(small.filter(ImageFilter.GaussianBlur(soft_px)), np.float32) / 255


def _small(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.resize((SIZE_PX, SIZE_PX), Image.Resampling.BOX), np.float32) / 255
