"""What the active checks of this site are made of: judges, drawing, and the course of a check."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import MappingProxyType

from guard.app.check_runner import CheckTools, Recogniser
from guard.challenge.commands import Gesture, Judge
from guard.challenge.draw import Drawing
from guard.challenge.gestures import LIMIT_S, gesture_judge
from guard.challenge.light import LightJudge
from guard.challenge.light_code import LIMIT_S as LIGHT_S
from guard.challenge.light_code import draw_light
from guard.challenge.outputs import CheckConfig
from guard.challenge.words import WordsJudge, draw_words

# seconds to read three words and say them
_WORDS_S = 8.0


def check_tools(config: CheckConfig, recogniser: Recogniser | None) -> CheckTools:
    """Return the tools of a call: commands are drawn by the system's cryptographic generator."""
    judges: dict[Gesture, Judge] = {gesture: gesture_judge(gesture) for gesture in LIMIT_S}
    judges |= {Gesture.SAY_WORDS: WordsJudge(), Gesture.SCREEN_LIGHT: LightJudge()}
    own = {Gesture.SAY_WORDS: _WORDS_S, Gesture.SCREEN_LIGHT: LIGHT_S}
    limits_s: Mapping[Gesture, float] = {**LIMIT_S, **own}
    drawing = Drawing(limit_s=limits_s, words=draw_words, light=draw_light)
    return CheckTools(drawing, MappingProxyType(judges), recogniser, config, secrets.SystemRandom())
