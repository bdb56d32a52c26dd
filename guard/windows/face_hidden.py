"""Whether a followed face is hidden in part, by its last looks rather than by one: a blink is no hand."""

from __future__ import annotations

from collections import OrderedDict, deque

import numpy as np

from guard.media.hidden import hidden_logits
from guard.types import FloatArray, ImageArray

_LOOKS = 5
_MAX_FACES = 8
# one look must not outweigh the others
_MOST = 4.0


class HiddenFaces:
    """What the last looks at every face of one video track showed of mouth and eyes."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, deque[FloatArray]] = OrderedDict()

    def look(self, number: int, crop: ImageArray, landmarks: FloatArray) -> bool:
        """Take a look at a face; return whether its mouth or an eye was hidden, on average of the last five.

        Args:
            number: of the FaceTrack.
            crop: uint8 (224, 224, 3), RGB, aligned by ``guard.media.align``.
            landmarks: float32 (468, 2), FaceMesh points in its pixels.
        """
        seen = self._seen.setdefault(number, deque(maxlen=_LOOKS))
        self._seen.move_to_end(number)
        while len(self._seen) > _MAX_FACES:
            self._seen.popitem(last=False)
        seen.append(hidden_logits(crop, landmarks).clip(-_MOST, _MOST))
        return bool(np.mean(seen, axis=0).max() > 0)
