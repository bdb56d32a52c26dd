"""What the passive detectors said while a person followed commands, beside what they said before.

A live swap has most to hide where the head turns far or a hand covers the face. The difference goes into
the record and, score by score, into the decision as always; it does not decide the attempt, and is no
evidence of its own: measured on rendered calls it rises for genuine faces and not for swapped ones
(docs/challenges.md, "A live swap in a far turn and under a hand").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from guard.challenge.outputs import Asked
from guard.types import Score, Signal

WATCHING = (Signal.FACE_FRAME, Signal.FACE_RING, Signal.FACE_IDENTITY, Signal.TEMPORAL)
_MAX_KEPT = 4096


@dataclass(slots=True)
class PassiveScores:
    """Scores of one participant during one check: monotonic seconds, signal and llr, bounded."""

    kept: deque[tuple[float, Signal, float]] = field(default_factory=lambda: deque(maxlen=_MAX_KEPT))

    def take(self, score: Score, arrived_s: float) -> None:
        """Keep a score of a watching signal; ``arrived_s`` is when the end of its window arrived."""
        if score.signal in WATCHING and score.llr is not None:
            self.kept.append((arrived_s, score.signal, score.llr))

    def account(self, commands: Sequence[Asked]) -> dict[str, dict[str, float | int | None]]:
        """Return for each signal the mean llr at rest and during the commands, with how many scores."""
        spans = [(asked.sent_s[0], asked.sent_s[0] + asked.command.limit_s) for asked in commands]
        found: dict[str, dict[str, float | int | None]] = {}
        for signal in WATCHING:
            own = [(at_s, llr) for at_s, name, llr in self.kept if name is signal]
            during = [llr for at_s, llr in own if any(begin <= at_s <= end for begin, end in spans)]
            rest = [llr for at_s, llr in own if not any(begin <= at_s <= end for begin, end in spans)]
            if own:
                found[signal.value] = {
                    "rest": _mean(rest),
                    "rest_n": len(rest),
                    "during": _mean(during),
                    "during_n": len(during),
                }
        return found


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
