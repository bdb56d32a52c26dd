"""Synthetic attacks in the analysis process: a stand-in is judged, the participant is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guard.app.drill_clip import LoopedClip, bundled_clip
from guard.app.drill_runner import STAND_IN, DrillRunner
from guard.app.parts import build_pipeline, load_models, settings_config
from guard.clock import ManualClock
from guard.codec.files import read_file
from guard.config import Settings
from guard.detectors.virtual_camera import CameraKind, VirtualCamera, read_report
from guard.errors import MediaError
from guard.resources import clips_dir, models_dir
from guard.signalling.messages import Name
from guard.types import AudioFrame, Kind, Score, Signal, State, TrackKey, Verdict, VideoFrame
from tests.app.test_device_report import REPORT

WHO = {"session": "s", "participant": "p"}
VOICE, FACE = (TrackKey("s", "p", kind) for kind in (Kind.AUDIO, Kind.VIDEO))
BEGIN_S = 100.0
Frame = AudioFrame | VideoFrame


class Judge:
    """Stands where the pipeline is, and keeps what it is given."""

    def __init__(self) -> None:
        self.pushed: list[Frame] = []
        self.told: list[tuple[str, ...]] = []
        self.known = True

    def push(self, frame: Frame) -> None:
        self.pushed.append(frame)

    def fork(self, session: str, participant: str, name: str) -> bool:
        self.told.append(("fork", participant, name))
        return self.known

    def acknowledge(self, session: str, participant: str) -> None:
        self.told.append(("acknowledge", participant))

    def forget(self, session: str, participant: str) -> None:
        self.told.append(("forget", participant))


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock(BEGIN_S)
        self.judge = Judge()
        self.said: list[dict[str, Any]] = []
        self.runner = DrillRunner(self.clock, self.judge, send=self.take, max_fps=15.0, clip=bundled_clip())

    def take(self, message: dict[str, Any]) -> bool:
        self.said.append(message)
        return True

    def order(self, attack: str, after_s: float = 2.0, seconds: float = 3.0) -> None:
        wanted = {"id": "d", **WHO, "attack": attack, "after_s": after_s, "seconds": seconds}
        self.runner.receive({"type": "drill_begin", **wanted})

    def call(self, seconds: float, *, camera: bool = True) -> None:
        """Let so much of a call go by: sound in pieces of 20 ms, 10 pictures a second."""
        for _ in range(round(seconds * 50)):
            at_s = self.clock.now() - BEGIN_S
            self.runner.seen(AudioFrame(VOICE, at_s, np.zeros(960, np.float32), 48_000))
            if camera and round(at_s * 50) % 5 == 0:
                self.runner.seen(VideoFrame(FACE, at_s, np.zeros((2, 2, 3), np.uint8)))
            self.clock.advance(0.02)
            self.runner.poll()

    def of(self, kind: Kind) -> list[Frame]:
        """Frames of the stand-in."""
        return [f for f in self.judge.pushed if f.key == TrackKey("s", "p" + STAND_IN, kind)]

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.said]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.runner.close()


def verdict(state: State, llr: float | None = None, name: str = "p" + STAND_IN) -> Verdict:
    return Verdict("s", name, 5.0, state, llr)


def test_no_participant_can_have_the_name_of_a_stand_in() -> None:
    (pattern,) = [m.pattern for m in Name.__metadata__[0].metadata if hasattr(m, "pattern")]  # type: ignore[attr-defined]
    assert "+" in STAND_IN
    assert "+" not in pattern.removesuffix("]{1,64}$")


@pytest.mark.parametrize("attack", ["voice", "face", "both"])
async def test_only_what_is_attacked_is_replaced_and_only_from_the_stated_moment(
    bench: Bench, attack: str
) -> None:
    bench.call(1.0)
    bench.order(attack)
    bench.call(6.5)
    assert all(f.key.participant == "p" + STAND_IN for f in bench.judge.pushed), "nobody else is touched"
    begun = next(m for m in bench.said if m["type"] == "drill_begun")
    assert begun["begun_s"] == pytest.approx(BEGIN_S + 3.0, abs=0.05)
    replaced = {"voice": {Kind.AUDIO}, "face": {Kind.VIDEO}, "both": set(Kind)}[attack]
    for kind in Kind:
        frames = bench.of(kind)
        times = [frame.time_s for frame in frames]
        assert times == sorted(set(times)), "media time never runs back"
        foreign = [f.time_s for f in frames if not _is_the_participants(f)]
        if kind not in replaced:
            assert foreign == []
            continue
        assert 2.9 < min(foreign) < 3.15
        assert max(foreign) < 6.1, "it lasts as long as stated"
        assert max(foreign) > 5.8
        assert not [f for f in frames if _is_the_participants(f) and f.time_s > min(foreign)]
    if Kind.AUDIO in replaced:
        ends = [(f.time_s, f.time_s + len(f.samples) / f.rate_hz) for f in bench.of(Kind.AUDIO)]  # type: ignore[union-attr]
        gaps = [b[0] - a[1] for a, b in pairwise(ends)]
        assert max(gaps) < 0.01, "the voice has no gap where it is switched"
    assert bench.kinds()[-1] == "drill_over"
    assert bench.said[-1]["why"] == "time"
    assert bench.judge.told == [("fork", "p", "p" + STAND_IN), ("forget", "p" + STAND_IN)]


def _is_the_participants(frame: Frame) -> bool:
    values = frame.samples if isinstance(frame, AudioFrame) else frame.image
    return values.size in (960, 12) and not values.any()


async def test_nothing_is_told_before_the_clip_begins_and_the_result_is_what_was_found(bench: Bench) -> None:
    bench.call(1.0)
    bench.order("both")
    assert bench.runner.told(verdict(State.UNDECIDED), ()) is None
    bench.call(2.2)
    score = Score(TrackKey("s", "p" + STAND_IN, Kind.AUDIO), Signal.VOICE_SPOOF, 0.0, 4.0, 3.0)
    found: Sequence[Score] = (score, replace(score, llr=None), replace(score, end_s=2.0))
    told = bench.runner.told(verdict(State.SUSPECT, 3.2), found)
    begun = next(m for m in bench.said if m["type"] == "drill_begun")
    again = {"begun_s": begun["begun_s"], "sha256": begun["sha256"]}
    assert told == {"type": "drill_verdict", "participant": "p", "id": "d", **again}
    bench.runner.told(verdict(State.UNDECIDED, 1.0), ())
    bench.call(5.0)
    over = bench.said[-1]
    assert (over["judged"], over["llr"]) == (1, 3.2), "windows of before the clip do not count"
    assert over["reached_s"] == {"suspect": pytest.approx(0.2, abs=0.05)}
    assert bench.runner.told(verdict(State.SPOOF, 5.0), ()) is None, "what was still under way is dropped"


async def test_what_is_really_found_of_the_participant_is_told_at_once_and_once(bench: Bench) -> None:
    bench.call(1.0)
    bench.order("both")
    for state in (State.UNDECIDED, State.SUSPECT, State.SUSPECT, State.SPOOF, State.SUSPECT):
        assert bench.runner.told(verdict(state, 1.0, "p"), ()) == {}, "their own verdicts go on as ever"
    assert [m["state"] for m in bench.said if m["type"] == "drill_own"] == ["suspect", "spoof"]
    bench.call(7.0)
    assert bench.said[-1]["own_state"] == "spoof"
    bench.runner.told(verdict(State.SPOOF, 1.0, "p"), ())
    assert bench.kinds().count("drill_own") == 2, "no drill, nothing to tell beside the verdict"


async def test_an_attack_that_cannot_be_played_says_why(bench: Bench) -> None:
    bench.judge.known = False
    bench.order("voice")
    bench.judge.known = True
    bench.call(1.0, camera=False)
    bench.order("face")
    bench.call(2.5, camera=False)
    bench.order("voice")
    bench.runner.told(verdict(State.SUSPECT, 4.0), ())
    bench.call(2.5)
    bench.order("both")
    bench.runner.forget("s", "p")
    bench.order("both")
    bench.runner.forget("s")
    assert bench.kinds() == ["drill_over"] * 5
    whys = ["no_media", "no_media", "own_alarm", "participant_left", "participant_left"]
    assert [message["why"] for message in bench.said] == whys


async def test_people_act_on_the_stand_in_never_on_the_participant(bench: Bench) -> None:
    acknowledge = {"type": "drill_acknowledge", **WHO}
    bench.runner.receive(acknowledge)
    bench.call(1.0)
    bench.order("voice")
    bench.runner.receive(acknowledge)
    bench.runner.receive({"type": "drill_stop", "id": "another", **WHO})
    bench.call(2.5)
    bench.runner.receive({"type": "drill_stop", "id": "d", **WHO})
    assert bench.judge.told[1:] == [("acknowledge", "p" + STAND_IN), ("forget", "p" + STAND_IN)]
    assert bench.said[-1]["why"] == "stopped"
    before = len(bench.judge.pushed)
    bench.call(1.0)
    assert len(bench.judge.pushed) == before, "nothing more is given to the detectors"


async def test_what_was_enrolled_for_the_participant_judges_the_stand_in_as_long_as_it_is_there() -> None:
    camera = VirtualCamera()
    camera.report("s", "p", replace(read_report(REPORT), kind=CameraKind.VIRTUAL))
    made, stand_in = Bench(), TrackKey("s", "p" + STAND_IN, Kind.VIDEO)
    clip, detectors = bundled_clip(), [camera]
    made.runner = DrillRunner(
        made.clock, made.judge, send=made.take, max_fps=15.0, clip=clip, detectors=detectors
    )
    made.call(1.0)
    made.order("voice")
    assert camera.declines(stand_in) is None
    made.call(6.5)
    assert made.said[-1]["why"] == "time"
    assert camera.declines(stand_in) == "no_device_report"
    assert camera.declines(FACE) is None
    made.runner.close()


def test_a_clip_goes_on_from_its_beginning_and_lacks_nothing_that_is_wanted(tmp_path: Path) -> None:
    clip = LoopedClip(bundled_clip(), {Kind.AUDIO}, None)
    frames = clip.until(40.0)
    ends = [f.time_s + len(f.samples) / f.rate_hz for f in frames if isinstance(f, AudioFrame)]
    assert len(ends) == len(frames), "no pictures are asked for"
    gaps = [f.time_s - end for f, end in zip(frames[1:], ends, strict=False)]
    assert max(map(abs, gaps)) < 0.05
    assert clip.until(40.0) == []
    voice_only = clips_dir() / "voices" / "customer_synthetic.opus"
    with pytest.raises(MediaError) as caught:
        LoopedClip(voice_only, set(Kind), None)
    assert caught.value.code == "clip_incomplete"


# -- the real detectors


@cache
def genuine() -> tuple[Frame, ...]:
    """Twenty-two seconds of the bundled genuine customer."""
    frames = read_file(clips_dir() / "customer_genuine.webm")
    return tuple(replace(f, key=TrackKey("s", "p", f.key.kind)) for f in frames if f.time_s < 22.0)


def hold_a_call(clip: Path, attack: str | None) -> tuple[list[dict[str, Any]], list[Verdict], list[Verdict]]:
    """Run a call faster than real time through the shipped detectors, attacked after four seconds.

    Returns:
        What the runner said, the verdicts on the participant, and those on the synthetic media.
    """
    clock = ManualClock(BEGIN_S)
    said: list[dict[str, Any]] = []
    own: list[Verdict] = []
    found: list[Verdict] = []
    runners: list[DrillRunner] = []

    def decided(made: Verdict, scores: Sequence[Score]) -> None:
        told = runners[0].told(made, scores)
        if told is not None:
            (found if told else own).append(made)

    def send(message: dict[str, Any]) -> bool:
        said.append(message)
        return True

    built = build_pipeline(load_models(models_dir()), settings_config(Settings(), "kz-ardfm"), decided)
    runner = DrillRunner(clock, built.pipeline, send=send, max_fps=15.0, clip=clip)
    runners.append(runner)
    for frame in paced(genuine(), clock, runner):
        built.pipeline.push(frame)
        runner.seen(frame)
        if attack is not None and frame.time_s >= 3.0:
            order = {"id": "d", **WHO, "attack": attack, "after_s": 1.0, "seconds": 16.0}
            runner.receive({"type": "drill_begin", **order})
            attack = None
    runner.close()
    return said, own, found


def paced(frames: Sequence[Frame], clock: ManualClock, runner: DrillRunner) -> Iterator[Frame]:
    """Yield frames when they are due, and let the runner play what is due between them."""
    for frame in frames:
        while clock.now() - BEGIN_S < frame.time_s:
            clock.advance(min(0.04, frame.time_s - (clock.now() - BEGIN_S) + 1e-6))
            runner.poll()
        yield frame


async def test_the_shipped_detectors_notice_the_bundled_clip_and_the_participant_stays_as_they_were() -> None:
    said, own, found = hold_a_call(bundled_clip(), "both")
    over = said[-1]
    assert (over["type"], over["why"], over["own_state"]) == ("drill_over", "time", "undecided")
    assert over["reached_s"]["suspect"] <= 14.0
    assert over["judged"] > 100
    assert {v.state for v in found} >= {State.UNDECIDED, State.SUSPECT}
    _, undrilled, _ = hold_a_call(bundled_clip(), None)
    assert own == undrilled, "to the last verdict as if there had been no drill"


async def test_media_that_the_detectors_do_not_notice_raise_no_alarm() -> None:
    said, _, found = hold_a_call(clips_dir() / "customer_genuine.webm", "both")
    over = said[-1]
    assert (over["why"], over["reached_s"]) == ("time", {})
    assert over["judged"] > 100
    assert over["llr"] < 3.8
    assert not {v.state for v in found} & {State.SUSPECT, State.SPOOF}
