"""Active checks in the analysis process: pictures and sound to the right check, messages in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from guard.app.check_runner import CheckRunner, CheckTools
from guard.app.participant_clock import ParticipantClock
from guard.challenge.commands import Answer, Command, Gesture, Judge, Judgement, Observed, Step
from guard.challenge.draw import Drawing
from guard.challenge.outputs import CheckConfig
from guard.clock import ManualClock
from guard.errors import ModelError
from guard.fusion.engine import CheckResult
from guard.types import AudioFrame, FloatArray, Kind, Score, Signal, TrackKey, VideoFrame

WHO = {"session": "s", "participant": "p"}
VIDEO, AUDIO = (TrackKey("s", "p", kind) for kind in (Kind.VIDEO, Kind.AUDIO))
PICTURE = np.full((90, 160, 3), 90, np.uint8)


@dataclass
class Scripted:
    """Judges when the time is over, and keeps what it was shown."""

    answer: Answer = Answer.MATCHED
    llr: float = -4.0
    seen: list[Observed] = field(default_factory=list)

    def judge(self, command: Command, observed: Observed, *, over: bool) -> Judgement | None:
        del command
        if not over:
            return None
        self.seen.append(observed)
        return Judgement(self.answer, self.llr, "scripted", 0.5, {"angle": 12.34567, "bad": float("nan")})


@dataclass
class Listener:
    heard: str | None = "ru1 ru2 ru3"
    voices: list[tuple[FloatArray, str]] = field(default_factory=list)

    def transcribe(self, samples: FloatArray, language: str) -> str:
        self.voices.append((samples, language))
        if self.heard is None:
            raise ModelError("model_run", "the runtime failed")
        return self.heard


class Bench:
    def __init__(self, judge: Scripted, recogniser: Listener | None = None) -> None:
        self.clock, self.late = ManualClock(), False
        self.told: list[dict[str, Any]] = []
        self.scores: list[Score] = []
        self.ended: list[tuple[str, str, CheckResult]] = []
        judges: Mapping[Gesture, Judge] = dict.fromkeys(Gesture, judge)
        drawing = Drawing(
            limit_s=dict.fromkeys(Gesture, 5.0),
            words=lambda *_: ("ru1", "ru2", "ru3"),
            light=lambda _: (Step(0.0, colour=(1.0, 0.5, 0.0)), Step(1.0, colour=(0.0, 1.0, 0.0))),
        )
        tools = CheckTools(drawing, judges, recogniser, CheckConfig(), random.Random(5))
        self.runner = CheckRunner(
            self.clock,
            tools,
            send=self.take,
            arrived_s=lambda _, time_s: 10.0 + time_s,
            late=lambda _: self.late,
            scored=self.scores.extend,
            ended=lambda *told: self.ended.append(told),
        )

    def take(self, message: dict[str, Any]) -> bool:
        self.told.append(message)
        return True

    def start(self, kind: str, who: Mapping[str, str] = WHO) -> None:
        self.runner.receive(
            {
                "type": "check_start",
                "id": "c",
                **who,
                "check_kind": kind,
                "language": "ru",
                "claims_llr": 0.0,
                "needs": [],
                "before": {"gestures": [], "words": [], "failed": 0},
            }
        )

    async def pass_time(self, until_s: float, step_s: float = 0.25) -> None:
        """Move the clock and let what is due happen."""
        while self.clock.now() < until_s:
            self.clock.advance(step_s)
            self.runner.receive({"type": "check_shown", "id": "c", **WHO, "number": 1, "step": 0})
            self.runner.poll()
            await asyncio.sleep(0)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.told if message["type"] == kind]


@pytest.fixture
async def bench() -> Any:
    made = Bench(Scripted())
    yield made
    made.runner.close()


async def test_a_visual_check_shows_three_commands_and_passes(bench: Bench) -> None:
    bench.start("visual")
    await bench.pass_time(bench.clock.now() + 60.0)
    shows = bench.of("check_show")
    assert [(m["attempt"], m["number"], m["of"]) for m in shows if m["step"] == 0] == [
        (1, 1, 3),
        (1, 2, 3),
        (1, 3, 3),
    ]
    (attempt,) = bench.of("check_attempt")
    assert bench.ended == [("s", "p", CheckResult.PASS)]
    assert (attempt["result"], attempt["again"], len(attempt["commands"])) == ("pass", False, 3)
    first = attempt["commands"][0]
    assert first["details"] == {"angle": 12.3457}
    assert first["shown_after_s"][0] is not None
    assert "needs" not in attempt


async def test_pictures_and_sound_go_to_the_check_of_their_participant(bench: Bench) -> None:
    judge = Scripted()
    bench = Bench(judge, Listener())
    bench.start("words")
    other = TrackKey("s", "q", Kind.VIDEO)
    begun_s = bench.clock.now()
    for n in range(60):
        bench.clock.advance(0.1)
        bench.runner.poll()
        media_s = bench.clock.now() - 10.0
        bench.runner.looked(VideoFrame(VIDEO, media_s, PICTURE), {})
        bench.runner.looked(VideoFrame(other, media_s, PICTURE), {})
        samples = np.full(4800, 0.1, np.float32)
        bench.runner.hear(AudioFrame(AUDIO, media_s, samples, 48_000, concealed=n % 10 == 0))
    await bench.pass_time(begun_s + 30.0)
    (observed,) = judge.seen[:1]
    times = [sight.time_s for sight in observed.after]
    assert times == sorted(times)
    assert min(times) >= observed.shown_s[0]
    assert observed.heard == "ru1 ru2 ru3"
    assert 2.5 < len(observed.voice) / 16_000 < 3.5
    assert np.count_nonzero(np.abs(observed.voice) < 1e-3) > 1000, "concealed sound is silence"
    bench.runner.close()


async def test_pictures_that_came_late_are_judged_as_late(bench: Bench) -> None:
    judge = Scripted()
    bench = Bench(judge)
    bench.start("occlusion")
    for n in range(90):
        bench.clock.advance(0.1)
        bench.runner.poll()
        bench.late = n % 2 == 1
        bench.runner.looked(VideoFrame(VIDEO, bench.clock.now() - 10.0, PICTURE), {})
    whole, in_time = judge.seen[:2]
    assert whole.shown_s == in_time.shown_s
    assert len(whole.after) > 40
    assert list(in_time.after) in (list(whole.after)[1::2], list(whole.after)[::2])
    bench.runner.close()


async def test_a_recogniser_that_fails_leaves_the_words_uncompared() -> None:
    judge = Scripted()
    bench = Bench(judge, Listener(heard=None))
    bench.start("words")
    await bench.pass_time(bench.clock.now() + 9.0)
    for _ in range(200):
        await asyncio.to_thread(lambda: None)
        if judge.seen:
            break
    assert judge.seen[0].heard is None
    bench.runner.close()


async def test_the_screen_light_is_a_signal_of_its_own() -> None:
    bench = Bench(Scripted(Answer.MISMATCHED, 2.5))
    bench.start("light")
    await bench.pass_time(bench.clock.now() + 9.0)
    show = bench.of("check_show")
    assert [m["colour"] for m in show[:2]] == ["#ff8000", "#00ff00"]
    score = bench.scores[0]
    assert (score.key, score.signal, score.llr, score.reason) == (VIDEO, Signal.SCREEN_LIGHT, 2.5, "scripted")
    assert score.end_s - score.start_s == pytest.approx(5.0)
    bench.runner.close()


async def test_a_light_that_was_not_seen_is_no_evidence() -> None:
    bench = Bench(Scripted(Answer.UNSEEN, 0.0))
    bench.start("light")
    await bench.pass_time(bench.clock.now() + 9.0)
    assert bench.scores[0].llr is None
    bench.runner.close()


async def test_leaving_ends_the_check_and_what_was_asked_is_remembered_until_the_call_ends(
    bench: Bench,
) -> None:
    bench.start("visual")
    await bench.pass_time(bench.clock.now() + 4.0)
    first = {m["gesture"] for m in bench.of("check_show")}
    bench.runner.forget("s", "p")
    (over,) = bench.of("check_attempt")
    assert (over["result"], over["reason"]) == ("inconclusive", "participant_left")
    bench.start("visual")
    await bench.pass_time(bench.clock.now() + 60.0)
    again = [
        m["gesture"] for m in bench.of("check_show") if m["gesture"] not in ("follow_dot", "screen_light")
    ]
    assert len(again) == len(set(again))
    assert first


async def test_messages_about_a_check_that_is_over_change_nothing(bench: Bench) -> None:
    for kind in ("check_shown", "check_needs", "check_cancel"):
        more = {"number": 1, "step": 0, "needs": ["glasses"], "reason": "x"}
        bench.runner.receive({"type": kind, "id": "old", **WHO, **more})
    assert bench.told == []


def test_the_time_of_arrival_follows_the_quickest_media_and_a_drifting_clock() -> None:
    times = ParticipantClock()
    dice = random.Random(2)
    worst = 0.0
    for n in range(3000):
        media_s = n / 15
        true_s = 1000.0 + media_s * 1.0002
        frame = VideoFrame(VIDEO, media_s, PICTURE)
        placed = times.place(frame, true_s + dice.choice((0.0, 0.0, 0.01, 0.2)))
        if n > 10:
            worst = max(worst, abs(times.arrived_s(VIDEO, placed.time_s) - true_s))
    assert worst < 0.02
