"""Draws the calls of ``benchmarks.whole_calls``; carries one through the pipeline on its media's clock."""

from __future__ import annotations

import heapq
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from PIL import Image

from benchmarks.whole_calls_media import APART, CAMERA, Face, Material, fill, read_pictures, received, shown
from guard.app.describe import describe_photo
from guard.app.parts import Models, PipelineConfig, build_pipeline, load_models
from guard.errors import MediaError
from guard.evaluation.channels import opus
from guard.evaluation.clips import joined
from guard.evaluation.replay import Outcome
from guard.evaluation.streams import Stream
from guard.media.resample import ANALYSIS_RATE_HZ
from guard.policy.engine import Policy
from guard.policy.messages import Action, Party
from guard.policy.profile import load_profile
from guard.types import AudioFrame, FloatArray, Kind, Role, Score, State, Verdict, VideoFrame

VOICE, CAMERA_TOO, ENROLLED = "voice alone", "voice and face", "voice and face, photo enrolled"
START, SWITCH = "start", "switch"
_SOUND = replace(CAMERA, kind=Kind.AUDIO)
# pictures between two tries for a photo
_PHOTO_EVERY = 5
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many calls of each kind there are in one set, and how long they last.

    Args:
        sets: the counts of ``CELLS`` are multiplied by it.
        switch_s: genuine time before an attack in mid-call.
        attack_s: how long an attack lasts; a genuine call lasts as long as both.
    """

    sets: int = 8
    switch_s: float = 30.0
    attack_s: float = 60.0

    def __post_init__(self) -> None:
        if self.sets < 1 or min(self.switch_s, self.attack_s) < 1.0:
            raise ValueError("a plan needs at least one set, and a second before and in an attack")


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of call: what it carries, what is forged in it (None: nothing) and from when."""

    carries: str
    attack: str | None = None
    begins: str | None = None
    times: int = 1

    @property
    def name(self) -> str:
        """What it is called in reports."""
        what = "genuine" if self.attack is None else f"{self.attack} forged, from the {self.begins}"
        return f"{self.carries}: {what}"


# voices cost a tenth of faces, and both faces' attacks draw from the same few pairs one after the other
CELLS = (
    Cell(VOICE, times=5),
    Cell(VOICE, "voice", START, 3),
    Cell(VOICE, "voice", SWITCH, 3),
    Cell(CAMERA_TOO, times=3),
    Cell(CAMERA_TOO, "face", START),
    Cell(CAMERA_TOO, "face", SWITCH),
    Cell(CAMERA_TOO, "both", START),
    Cell(CAMERA_TOO, "both", SWITCH),
    Cell(CAMERA_TOO, "voice", START),
    Cell(CAMERA_TOO, "voice", SWITCH),
    Cell(ENROLLED),
    Cell(ENROLLED, "face", START),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call to come.

    Args:
        cell: its kind.
        length_s: of the call.
        begin_s: when the attack begins; None in a genuine call.
        voice: the genuine voice; ``engine`` the one that forges it, None where none does.
        face: None without a camera.
        seed: of everything drawn in it.
    """

    cell: Cell
    number: int
    length_s: float
    begin_s: float | None
    voice: str
    engine: str | None
    face: Face | None
    seed: str

    @property
    def name(self) -> str:
        """What it is called in reports."""
        parts = [self.voice, self.engine, self.face.name if self.face else None]
        return f"{self.cell.name} {self.number} ({', '.join(part for part in parts if part)})"

    @property
    def unit(self) -> str:
        """What makes an attack one of its kind: the swapped face, or the engine."""
        if self.cell.attack in ("face", "both") and self.face is not None:
            return self.face.name
        return self.engine or self.voice


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of one call.

    Args:
        outcome: times from the call's start.
        scores: all of them, in the order of their ends.
        line: (second, fused llr, state), once a second and where the state changes.
        told: alerts that went out: (second, state).
        compared: whether a photo of the person who should be there was enrolled.
    """

    call: Call
    outcome: Outcome
    scores: tuple[Score, ...]
    line: tuple[tuple[float, float | None, str], ...]
    told: tuple[tuple[float, str], ...]
    compared: bool = False

    def stream(self, kind: Kind | None = None) -> Stream:
        """Return its scores, or those of one kind of track as if there had been no other."""
        scores = tuple(score for score in self.scores if kind is None or score.signal.kind is kind)
        made = self.outcome
        return Stream(made.call, made.is_spoof, made.length_s, scores, made.attack)


def cells_of(material: Material) -> list[Cell]:
    """Return the kinds of call that the material has enough for."""
    has = {None: True, "voice": True, "face": bool(material.swaps), "both": bool(material.swaps)}
    return [cell for cell in CELLS if has[cell.attack] and (material.faces or cell.carries == VOICE)]


def draw(material: Material, plan: Plan, seed: int) -> Iterator[Call]:
    """Yield the calls; voices, engines and faces take turns in an order drawn from the seed."""
    dice = random.Random(seed)
    voices, engines = (dice.sample(sorted(one), len(one)) for one in (material.voices, material.engines))
    faces = dice.sample(list(material.faces), len(material.faces))
    swaps = [face for face in faces if face.swapped is not None]
    spoken = swapped = seen = 0
    for cell in cells_of(material):
        for number in range(cell.times * plan.sets):
            engine = face = None
            if cell.attack in ("voice", "both"):
                engine, spoken = engines[spoken % len(engines)], spoken + 1
            if cell.attack in ("face", "both"):
                face, swapped = swaps[swapped % len(swaps)], swapped + 1
            elif cell.carries != VOICE:
                face, seen = faces[seen % len(faces)], seen + 1
            before_s = 0.0 if cell.begins == START else plan.switch_s
            yield Call(
                cell,
                number,
                length_s=before_s + plan.attack_s,
                begin_s=None if cell.attack is None else before_s,
                voice=voices[number % len(voices)],
                engine=engine,
                face=face,
                seed=f"{seed} {cell.name} {number}",
            )


def sound(call: Call, material: Material) -> FloatArray:
    """Return what the microphone hears, float32 (N,) at 16 kHz."""
    dice = random.Random(f"{call.seed} sound")
    if call.engine is None or call.begin_s is None:
        return fill(material.voices[call.voice], call.length_s, dice)
    forged = fill(material.engines[call.engine], call.length_s - call.begin_s, dice)
    if call.begin_s == 0.0:
        return forged
    return joined([fill(material.voices[call.voice], call.begin_s, dice), forged], ANALYSIS_RATE_HZ)


def frames(call: Call, material: Material) -> Iterator[AudioFrame | VideoFrame]:
    """Yield what the analysis receives of a call after Opus and VP8, in the order of time.

    Raises:
        MediaError: a clip cannot be read.
        ValueError: as ``shown``.
    """
    heard = (replace(frame, key=_SOUND) for frame in opus(sound(call, material), ANALYSIS_RATE_HZ, call.name))
    if call.face is None:
        return heard
    swapped_from_s = call.begin_s if call.cell.attack in ("face", "both") else None
    pictures = shown(call.face, call.length_s, swapped_from_s, random.Random(f"{call.seed} picture"))
    return heapq.merge(heard, received(*pictures), key=lambda frame: frame.time_s)


class Watch:
    """Keeps the states of one call, and what the policy tells the agent, at the time of the media."""

    def __init__(self, profile: str) -> None:
        suspect, agent = (
            Party(CAMERA.participant, Role.CUSTOMER),
            Party("agent", Role.AGENT, False, True, True),
        )
        self._policy = Policy(load_profile(profile), CAMERA.session, (suspect, agent))
        self.scores: list[Score] = []
        self.line: list[tuple[float, float | None, str]] = []
        self.told: list[tuple[float, str]] = []
        self.first: dict[State, float] = {}
        self.highest: float | None = None
        self.last = State.UNDECIDED
        self._ids: set[tuple[str, State]] = set()

    def on_verdict(self, verdict: Verdict, scores: Sequence[Score]) -> None:
        """Take one verdict of the pipeline and the scores behind it."""
        now = round(verdict.at_s, 3)
        self.scores += scores
        due = [
            *self._policy.poll(now),
            *self._policy.on_verdict(verdict, now, _BEGAN + timedelta(seconds=now)),
        ]
        for delivery in due:
            key = delivery.alert.id, delivery.alert.state
            if delivery.action is not Action.STOP and key not in self._ids:
                self._ids.add(key)
                self.told.append((now, delivery.alert.state.value))
        self.last = self._policy.state(verdict.participant, verdict.state)
        self.first.setdefault(self.last, now)
        if verdict.llr is not None:
            self.highest = verdict.llr if self.highest is None else max(self.highest, verdict.llr)
        if not self.line or now >= self.line[-1][0] + 1.0 or self.last.value != self.line[-1][2]:
            self.line.append((now, verdict.llr, self.last.value))


def apart(config: PipelineConfig) -> PipelineConfig:
    """Return the settings with the signals that the making of the calls disturbs reported and not fused."""
    weights = {**config.fusion.weights, **dict.fromkeys(APART, 0.0)}
    return replace(config, fusion=replace(config.fusion, weights=weights))


def every_model() -> Models:
    """Return the models in use; where one of them cannot be loaded nothing is measured."""
    models = load_models(None)
    if models.errors:
        raise SystemExit(f"not all detectors can be used: {sorted(models.errors)}")
    return models


def enrol(face: Face, models: Models) -> bool:
    """Have the calls that follow compared with the genuine face, or tell that no picture of it will do.

    The photo is the first picture of the clip that guard takes for one, so it is as like as photos never are.
    """
    assert models.identity is not None
    detector = models.identity.detector
    for picture in read_pictures(face.genuine)[0][::_PHOTO_EVERY]:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        try:
            vector = describe_photo(file.getvalue(), detector, models.faces)
        except MediaError:
            continue  # several people, or the eyes are turned away
        detector.enrol(CAMERA.session, CAMERA.participant, vector)
        return True
    return False


def run(call: Call, material: Material, models: Models, config: PipelineConfig, *, profile: str) -> Ran:
    """Return what the pipeline and the policy make of one call.

    Raises:
        MediaError: a clip cannot be read.
    """
    watch, compared = Watch(profile), False
    built = build_pipeline(models, config, watch.on_verdict)
    try:
        if call.face is not None and call.cell.carries == ENROLLED:
            compared = enrol(call.face, models)
        for frame in frames(call, material):
            built.pipeline.push(frame)
        built.pipeline.finish(CAMERA.session, CAMERA.participant)
    finally:
        built.pipeline.forget(CAMERA.session, CAMERA.participant)
        if models.identity is not None:
            models.identity.detector.withdraw(CAMERA.session)
    outcome = Outcome(
        call.name,
        call.begin_s is not None,
        call.length_s,
        watch.first.get(State.SUSPECT),
        watch.first.get(State.SPOOF),
        watch.last,
        watch.highest,
        call.cell.attack,
    )
    scores = tuple(sorted(watch.scores, key=lambda score: (score.end_s, score.signal)))
    return Ran(call, outcome, scores, tuple(watch.line), tuple(watch.told), compared)
