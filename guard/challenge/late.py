"""Judges a command where some of its pictures came late.

When a picture that comes late was taken is known from its sender alone. A person on a slow connection must
not fail for it: by its arrival a face would seem to move as no face can. And nobody may pass by it: a program
that needs two seconds for its answer would claim to have been quick. So a match must stand without the
pictures that came late; any other answer stands with all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from guard.challenge.commands import Answer, Command, Judge, Judgement, Observed, Sight


def judge_late(
    judge: Judge, command: Command, observed: Observed, in_time: Sequence[Sight], *, over: bool
) -> Judgement | None:
    """Return what the command has come to, or None while that is open.

    Args:
        judge: of the command's gesture.
        command: what was asked.
        observed: everything so far.
        in_time: those of its pictures after the command that did not come late.
        over: whether the time is over; then there is a Judgement.
    """
    found = judge.judge(command, observed, over=over)
    if found is None or found.answer is not Answer.MATCHED or len(in_time) == len(observed.after):
        return found
    # asked once, and for good: each further look at all pictures would cost as much as the whole command
    again = judge.judge(command, replace(observed, after=in_time), over=True)
    if again is not None and again.answer is Answer.MATCHED:
        return again
    return Judgement(Answer.UNSEEN, 0.0, "pictures_late")
