"""A rendered person for demonstrations and tests: one picture that can turn, blink, speak and hide.

It is no photograph and says so: every picture carries the word RENDERED. A real frontal frame is given the
depth of its FaceMesh points, turned in space and drawn again, so that guard's own networks measure on the
encoded and decoded picture what the pose asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from guard.demo.puppet_face import Eye, Mouth
from guard.demo.puppet_hand import hand_pictures, hand_place
from guard.demo.puppet_head import Head, bundled_frontal, take_apart
from guard.demo.puppet_turn import CELL_PX, Turn, came_from, projected
from guard.types import FloatArray, ImageArray
from guard.windows.face_models import FaceModels

Covered = Literal["mouth", "left_eye", "right_eye"]
LABEL = "RENDERED"
# the picture at rest is enlarged, so that the nearest of its pixels can be taken instead of a mean of four
_ENLARGED = 3
_GAMMA = 2.2
# how much of the screen's light reaches the room behind and cloth, against skin that faces it
_ROOM_SHARE = 0.06
_NOISE_PICTURES = 2


@dataclass(frozen=True, slots=True)
class Pose:
    """What the rendered person does. Left and right are the person's own; the picture is not mirrored.

    Args:
        yaw_deg: turn, positive toward image right (the person's left).
        pitch_deg: nod, positive upward.
        roll_deg: lean, positive toward image right (the person's left).
        mouth: 0 shut to 1 open.
        eyes: 0 open to 1 closed.
        closer: how many times as large as at rest; 0.9 to 1.6.
        shift: x and y of the head's way from rest, in face widths.
        hand: what a hand covers.
        cover: 0, the hand is out of the picture, to 1, it is there.
        light: the screen's colour, sRGB in [0, 1].
        light_share: light of a white screen on the face, in shares of the room's light there.
        exposure: the camera's gain in linear light.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    mouth: float = 0.0
    eyes: float = 0.0
    closer: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    hand: Covered | None = None
    cover: float = 1.0
    light: tuple[float, float, float] = (0.0, 0.0, 0.0)
    light_share: float = 0.2
    exposure: float = 1.0


REST = Pose()


class Puppet:
    """Draws one person in any pose; the same seed and poses give the same pictures.

    Args:
        head: what the person is made of.
        seed: of the sensor's noise.
        noise: standard deviation of the sensor's noise in steps of 255; 0 for none.
    """

    def __init__(self, head: Head, *, seed: int = 0, noise: float = 1.5) -> None:
        self.head = head
        self._dice = np.random.default_rng(seed)
        height, width = head.matte.shape
        shape = (_NOISE_PICTURES, height, width, 3)
        self._noise = np.round(self._dice.standard_normal(shape, np.float32) * noise).astype(np.int16)
        self._skin = _enlarged(head)
        eyes = (Eye(self._skin, head.points, side, _ENLARGED) for side in (0, 1))
        self._eyes = tuple(eyes)
        self._mouth = Mouth(self._skin, head.points, _ENLARGED)
        self._weight = np.round(head.facing * 255).astype(np.uint8)
        self._hands = hand_pictures(head)
        self._room = Image.fromarray(head.room)

    @classmethod
    def bundled(cls, models: FaceModels, *, seed: int = 0, noise: float = 1.5) -> Puppet:
        """Return the customer of the bundled clip, found in it by ``models``.

        Raises:
            MediaError: ``media_unreadable``, the clip is damaged.
            ModelError: a network failed.
        """
        return cls(take_apart(bundled_frontal(models)), seed=seed, noise=noise)

    def frame(self, pose: Pose = REST) -> ImageArray:
        """Return uint8 (H, W, 3), RGB: the person in that pose, with the label and fresh noise."""
        self._express(pose)
        x, y = self._map_back(pose)
        person = self._taken(x, y)
        lit = pose.light != (0.0, 0.0, 0.0) or pose.exposure != 1.0
        room = self._room.copy()
        if lit:
            room = room.point(_room_table(pose))
            person[..., :3] = _lit(
                person[..., :3], self._weight[y.astype(np.int32), x.astype(np.int32)], pose
            )
        whole = Image.fromarray(person)
        room.paste(whole, mask=whole.getchannel("A"))
        if pose.hand is not None and pose.cover > 0:
            self._cover(room, pose)
        picture = self._noisy(np.asarray(room))
        return label(picture)

    def at_picture(self, point: tuple[float, float], pose: Pose) -> tuple[float, float]:
        """Return where a point of the picture at rest (x, y in pixels) is drawn."""
        x, y = (np.array([value], np.float32) for value in point)
        px, py = projected(self.head, x, y, Turn.of(pose))
        centre_x, centre_y = self.head.centre
        width = self.head.face_width_px
        return (
            float((px[0] - centre_x) * pose.closer + centre_x + pose.shift[0] * width),
            float((py[0] - centre_y) * pose.closer + centre_y + pose.shift[1] * width),
        )

    def _express(self, pose: Pose) -> None:
        """Put eyelids and mouth into the enlarged picture at rest."""
        parts = [(eye.box, eye.patch(pose.eyes)) for eye in self._eyes]
        for box, patch in (*parts, (self._mouth.box, self._mouth.patch(pose.mouth))):
            self._skin[box.top : box.bottom, box.left : box.right] = patch

    def _map_back(self, pose: Pose) -> tuple[FloatArray, FloatArray]:
        """Return for every pixel where in the picture at rest it comes from: x and y, float32 (H, W)."""
        height, width = self.head.matte.shape
        columns, rows = -(-width // CELL_PX), -(-height // CELL_PX)
        centre_x, centre_y = self.head.centre
        face = self.head.face_width_px
        x, y = np.meshgrid((np.arange(columns) + 0.5) * CELL_PX, (np.arange(rows) + 0.5) * CELL_PX)
        wanted_x = np.asarray((x - centre_x - pose.shift[0] * face) / pose.closer + centre_x, np.float32)
        wanted_y = np.asarray((y - centre_y - pose.shift[1] * face) / pose.closer + centre_y, np.float32)
        at_x, at_y = wanted_x, wanted_y
        turn = Turn.of(pose)
        if turn.moves:
            at_x, at_y = came_from(self.head, wanted_x, wanted_y, turn)
        size = (columns * CELL_PX, rows * CELL_PX)
        full = (
            np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))
            for values in (at_x, at_y)
        )
        full_x, full_y = (values[:height, :width] for values in full)
        return np.clip(full_x, 0, width - 0.01), np.clip(full_y, 0, height - 0.01)

    def _taken(self, x: FloatArray, y: FloatArray) -> ImageArray:
        """Return uint8 (H, W, 4), the enlarged picture at rest taken at those places."""
        columns = self._skin.shape[1]
        index = (y * _ENLARGED).astype(np.int32) * columns + (x * _ENLARGED).astype(np.int32)
        pixels = self._skin.reshape(-1, 4).view(np.uint32).reshape(-1)
        return np.asarray(pixels.take(index).view(np.uint8).reshape(*index.shape, 4), np.uint8)

    def _cover(self, picture: Image.Image, pose: Pose) -> None:
        assert pose.hand is not None
        place, size = hand_place(self, pose)
        hand = self._hands[pose.hand].resize(size, Image.Resampling.BILINEAR)
        if pose.light != (0.0, 0.0, 0.0) or pose.exposure != 1.0:
            colour, matte = hand.convert("RGB"), hand.getchannel("A")
            hand = colour.point(_table(pose, 0.9)).convert("RGBA")
            hand.putalpha(matte)
        picture.paste(hand, place, mask=hand)

    def _noisy(self, picture: ImageArray) -> ImageArray:
        grain = self._noise[self._dice.integers(_NOISE_PICTURES)]
        shifted = np.roll(grain, int(self._dice.integers(grain.shape[0])), axis=0)
        return np.asarray(np.clip(picture + shifted, 0, 255), np.uint8)


def label(picture: ImageArray) -> ImageArray:
    """Return the picture with the word RENDERED in its upper left corner."""
    out = Image.fromarray(picture)
    size = max(picture.shape[0] // 26, 8)
    draw = ImageDraw.Draw(out)
    box = draw.textbbox((8, 6), LABEL, font_size=size)
    draw.rectangle((box[0] - 4, box[1] - 3, box[2] + 4, box[3] + 3), fill=(20, 20, 20))
    draw.text((8, 6), LABEL, fill=(250, 250, 250), font_size=size)
    return np.asarray(out)


def _enlarged(head: Head) -> ImageArray:
    height, width = head.matte.shape
    both = Image.fromarray(np.dstack([head.image, head.matte]))
    large = both.resize((width * _ENLARGED, height * _ENLARGED), Image.Resampling.BICUBIC)
    return np.array(large)


def _gains(pose: Pose, share: FloatArray) -> FloatArray:
    """Return float32 (N, 3), what a coded value is multiplied by where ``share`` (N,) of the screen arrives.

    Light adds in linear light, where reflected light is skin times all light that falls on it; a power of
    2.2 stands for the camera's curve.
    """
    screen = np.array(pose.light, np.float32) ** _GAMMA * pose.light_share
    linear = pose.exposure * (1 + share[:, None] * screen)
    return np.asarray(linear ** (1 / _GAMMA), dtype=np.float32)


def _table(pose: Pose, share: float) -> list[int]:
    gains = _gains(pose, np.array([share], np.float32))[0]
    steps = np.arange(256)
    return [int(v) for gain in gains for v in np.clip(np.round(steps * gain), 0, 255)]


def _room_table(pose: Pose) -> list[int]:
    return _table(pose, _ROOM_SHARE)


def _lit(person: ImageArray, weight: ImageArray, pose: Pose) -> ImageArray:
    """Return the person (H, W, 3) under the screen's light; ``weight`` is 255 where skin faces it."""
    gains = _gains(pose, np.linspace(0, 1, 256, dtype=np.float32))
    return np.asarray(np.clip(person * gains[weight] + 0.5, 0, 255), np.uint8)
