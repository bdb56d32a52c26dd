"""How well the timeline of ``voice_spoof`` finds a second or three of an engine in genuine speech.

    python -m benchmarks.partial_spoof FOLDER [--times N] [--seed S] [--out FILE.json]

12 s of one genuine voice stay as they are, or lose 1, 2 or 3 s, at least 1 s from both ends, to

    an engine        the attack
    the same voice   other seconds of it, cut, levelled and faded alike: the cut itself must not be the cue

Each clip is heard as it is and after Opus at 24 kbit/s: windows, ``voice_spoof`` and ``fusion.seconds``, as
by ``guard analyze --seconds``; its highest pair of seconds stands beside its mean over windows. FOLDER holds
``manifest.csv``, as for ``guard eval voice``; voices and engines need 15 s of sound, and a voice may be a
whole demo page, where no speaker is named. Intervals draw engines for what they said, voices for all else.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.whole_calls_media import Material, fill, read_material
from guard.app.model_files import in_use, load_detector
from guard.detectors.table import DETECTORS
from guard.errors import ModelError
from guard.evaluation.channels import KEY, Channel, clean, opus
from guard.evaluation.clips import speech_ends_s
from guard.evaluation.metrics import BoolVector, FloatVector, Metric, auc, bootstrap, eer, threshold_at_fa
from guard.evaluation.progress import say, steps
from guard.evaluation.replay import interval
from guard.fusion.seconds import Seconds, Stretch
from guard.inference.lanes import run_detector
from guard.media.resample import ANALYSIS_RATE_HZ
from guard.reasons import DETECTOR_FAILED
from guard.types import AudioWindow, Detector, FloatArray, Signal
from guard.windows.audio import AudioWindows
from guard.windows.ticks import TICKS_PER_S

CLIP_S, SPLICES_S, EDGE_S, FADE_S = 12, (1, 2, 3), 1.0, 0.01
ENGINE, CUT, UNTOUCHED = "an engine", "the same voice", "untouched"
CONDITIONS: dict[str, Channel] = {"clean": clean, "opus_24k": opus}
KINDS, COMPARED = (ENGINE, CUT, UNTOUCHED), ((ENGINE, CUT), (ENGINE, UNTOUCHED), (CUT, UNTOUCHED))
# of what a clip's timeline and its windows say; the last is the difference of the figures
VIEWS = {"timeline": (1, 0), "windows": (0, 1), "timeline - windows": (1, -1)}
MAX_FA, ROUNDS = 0.05, 1000
_NEAR_S = 2.0  # the surroundings whose level a splice takes
_TICK = ANALYSIS_RATE_HZ // TICKS_PER_S


@dataclass(frozen=True, slots=True)
class Case:
    """One clip: whose it is, and what lies in it from ``begin_s`` on for ``splice_s``; 0 s: nothing."""

    kind: str
    voice: str
    engine: str
    splice_s: int
    begin_s: float
    seed: str

    def overlap_s(self, start_s: float, length_s: float) -> float:
        """Return how much of a stretch lies in the splice."""
        end_s = min(start_s + length_s, self.begin_s + self.splice_s)
        return max(0.0, end_s - max(start_s, self.begin_s))


@dataclass(frozen=True, slots=True)
class Heard:
    """What was made of one clip; no ``pair``: of no two seconds on end is anything known."""

    case: Case
    seconds: Sequence[Stretch]
    pair: Stretch | None
    mean_llr: float | None


def draw(material: Material, times: int, seed: int) -> Iterator[Case]:
    """Yield the clips: per engine ``times`` stretches of voices in a drawn order, each in all its forms."""
    for engine in sorted(material.engines):
        voices = random.Random(f"{seed} {engine}").sample(sorted(material.voices), len(material.voices))
        for n in range(times):
            voice, name = voices[n % len(voices)], f"{seed} {engine} {n}"
            yield Case(UNTOUCHED, voice, engine, 0, 0.0, name)
            for splice_s in SPLICES_S:
                last_s = CLIP_S - EDGE_S - splice_s
                begin_s = random.Random(f"{name} at {splice_s}").uniform(EDGE_S, last_s)
                for kind in (ENGINE, CUT):
                    yield Case(kind, voice, engine, splice_s, begin_s, name)


def made(case: Case, material: Material) -> FloatArray:
    """Return the samples of a clip, float32 (192000,)."""
    whole_s, clip = float(CLIP_S + max(SPLICES_S)), CLIP_S * ANALYSIS_RATE_HZ
    voice = fill(material.voices[case.voice], whole_s, random.Random(case.seed))
    if case.kind == UNTOUCHED:
        return voice[:clip]
    engine = fill(material.engines[case.engine], whole_s, random.Random(f"{case.seed} engine"))
    # what comes behind the 12 s of a voice is in them nowhere; an engine's is cut there too, to be alike
    rest, length = (engine if case.kind == ENGINE else voice)[clip:], case.splice_s * ANALYSIS_RATE_HZ
    at = random.Random(f"{case.seed} from {case.splice_s}").randint(0, len(rest) - length)
    return spliced(voice[:clip], rest[at : at + length], case.begin_s)


def spliced(host: FloatArray, piece: FloatArray, begin_s: float) -> FloatArray:
    """Return the host (N,) with the piece (P,) in place of what is there, as loud as the speech around."""
    start, near = round(begin_s * ANALYSIS_RATE_HZ), round(_NEAR_S * ANALYSIS_RATE_HZ)
    end = start + len(piece)
    around = np.concatenate([host[max(0, start - near) : start], host[end : end + near]])
    from_edge = np.minimum(np.arange(len(piece)), np.arange(len(piece))[::-1])
    share = np.minimum(from_edge / (FADE_S * ANALYSIS_RATE_HZ), 1.0).astype(np.float32)
    out = host.copy()
    out[start:end] += share * (piece * np.float32(speech_rms(around) / speech_rms(piece)) - out[start:end])
    # turned down as a whole: a clipped splice would be heard as one
    return out / np.float32(max(1.0, float(np.abs(out).max())))


def speech_rms(samples: FloatArray) -> float:
    """Return the RMS of the 20 ms in which the VAD hears speech; of all where it hears none."""
    ticks = samples[: len(samples) // _TICK * _TICK].reshape(-1, _TICK)
    rows = np.round(speech_ends_s(samples, ANALYSIS_RATE_HZ) * TICKS_PER_S).astype(int) - 1
    speech = ticks[rows[rows < len(ticks)]]
    return float(np.sqrt(np.mean((speech if speech.size else samples) ** 2))) + 1e-9


def hear(case: Case, samples: FloatArray, channel: Channel, detector: Detector) -> Heard:
    """Return what the timeline and the windows of one clip say.

    Raises:
        ModelError: ``model_failed``.
    """
    stage, seconds = AudioWindows(KEY), Seconds()
    frames = channel(samples, ANALYSIS_RATE_HZ, case.seed)
    cut = [found for frame in frames for found in stage.push(frame)] + stage.flush()
    scores = run_detector(detector, [found for found in cut if isinstance(found, AudioWindow)])
    if any(score.reason == DETECTOR_FAILED for score in scores):
        raise ModelError("model_failed", f"the detector failed on {case}")
    known = [score.llr for score in scores if score.llr is not None]
    for score in scores:
        if score.llr is not None and score.parts_llr:  # as FileRecord.on_verdict
            seconds.add(score.start_s, score.parts_llr)
    return Heard(case, seconds.llrs(), seconds.highest_pair(), sum(known) / len(known) if known else None)


def account(heard: Sequence[Heard]) -> dict[str, Any]:
    """Return the figures of one condition by the seconds spliced in, over seconds and over clips."""
    out: dict[str, Any] = {}
    for splice_s in SPLICES_S:
        own = {k: [h for h in heard if h.case.kind == k and h.case.splice_s in (0, splice_s)] for k in KINDS}
        spoof = _seconds(own[ENGINE], inside=True)
        out[str(splice_s)] = {
            "clips": {kind: len(of) for kind, of in own.items()},
            "no_timeline": {kind: sum(h.pair is None for h in of) for kind, of in own.items()},
            "no_window": {kind: sum(h.mean_llr is None for h in of) for kind, of in own.items()},
            "pair_at_splice": {kind: sum(map(_at_splice, own[kind])) for kind in (ENGINE, CUT)},
            "rest_of_the_clip": by_second(spoof, _seconds(own[ENGINE], inside=False)),
            "other_cut": by_second(spoof, _seconds(own[CUT], inside=True)),
            "by_clip": {f"{a}, {b}": by_clip(own[a], own[b]) for a, b in COMPARED},
        }
    return out


def _seconds(clips: Sequence[Heard], *, inside: bool) -> list[tuple[str, float]]:
    """Return source and llr of the seconds that lie in the splice by half, or that it does not touch."""
    rows: list[tuple[str, float]] = []
    for h in clips:
        source = h.case.engine if inside and h.case.kind == ENGINE else h.case.voice
        lies = [(second.llr, h.case.overlap_s(second.start_s, 1.0)) for second in h.seconds]
        rows += [(source, llr) for llr, in_s in lies if (in_s >= 0.5 if inside else in_s == 0.0)]
    return rows


def _at_splice(h: Heard) -> bool:
    return h.pair is not None and h.case.overlap_s(h.pair.start_s, 2.0) >= 0.5


def by_second(spoof: Sequence[tuple[str, float]], genuine: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Return counts, EER and AUC of seconds; counts alone where a class is missing."""
    out: dict[str, Any] = {"spoof": len(spoof), "genuine": len(genuine)}
    if spoof and genuine:
        source, llr = zip(*spoof, *genuine, strict=True)
        label = np.arange(len(llr)) < len(spoof)
        for name, metric in {"eer": eer, "auc": auc}.items():
            out[name] = interval(bootstrap(metric, np.array(llr), label, source, rounds=ROUNDS))
    return out


def by_clip(spoof: Sequence[Heard], genuine: Sequence[Heard]) -> dict[str, Any]:
    """Return AUC and share found by the highest pair, by the mean over windows, and their difference."""
    clips = [*spoof, *genuine]
    source = [h.case.engine if h.case.kind == ENGINE else h.case.voice for h in clips]
    says = [(None if h.pair is None else h.pair.llr, h.mean_llr) for h in clips]
    llr, label = np.array(says, np.float64), np.arange(len(clips)) < len(spoof)
    return {
        name: {
            view: interval(bootstrap(_weighted(metric, of), llr, label, source, rounds=ROUNDS))
            for view, of in VIEWS.items()
        }
        for name, metric in {"auc": clip_auc, "found": share_found}.items()
    }


def clip_auc(llr: FloatVector, is_spoof: BoolVector) -> float:
    """Return the AUC, clips of which nothing is known (NaN) at llr 0."""
    return auc(np.nan_to_num(llr), is_spoof)


def share_found(llr: FloatVector, is_spoof: BoolVector) -> float:
    """Return the share of spoofs above what at most MAX_FA of the others exceed; the unknown never are."""
    known = np.where(np.isnan(llr), -np.inf, llr)
    return float(np.mean(known[is_spoof] > threshold_at_fa(known[~is_spoof], MAX_FA)))


def _weighted(metric: Metric, weights: tuple[int, int]) -> Metric:
    """Return the weighted sum of the figures of the two columns of llr (N, 2)."""
    return lambda llr, is_spoof: sum(w * metric(llr[:, n], is_spoof) for n, w in enumerate(weights) if w)


def table(conditions: dict[str, Any]) -> str:
    """Return the figures as Markdown; those over clips are an engine's against the same voice's."""
    lines = [
        "| condition, splice | seconds (spoof, rest, other cut) | EER, rest of the clip | EER, other cut "
        "| clips | no timeline | AUC timeline | AUC windows | found timeline | found windows |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, splices in conditions.items():
        for splice_s, row in splices.items():
            rest, other, clips = row["rest_of_the_clip"], row["other_cut"], row["by_clip"][f"{ENGINE}, {CUT}"]
            cells = [
                f"{name}, {splice_s} s",
                f"{rest['spoof']}, {rest['genuine']}, {other['genuine']}",
                *(_shown(of["eer"]) if "eer" in of else "-" for of in (rest, other)),
                *(f"{row[of][ENGINE]}+{row[of][CUT]}" for of in ("clips", "no_timeline")),
                *(_shown(clips[of][view]) for of in ("auc", "found") for view in ("timeline", "windows")),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(figure: dict[str, float]) -> str:
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"


def run(material: Material, cases: Sequence[Case], detector: Detector) -> dict[str, Any]:
    """Return the account of every condition; how far it is goes to stderr."""
    out: dict[str, Any] = {}
    for n, (name, channel) in enumerate(CONDITIONS.items(), 1):
        step = steps(say, n, len(CONDITIONS), f"{name}, {len(cases)} clips")
        heard: list[Heard] = []
        for case in cases:
            heard.append(hear(case, made(case, material), channel, detector))
            step()
        out[name] = account(heard)
    return out


def main() -> None:
    """Hear all clips, print the table and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=2, help="of each engine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    entry = next(entry for entry in DETECTORS if entry.signal is Signal.VOICE_SPOOF)
    card, detector = load_detector(entry, in_use(None).detectors[entry.signal].folder)
    material = read_material([args.folder])
    began_s = time.process_time()
    conditions = run(material, list(draw(material, args.times, args.seed)), detector)
    print(table(conditions))
    print(f"{time.process_time() - began_s:.0f} CPU-s, seed {args.seed}")
    if args.out:
        about: dict[str, Any] = {"v": 1, "folder": args.folder.name, "seed": args.seed, "times": args.times}
        about["model"] = {"name": card.name, "version": card.version, "sha256": card.sha256}
        about["machine"] = " ".join(
            (platform.machine(), platform.system(), "Python", platform.python_version())
        )
        people = {"voices": sorted(material.voices), "engines": sorted(material.engines)}
        args.out.write_text(
            json.dumps({**about, **people, "conditions": conditions}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
