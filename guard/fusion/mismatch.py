"""Whether the person in the picture is another: than the one of the enrolled photo, or than just before.

The first is an answer of its own and no evidence of synthetic media: whoever sits there may be as genuine
as can be, and a swap that shows the enrolled person matches. The second is no calibrated llr of spoof
either: a face that becomes another without leaving is one of them put on, and nothing says how often that
happens. So both are kept apart from the llr. The looks of one face at one person hang together as no
independent ones would: their mean counts, not their sum.
"""

from __future__ import annotations

from collections import deque

_KEPT_LOOKS = 64


class Mismatch:
    """The last looks at each face that were compared with one person; bounded memory, no clock.

    Args:
        llr: mean natural llr of another against that person from which a face is another's.
        all_faces: whether no face may be that person's for there to be a mismatch; else one that is not
            suffices.
        recent_s: the looks of so many seconds of media time count, or where these are too few, the newest;
            a face not looked at for as long, while another was, has left the picture.
        memory_s: after which no look counts any more.
        min_looks: looks at a face below which nothing is said of it.
        max_faces: faces followed at once; the one longest unseen goes.
    """

    def __init__(
        self,
        llr: float,
        *,
        all_faces: bool,
        recent_s: float,
        memory_s: float,
        min_looks: int,
        max_faces: int,
    ) -> None:
        self._llr = llr
        self._all_faces = all_faces
        self._recent_s = recent_s
        self._memory_s = memory_s
        self._min_looks = min_looks
        self._max_faces = max_faces
        self._faces: dict[int, deque[tuple[float, float]]] = {}
        self._settled: frozenset[int] = frozenset()

    def push(self, face: int, end_s: float, llr: float | None) -> None:
        """Take one look; None: it was compared with nobody, so there is nobody to compare with any more."""
        if llr is None:
            if self._all_faces:
                self.restart()
            self._faces.pop(face, None)
            return
        if llr <= 0 and face in self._settled:
            self._settled -= {face}
            self._faces.pop(face, None)
        if face not in self._faces:
            while len(self._faces) >= self._max_faces:
                del self._faces[min(self._faces, key=self._last_s)]
            self._faces[face] = deque(maxlen=_KEPT_LOOKS)
        self._faces[face].append((end_s, llr))

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

    def settle(self) -> None:
        """A person knows of the faces that mismatch: say no more of one until it was that person's again."""
        self._settled |= {face for face, looks in self._faces.items() if self._mean(looks) >= self._llr}
        self._settled = frozenset(sorted(self._settled)[-self._max_faces :])

    @property
    def found(self) -> bool:
        """Whether there is a mismatch.

        With ``all_faces`` a second person beside the enrolled one is none, and half the looks are enough for
        a face to be the enrolled one, so that of two who come into the picture together neither is suspected
        for a moment.
        """
        told = [
            looks
            for face, looks in self._faces.items()
            if len(looks) >= self._min_looks and face not in self._settled
        ]
        if not self._all_faces:
            return any(self._mean(looks) >= self._llr for looks in told)
        seen = [looks for looks in self._faces.values() if len(looks) >= self._min_looks // 2]
        return bool(told) and all(self._mean(looks) >= self._llr for looks in seen)

    def _mean(self, looks: deque[tuple[float, float]]) -> float:
        oldest_s = looks[-1][0] - self._recent_s
        recent = [llr for end_s, llr in looks if end_s > oldest_s]
        if len(recent) < self._min_looks:
            recent = [llr for _, llr in looks][-self._min_looks :]
        return sum(recent) / len(recent)

    def _last_s(self, face: int) -> float:
        return self._faces[face][-1][0]
