"""What the relay process keeps of a participant's checks, so that a new analysis process goes on from there.

    check_show, check_attempt -> CheckMemory (relay process) -> check_start -> recall (analysis process)

Whoever can make the analysis process restart would otherwise win new attempts, and be asked again what they
have seen already. All of it comes from the analysis process, nothing from a page. Only gestures and words
that guard can ask (``Gesture``, ``words_lists.py``) are kept, so that what a session holds is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guard.challenge.commands import Gesture, Result
from guard.challenge.draw import Used
from guard.challenge.words_lists import DIGITS, vocabulary
from guard.workers.wire import Message

_GESTURES = frozenset(gesture.value for gesture in Gesture)
_WORDS = frozenset(word for language in DIGITS for word in vocabulary(language))


class CheckMemory:
    """What each participant was asked, and how often they failed since their last result."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], Used] = {}

    def take(self, who: tuple[str, str], message: Mapping[str, Any]) -> None:
        """Learn from a message of the analysis process about a check that runs.

        Args:
            who: session and participant.
            message: ``check_show`` or ``check_attempt``; of any other nothing is learnt.
        """
        used = self._used.setdefault(who, Used())
        if message["type"] == "check_show":
            used.gestures |= _gestures([message.get("gesture")])
            used.words |= _words(message.get("words"))
        elif message["type"] == "check_attempt":
            result = message.get("result")
            if result == Result.FAIL and message.get("again") is True:
                used.failed += 1
            elif result in (Result.PASS, Result.FAIL):  # a result: what failed before it is settled
                used.failed = 0

    def told(self, who: tuple[str, str]) -> Message:
        """Return what ``recall`` takes: ``before`` of a ``check_start``."""
        used = self._used.get(who, Used())
        return {"gestures": sorted(used.gestures), "words": sorted(used.words), "failed": used.failed}

    def forget(self, session: str) -> None:
        """The session is over."""
        for who in [w for w in self._used if w[0] == session]:
            del self._used[who]


def recall(used: Used, before: Mapping[str, Any]) -> None:
    """Add what the relay process remembers to what this process does: never less than either knows.

    Args:
        used: of the participant; what is added is added here.
        before: of a ``check_start`` (``CheckMemory.told``).
    """
    used.gestures |= _gestures(before.get("gestures"))
    used.words |= _words(before.get("words"))
    failed = before.get("failed")
    if isinstance(failed, int):
        used.failed = max(used.failed, failed)


def _gestures(said: object) -> set[Gesture]:
    return {Gesture(name) for name in _strings(said) if name in _GESTURES}


def _words(said: object) -> set[str]:
    return {word for word in _strings(said) if word in _WORDS}


def _strings(said: object) -> list[str]:
    return [one for one in said if isinstance(one, str)] if isinstance(said, list) else []
