"""``guard analyze``: files through the same pipeline as calls, one JSON object a file."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from guard.app.failures import cause_of
from guard.app.file_list import expand
from guard.app.parts import Built, Models, PipelineConfig, build_pipeline
from guard.app.references import PARTICIPANT, SESSION
from guard.codec.files import FileInfo, read_file
from guard.errors import GuardError, MediaError
from guard.fusion.engine import Standing
from guard.fusion.seconds import Seconds, Stretch
from guard.inference.content import telling
from guard.media.resample import Resampler
from guard.reasons import DETECTOR_FAILED, WITHHOLDING
from guard.types import ALERTING, AudioFrame, Kind, Score, Signal, State, Verdict, VideoFrame
from guard.windows.vad import FRAME_S, FRAME_SAMPLES, SpeechDetector

_WORST = (State.BONA_FIDE, State.UNDECIDED, State.SUSPECT, State.SPOOF)


class SpeechMeter:
    """Counts the seconds of speech in one audio track."""

    def __init__(self) -> None:
        self._resampler: Resampler | None = None
        self._rate_hz = 0
        self._detector = SpeechDetector()
        self._rest = np.zeros(0, np.float32)
        self.speech_s = 0.0

    def push(self, frame: AudioFrame) -> None:
        """Take the next frame; its rate may be another one than before."""
        parts = [self._rest]
        if self._resampler is None or frame.rate_hz != self._rate_hz:
            if self._resampler is not None:
                parts.append(self._resampler.flush())
            self._resampler, self._rate_hz = Resampler(frame.rate_hz), frame.rate_hz
        self._rest = np.concatenate([*parts, self._resampler.push(frame.samples)])
        while len(self._rest) >= FRAME_SAMPLES:
            tick, self._rest = self._rest[:FRAME_SAMPLES], self._rest[FRAME_SAMPLES:]
            self.speech_s += FRAME_S * self._detector.is_speech(tick)


class FileRecord:
    """Collects what the pipeline says of one file."""

    def __init__(self, path: str, info: FileInfo) -> None:
        self.path = path
        self.info = info
        self.meter = SpeechMeter()
        self.end_s = 0.0
        self.worst: State | None = None
        self.last: Verdict | None = None
        self.timeline: list[dict[str, Any]] = []
        self.seconds = Seconds()
        self.failed: Counter[Signal] = Counter()
        self.causes: dict[str, str] = {}
        self.silent: dict[Signal, Counter[str]] = {}
        self.faces: set[int] = set()
        self.pictures: set[float] = set()

    def saw(self, frame: AudioFrame | VideoFrame) -> None:
        """Take note of one frame before the pipeline gets it."""
        if isinstance(frame, AudioFrame):
            self.meter.push(frame)
            self.end_s = max(self.end_s, frame.time_s + len(frame.samples) / frame.rate_hz)
        else:
            self.end_s = max(self.end_s, frame.time_s)

    def on_failure(self, part: str, error: Exception) -> None:
        """Take note of why a detector first failed."""
        self.causes.setdefault(part, "{}: {}".format(*cause_of(error)))

    def on_verdict(self, verdict: Verdict, scores: Sequence[Score]) -> None:
        """Take one verdict and the scores behind it."""
        self.last = verdict
        if self.worst is None or _WORST.index(verdict.state) > _WORST.index(self.worst):
            self.worst = verdict.state
        for score in scores:
            if score.llr is None:
                self.failed[score.signal] += score.reason == DETECTOR_FAILED
                self.silent.setdefault(score.signal, Counter())[score.reason or ""] += 1
                continue
            if score.face is not None:
                self.faces.add(score.face)
                self.pictures.add(score.end_s)
            if score.parts_llr:
                self.seconds.add(score.start_s, score.parts_llr)
            self.timeline.append(
                {"t_s": round(score.end_s, 3), "signal": score.signal.value, "llr": round(score.llr, 4)}
            )

    def why(self, signal: Signal, last: str | None) -> str | None:
        """Return why a signal said nothing of the file: of the reasons it gave, the commonest.

        ``last`` is the newest, which may be that of the last scrap; where it is no abstention's, or holds
        back ``bona_fide`` whatever else was said, it stays.
        """
        given = self.silent.get(signal, Counter())
        if last in WITHHOLDING or last not in given:
            return last
        return min(given, key=lambda reason: (-given[reason], reason))

    def verdict(self) -> State:
        """Return the worst latched state; a file that ends bona fide was so only if it never was worse.

        UNDECIDED is where every file begins, so it counts only if nothing better came.
        """
        if self.worst in ALERTING:
            return self.worst
        return self.last.state if self.last is not None else State.UNDECIDED


def analyze_file(
    path: str, models: Models, config: PipelineConfig, *, with_seconds: bool = False
) -> dict[str, Any]:
    """Return the object of one file; an unreadable one gives its error, nothing is raised.

    ``with_seconds`` adds to ``voice`` what is known of its single seconds, beyond the contract's keys.
    """
    return _judge(path, models, config, with_seconds=with_seconds)[0]


def _judge(
    path: str, models: Models, config: PipelineConfig, *, with_seconds: bool
) -> tuple[dict[str, Any], bool]:
    """Return the object of one file, and whether it was read and no detector failed on it."""
    try:
        record, found = _analyze(path, models, config)
    except MediaError as error:
        return {"path": path, "error": {"code": error.code, "message": error.message}}, False
    if with_seconds and found["voice"] is not None:
        found["voice"] |= _seconds(record.seconds)
    failed = +record.failed
    for signal, stretches in failed.items():
        if signal not in models.errors:  # those were named before the first file
            sys.stderr.write(
                f"{path}: {signal.value} failed on {stretches} windows, which count as no evidence "
                f"({record.causes.get(signal.value)}); guard models verify tries the model\n"
            )
    return found, not failed


def _analyze(path: str, models: Models, config: PipelineConfig) -> tuple[FileRecord, dict[str, Any]]:
    reader = read_file(Path(path), session=SESSION)
    record = FileRecord(path, reader.info)
    built = build_pipeline(models, config, record.on_verdict, failed=record.on_failure)
    try:
        for frame in reader:
            record.saw(frame)
            built.pipeline.push(frame)
        built.pipeline.finish(SESSION, PARTICIPANT)
    finally:  # the next file is another recording: nothing of this one may be remembered
        built.pipeline.forget(SESSION, PARTICIPANT)
    seen_s = reader.info.duration_s or record.end_s
    if reader.damaged:  # the header may promise more than there is
        seen_s = min(seen_s, reader.end_s)
        sys.stderr.write(f"{path}: damaged or cut off; {seen_s:.1f} s of it could be read\n")
    return record, _report(record, built, models, seen_s)


def _report(record: FileRecord, built: Built, models: Models, seen_s: float) -> dict[str, Any]:
    info = record.info
    fusion = built.fusions.get((SESSION, PARTICIPANT))
    at_s = record.last.at_s if record.last is not None else 0.0
    voice = fusion.standing(Kind.AUDIO, at_s) if fusion is not None else None
    face = fusion.standing(Kind.VIDEO, at_s) if fusion is not None else None
    return {
        "path": record.path,
        "duration_s": round(seen_s, 3),
        "verdict": record.verdict().value,
        "llr": _rounded(record.last.llr if record.last is not None else None),
        "voice": _voice(voice, record) if info.has_audio else None,
        "face": _face(face, record) if info.has_video else None,
        "signals": _signals(record, models),
        "timeline": sorted(record.timeline, key=lambda point: (point["t_s"], point["signal"])),
        "models": dict(models.sha256),
    }


def _voice(standing: Standing | None, record: FileRecord) -> dict[str, Any]:
    return {
        "verdict": (standing.state if standing else State.UNDECIDED).value,
        "llr": _rounded(standing.llr if standing else None),
        "speech_s": round(record.meter.speech_s, 3),
        "windows": standing.windows if standing else 0,
        "coverage": round(standing.coverage, 4) if standing else 0.0,
    }


def _seconds(seconds: Seconds) -> dict[str, Any]:
    """Return what is known within the windows; nothing where the model tells nothing of it."""
    known, highest = seconds.llrs(), seconds.highest_pair()
    if not known:
        return {}
    return {
        "seconds": [_stretch(second) for second in known],
        "highest_2_s": None if highest is None else _stretch(highest),
    }


def _stretch(stretch: Stretch) -> dict[str, float]:
    return {"t_s": stretch.start_s, "llr": round(stretch.llr, 4)}


def _face(standing: Standing | None, record: FileRecord) -> dict[str, Any]:
    return {
        "verdict": (standing.state if standing else State.UNDECIDED).value,
        "llr": _rounded(standing.llr if standing else None),
        "faces": len(record.faces),
        "frames": len(record.pictures),
        "coverage": round(standing.coverage, 4) if standing else 0.0,
    }


def _signals(record: FileRecord, models: Models) -> dict[str, Any]:
    known = record.last.signals if record.last is not None else {}
    out: dict[str, Any] = {}
    for signal in Signal:
        state = known.get(signal)
        if state is None:
            reason = _why_not_asked(signal, record.info, models)
            out[signal.value] = {"llr": None, "coverage": 0.0, "reason": reason}
        else:
            llr, coverage = _rounded(state.llr), round(state.coverage, 4)
            out[signal.value] = {"llr": llr, "coverage": coverage, "reason": record.why(signal, state.reason)}
    return out


def _why_not_asked(signal: Signal, info: FileInfo, models: Models) -> str:
    if signal not in {detector.signal for detector in models.detectors}:
        return "no_model"
    has = info.has_audio if signal.kind is Kind.AUDIO else info.has_video
    return "no_window" if has else "no_stream"


def _rounded(llr: float | None) -> float | None:
    return None if llr is None else round(llr, 4)


def analyze_all(
    paths: Sequence[str], models: Models, config: PipelineConfig, *, with_seconds: bool = False
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield the object of each file, and whether it was read and no detector failed on it.

    Models that are not in use are named on stderr first: their signals say ``detector_failed``, which is no
    evidence either way, and whoever reads the verdict alone would not see it.
    """
    _name_unusable(models)
    for path in expand(paths):
        try:
            found, good = _judge(path, models, config, with_seconds=with_seconds)
        except GuardError as error:
            found, good = {"path": path, "error": {"code": error.code, "message": error.message}}, False
        yield found, good


def _name_unusable(models: Models) -> None:
    signals: dict[str, list[str]] = {}
    for signal, error in models.errors.items():
        signals.setdefault(f"{error.message} [{error.code}]", []).append(signal.value)
    for why, names in signals.items():
        sys.stderr.write(f"{', '.join(names)}: not in use, no file is judged by it: {why}\n")
    others = {found.signal for found in models.detectors if found.signal.kind is Kind.AUDIO} - set(
        models.errors
    )
    if telling(models.detectors) is None and others - {Signal.VOICE_SPOOF}:
        sys.stderr.write(
            "no model in use tells one voice from music, noise or several people: "
            "the other voice signals score those too\n"
        )
