"""Whether the person in the picture is another than the one whose photo was enrolled.

That is an answer of its own and no evidence of synthetic media: whoever sits there may be as genuine as
can be, and a swap that shows the enrolled person matches. So it is kept apart from the llr of spoof. The
looks of one face at one person hang together as no independent ones would: their mean counts, not their sum.
"""

from __future__ import annotations

from collections import deque

from guard.types import Score

_KEPT_LOOKS = 64


class Mismatch:
    """The last looks at each face that were compared with an enrolled photo; bounded memory, no clock.

    Args:
        llr: mean natural llr of another against the enrolled person from which a face is another's.
        recent_s: the looks of so many seconds of media time count, or where these are too few, the newest;
            a face not looked at for as long, while another was, has left the picture.
        memory_s: after which no look counts any more.
        min_looks: looks at a face below which nothing is said of it.
        max_faces: faces followed at once; the one longest unseen goes.
    """

    def __init__(
        self, llr: float, *, recent_s: float, memory_s: float, min_looks: int, max_faces: int
    ) -> None:
        self._llr = llr
        self._recent_s = recent_s
        self._memory_s = memory_s
        self._min_looks = min_looks
        self._max_faces = max_faces
        self._faces: dict[int, deque[tuple[float, float]]] = {}

    def push(self, score: Score) -> None:
        """Take one look; one that was compared with no photo says that there is none any more."""
        if score.other_person_llr is None:
            self.restart()
            return
        face = -1 if score.face is None else score.face
        if face not in self._faces:
            while len(self._faces) >= self._max_faces:
                del self._faces[min(self._faces, key=self._last_s)]
            self._faces[face] = deque(maxlen=_KEPT_LOOKS)
        self._faces[face].append((score.end_s, score.other_person_llr))

    def expire(self, at_s: float) -> None:
        """Forget old looks, and faces that have left the picture."""
        newest_s = max(map(self._last_s, self._faces), default=at_s)
        for face, looks in list(self._faces.items()):
            while looks and looks[0][0] <= at_s - self._memory_s:
                looks.popleft()
            if not looks or self._last_s(face) < newest_s - self._recent_s:
                del self._faces[face]

    def restart(self) -> None:
        """Forget everything."""
        self._faces.clear()

    @property
    def found(self) -> bool:
        """Whether nobody in the picture is the enrolled person.

        A second person beside the enrolled one is no mismatch. Half the looks are enough for a face to be the
        enrolled one, so that of two who come into the picture together neither is suspected for a moment.
        """
        seen = [looks for looks in self._faces.values() if len(looks) >= self._min_looks // 2]
        told = any(len(looks) >= self._min_looks for looks in seen)
        return told and all(self._mean(looks) >= self._llr for looks in seen)

    def _mean(self, looks: deque[tuple[float, float]]) -> float:
        oldest_s = looks[-1][0] - self._recent_s
        recent = [llr for end_s, llr in looks if end_s > oldest_s]
        if len(recent) < self._min_looks:
            recent = [llr for _, llr in looks][-self._min_looks :]
        return sum(recent) / len(recent)

    def _last_s(self, face: int) -> float:
        return self._faces[face][-1][0]
