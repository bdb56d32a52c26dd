"""One check from its first command to its last attempt. No clock, no I/O.

    begin -> lead-in -> command -> judged -> pause -> command ... -> attempt over -> again, or over

Rules, all in this file:

1. An attempt asks at least ``commands`` commands, the next only after the last was judged.
2. A command that was answered wrong, too early or not at all fails the attempt at once; one that could
   not be judged makes it inconclusive at once. An attempt whose commands all matched passes when the
   sequential test says so; until then further commands are asked, ``most_commands`` at most. A screen
   light too weak to be seen, as in daylight, is replaced by another command. A check of light or words
   alone asks for one code, or three words, and for others where one is not enough.
3. A failed attempt is repeated with other commands; the third is the negative result, also when the
   person left the check between them. An inconclusive one is repeated ``repeats`` times and counts as an
   attempt of its own.
4. A person who asks for other commands gets another attempt, which takes nothing from the three; while
   they choose, nothing is asked.
5. What was asked is never asked again in the session. Where a check of occlusion has too few commands
   left of its own it asks visual ones; when nothing is left the check is inconclusive, and says so if
   attempts have failed before.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace
from enum import StrEnum

import numpy as np

from guard.challenge.commands import (
    Answer,
    CheckKind,
    Command,
    Gesture,
    Judge,
    Judgement,
    Need,
    Observed,
    Result,
    Sight,
)
from guard.challenge.draw import POOLS, Drawing, Exhausted, Used, choices, draw, unasked
from guard.challenge.late import judge_late
from guard.challenge.outputs import Asked, AttemptOver, CheckConfig, Listen, Output, Show
from guard.types import FloatArray

VOICE_RATE_HZ = 16_000
_NEVER = float("inf")
# who hears the command instead of reading it begins when it has been said
_HEARD_FIRST = 1.6


class _Phase(StrEnum):
    WAITING = "waiting"
    ASKING = "asking"
    LISTENING = "listening"
    OVER = "over"


class Check:
    """Leads one participant through one check.

    Args:
        kind: any but mutual, which needs no pictures.
        language: of the words to be read.
        drawing: how commands are made.
        judges: one for each gesture this site can judge; others are not asked.
        used: what the participant was asked before in this session.
        config: how it goes.
        dice: source of chance.
        claims_llr: what the person's page says of itself weighs beforehand, 0 or more: an attempt that
            passes must outweigh it (``guard.challenge.client``). It fails nobody.
        now: monotonic seconds.
    """

    def __init__(
        self,
        kind: CheckKind,
        language: str,
        *,
        drawing: Drawing,
        judges: Mapping[Gesture, Judge],
        used: Used,
        dice: random.Random,
        now: float,
        config: CheckConfig | None = None,
        needs: Collection[Need] = (),
        recogniser: bool = False,
        claims_llr: float = 0.0,
    ) -> None:
        self.kind = kind
        self._language = language
        self._drawing, self._judges, self._used, self._dice = drawing, judges, used, dice
        self._config = config or CheckConfig()
        self._needs = tuple(dict.fromkeys(needs))
        self._recogniser = recogniser
        self._claims_llr = max(0.0, claims_llr)
        self._phase = _Phase.WAITING
        self._attempt, self._unclear, self._changes = 1, 0, 0
        self._choosing = False
        self._queue: deque[Command] = deque()
        self._asked: list[Asked] = []
        self._due_s = now + self._config.lead_s
        self._before: deque[Sight] = deque()
        self._after: list[Sight] = []
        self._in_time: list[Sight] = []
        self._voice: list[FloatArray] = []
        self._voice_s = 0.0
        self._rest: tuple[Sight, ...] = ()
        self._heard: str | None = None

    @property
    def over(self) -> bool:
        """Whether no further attempt follows."""
        return self._phase is _Phase.OVER

    @property
    def attempt(self) -> int:
        """The number of the attempt that runs, or of the last one, from 1."""
        return self._attempt

    @property
    def commands_least(self) -> int:
        """How many commands an attempt has at least."""
        return self._least

    def deadline(self) -> float | None:
        """Return when ``poll`` is due next; None when it is over."""
        return None if self.over else self._due_s

    def see(self, sight: Sight, *, late: bool = False) -> list[Output]:
        """Take one picture; returns what to do now.

        Args:
            sight: the picture.
            late: whether it came so late that only its sender says when it was taken (``late.py``).
        """
        self._before.append(sight)
        while self._before and self._before[0].time_s < sight.time_s - self._config.before_s:
            self._before.popleft()
        if self._phase is not _Phase.ASKING:
            return []
        self._after.append(sight)
        if not late:
            self._in_time.append(sight)
        return self._judge(sight.time_s, over=False)

    def hear(self, samples: FloatArray, time_s: float) -> None:
        """Take sound: float32 (N,), mono 16 kHz, whose first sample came at ``time_s``."""
        if self._phase is not _Phase.ASKING or self._asked[-1].command.gesture is not Gesture.SAY_WORDS:
            return
        if not self._voice:
            self._voice_s = time_s
        self._voice.append(samples)

    def shown(self, number: int, step: int, now: float) -> None:
        """The page says that a step is on the screen: written down, and not relied on."""
        if 1 <= number <= len(self._asked):
            asked = self._asked[number - 1]
            if 0 <= step < len(asked.command.steps) and step not in asked.shown_s:
                self._asked[number - 1] = replace(asked, shown_s={**asked.shown_s, step: now})

    def understood(self, number: int, heard: str | None, now: float) -> list[Output]:
        """Take what the recogniser made of the words; None where it failed."""
        if self._phase is not _Phase.LISTENING or number != len(self._asked):
            return []
        self._heard = heard
        return self._judge(now, over=True)

    def choose_needs(self, now: float) -> list[Output]:
        """The person begins to say what they cannot do: until then nothing is asked, at most ``form_s``."""
        if self.over or self._choosing or self._changes >= self._config.needs_changes:
            return []
        self._changes += 1
        ended = []
        if self._asked:
            ended = self._end(Result.INCONCLUSIVE, "other_commands_wanted", now, counts=False)
        self._choosing, self._due_s = True, now + self._config.form_s
        return ended

    def change_needs(self, needs: Collection[Need], now: float) -> list[Output]:
        """The person cannot follow some commands: the attempt begins anew and does not count."""
        if not self._choosing and (self.over or self._changes >= self._config.needs_changes):
            return []
        self._needs = tuple(dict.fromkeys(needs))
        if self._choosing:
            self._choosing, self._due_s = False, now + self._config.again_s
            return []
        self._changes += 1
        return self._end(Result.INCONCLUSIVE, "other_commands_wanted", now, counts=False)

    def cancel(self, reason: str, now: float) -> list[Output]:
        """End it without a result: the person left, the call ended, analysis failed."""
        if self.over:
            return []
        self._unclear = self._config.repeats
        return self._end(Result.INCONCLUSIVE, reason, now)

    def poll(self, now: float) -> list[Output]:
        """Return what has become due."""
        if self.over or now < self._due_s:
            return []
        if self._phase is _Phase.WAITING:
            return self._ask(now)
        if self._phase is _Phase.LISTENING:
            return self._judge(now, over=True)  # the recogniser took too long
        return self._go_on_asking(now)

    # -- asking

    def _ask(self, now: float) -> list[Output]:
        self._choosing = False
        try:
            command = self._next_command()
        except Exhausted:
            self._unclear = self._config.repeats
            reason = "failed_and_exhausted" if self._used.failed else "commands_exhausted"
            return self._end(Result.INCONCLUSIVE, reason, now)
        self._asked.append(Asked(command, (now,)))
        self._phase = _Phase.ASKING
        self._after, self._in_time, self._voice, self._voice_s, self._heard = [], [], [], now, None
        self._rest = tuple(self._before)
        self._set_due()
        return [Show(self._attempt, len(self._asked), 0, command)]

    def _next_command(self) -> Command:
        if not self._queue:
            count = 1 if self._asked else self._least
            pool = self._pool(count)
            self._queue.extend(
                draw(self._dice, pool, self._used, count, language=self._language, drawing=self._drawing)
            )
        command = self._queue.popleft()
        if Need.NO_SIGHT in self._needs:
            return replace(command, limit_s=command.limit_s * _HEARD_FIRST)
        return command

    def _pool(self, count: int) -> list[Gesture]:
        """Return what can be asked next: without others a third attempt of occlusion could never be made."""
        unknown = set(Gesture) - set(self._judges)
        if not self._recogniser and self.kind is not CheckKind.WORDS:
            unknown.add(Gesture.SAY_WORDS)  # words nobody writes down are worth too little here
        pool = unasked(choices(self.kind, self._needs, unknown), self._used)
        if len(POOLS[self.kind]) == 1:  # a check of light or words alone asks for another code, other words
            return pool
        asked = {one.command.gesture for one in self._asked}
        fresh = [gesture for gesture in pool if gesture not in asked]
        if self.kind is CheckKind.OCCLUSION and len(fresh) < count:
            others = unasked(choices(CheckKind.VISUAL, self._needs, unknown), self._used)
            fresh += [gesture for gesture in others if gesture not in asked and gesture not in fresh]
        return fresh

    @property
    def _least(self) -> int:
        return {CheckKind.VISUAL: self._config.commands, CheckKind.OCCLUSION: 2}.get(self.kind, 1)

    @property
    def _most(self) -> int:
        most = self._config.most_commands
        return {CheckKind.VISUAL: most, CheckKind.OCCLUSION: 3}.get(self.kind, 2)

    def _go_on_asking(self, now: float) -> list[Output]:
        asked = self._asked[-1]
        step = len(asked.sent_s)
        if now - asked.sent_s[0] < asked.command.limit_s and step < len(asked.command.steps):
            self._asked[-1] = replace(asked, sent_s=(*asked.sent_s, now))
            self._set_due()
            return [Show(self._attempt, len(self._asked), step, asked.command)]
        if asked.command.gesture is Gesture.SAY_WORDS and self._recogniser:
            self._phase = _Phase.LISTENING
            self._due_s = now + self._config.transcript_s
            voice = self._heard_voice()
            return [Listen(self._attempt, len(self._asked), voice, asked.command.language)]
        return self._judge(now, over=True)

    def _set_due(self) -> None:
        asked = self._asked[-1]
        begun, steps, sent = asked.sent_s[0], asked.command.steps, len(asked.sent_s)
        end_s = begun + asked.command.limit_s
        self._due_s = min(end_s, begun + steps[sent].at_s) if sent < len(steps) else end_s

    # -- judging

    def _heard_voice(self) -> FloatArray:
        return np.concatenate(self._voice) if self._voice else np.empty(0, np.float32)

    def _judge(self, now: float, *, over: bool) -> list[Output]:
        asked = self._asked[-1]
        voice = self._heard_voice() if over or asked.command.gesture is not Gesture.SAY_WORDS else _SILENT
        observed = Observed(asked.sent_s, self._rest, self._after, voice, self._voice_s, self._heard)
        judge = self._judges[asked.command.gesture]
        judgement = judge_late(judge, asked.command, observed, self._in_time, over=over)
        if judgement is None:
            return []
        self._asked[-1] = replace(asked, judgement=judgement)
        self._after, self._in_time, self._voice = [], [], []
        return self._after_command(judgement, now)

    def _after_command(self, judgement: Judgement, now: float) -> list[Output]:
        if judgement.answer is Answer.MISMATCHED:
            return self._end(Result.FAIL, judgement.reason, now)
        if judgement.answer is Answer.UNSEEN and not self._replaceable(self._asked[-1].command):
            return self._end(Result.INCONCLUSIVE, judgement.reason, now)
        found = [a.judgement for a in self._asked if a.judgement and a.judgement.answer is Answer.MATCHED]
        if len(found) >= self._least:
            if self._config.sprt.decide([self._claims_llr, *(one.llr for one in found)]) is Result.PASS:
                return self._end(Result.PASS, "all_commands_matched", now)
            if len(found) >= self._most:
                return self._end(Result.INCONCLUSIVE, "check_not_decided", now)
        self._phase = _Phase.WAITING
        self._due_s = now + self._config.pause_s
        return []

    def _replaceable(self, command: Command) -> bool:
        return self.kind is CheckKind.VISUAL and command.gesture is Gesture.SCREEN_LIGHT

    def _end(self, result: Result, reason: str, now: float, *, counts: bool = True) -> list[Output]:
        config = self._config
        used = self._used
        used.failed += result is Result.FAIL
        again = result is Result.FAIL and used.failed < config.attempts
        if result is Result.FAIL and not again:
            reason = "three_attempts_failed" if config.attempts == 3 else "attempts_failed"
        if result is Result.INCONCLUSIVE:
            again = not counts or self._unclear < config.repeats
            self._unclear += counts
        elif not again:
            used.failed = 0
        ended = AttemptOver(self._attempt, result, reason, tuple(self._asked), self._needs, again)
        self._asked, self._after, self._in_time, self._voice = [], [], [], []
        for command in self._queue:  # drawn and never shown: they can still be asked
            used.gestures.discard(command.gesture)
            used.words.difference_update(command.words)
        self._queue.clear()
        self._choosing = False
        self._phase = _Phase.WAITING if again else _Phase.OVER
        self._due_s = now + config.again_s if again else _NEVER
        self._attempt += again
        return [ended]


_SILENT = np.empty(0, np.float32)
