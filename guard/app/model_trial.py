"""The trial of a voice model that somebody else made, in a process of its own.

A model is a program: it may never end, ask for all memory, or bring the runtime down. So it is looked
at, loaded and scored on golden pairs in a child with limits of time and memory; only what it found
comes back. ``try_model`` is the parent's side, ``main`` the child's.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from guard.app.model_checks import SECOND, check_steady
from guard.codec.files import read_file
from guard.detectors.card import Card, load_card, read_model
from guard.detectors.contract import fitted
from guard.detectors.onnx import OnnxModel, Outputs
from guard.detectors.onnx_file import check_file
from guard.detectors.voice_spoof import VoiceSpoof
from guard.errors import GuardError, MediaError, ModelError
from guard.types import Abstain, AudioFrame, AudioWindow, Finding, FloatArray, Kind, TrackKey
from guard.windows.audio import AudioWindows

# a lane sheds windows that wait longer than a second
MAX_WINDOW_CPU_MS = 1000.0
_WINDOWS = 6
_KEY = TrackKey("trial", "trial", Kind.AUDIO)


@dataclass(frozen=True, slots=True)
class TrialLimits:
    """What a trial may take; ``memory_bytes`` is address space, that of the runtime itself included."""

    wall_s: float = 60.0
    memory_bytes: int = 4 << 30


@dataclass(frozen=True, slots=True)
class GoldenPair:
    """A clip known to be genuine and one known to be synthetic."""

    bona_fide: Path
    spoof: Path


def try_model(folder: Path, pairs: Mapping[str, GoldenPair], limits: TrialLimits) -> dict[str, Any]:
    """Run the card and model of a folder in a child; return what it gave.

    Args:
        folder: holds ``card.toml`` and the model.
        pairs: golden pairs to score, by a name of the caller's.
        limits: beyond which the child is ended.

    Returns:
        ``cpu_ms_per_window``, and of each pair the two clips' number of windows, raw score and llr.

    Raises:
        ModelError: what the child refused, ``model_slow`` or ``model_crashed``.
        MediaError: a clip cannot be read or holds no speech that can be scored.
    """
    job = {
        "folder": str(folder.absolute()),
        "memory_bytes": limits.memory_bytes,
        "cpu_s": int(limits.wall_s) + 1,
        "pairs": {name: [str(p.bona_fide.absolute()), str(p.spoof.absolute())] for name, p in pairs.items()},
    }
    # -P: nothing in the folder the child works in is taken for a module
    command = [sys.executable, "-P", "-m", "guard.app.model_trial"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=_environment(),
            timeout=limits.wall_s,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(
            "model_slow",
            f"the trial took more than {limits.wall_s:g} s and was ended; the graph loops, or is too large",
        ) from None
    return _answer(done)


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def _answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ModelError(
            "model_crashed",
            f"the trial ended without an answer ({last[0][:200]}); the model needs more memory than allowed, "
            "or brings the runtime down",
        ) from None
    if "error" in answer:
        error = answer["error"]
        kind = ModelError if error["model"] else MediaError
        raise kind(error["code"], error["message"])
    return dict(answer)


def trial(folder: Path, pairs: Mapping[str, tuple[Path, Path]]) -> dict[str, Any]:
    """Do in this process what ``try_model`` promises, without its limits."""
    card = load_card(folder)
    check_file(read_model(card), card.file)
    listener = _Listener(card)
    golden = {
        name: {"bona_fide": listener.clip(bona_fide), "spoof": listener.clip(spoof)}
        for name, (bona_fide, spoof) in pairs.items()
    }
    cpu_ms = float(np.median(listener.cpu_ms))
    if cpu_ms > MAX_WINDOW_CPU_MS:
        raise ModelError(
            "model_slow",
            f"{card.name} needs {cpu_ms:.0f} CPU-ms for a window of 4 s; above {MAX_WINDOW_CPU_MS:.0f} "
            "the next window is always late: give a smaller model",
        )
    listener.check_steady()
    return {"cpu_ms_per_window": round(cpu_ms, 1), "golden": golden}


class _Listener:
    """Scores clips as a call would: same windows, same reasons to abstain."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._detector = VoiceSpoof.from_card(card)
        self._model = fitted(OnnxModel(card))
        self._heard: list[list[tuple[FloatArray, Outputs]]] = []
        self.cpu_ms: list[float] = []

    def clip(self, path: Path) -> dict[str, Any]:
        """Return the mean raw score and llr of a clip's first windows, and how many they are."""
        heard: list[tuple[FloatArray, Outputs]] = []
        llrs: list[float] = []
        reasons: list[str] = []
        for window in _windows(path):
            row = self._detector.prepare(window)
            if isinstance(row, Abstain):
                reasons.append(row.reason)
                continue
            found = self._score(row, window)
            if isinstance(found, Abstain):
                reasons.append(found.reason)
                continue
            heard.append((row, self._model.run(row[None])))
            llrs.append(found.llr)
            if len(llrs) == _WINDOWS:
                break
        if not llrs:
            why = ", ".join(sorted(set(reasons))) or "no window with speech"
            raise MediaError("golden_clip", f"{path}: nothing in it can be scored ({why}); give clear speech")
        self._heard.append(heard)
        outputs = [one for _, one in heard]
        return {
            "clip": path.name,
            "windows": len(llrs),
            "raw": round(float(np.mean([one.raw[0] for one in outputs])), 6),
            "llr": round(float(np.mean(llrs)), 4),
            "llr_by": self._llr_by(outputs),
        }

    def check_steady(self) -> None:
        """Score windows of all clips again, alone and together; raises as ``model_checks.check_steady``."""
        mixed = [pair for together in zip(*self._heard, strict=False) for pair in together]
        check_steady(self._card, self._model, [row for row, _ in mixed], [one for _, one in mixed])

    def _llr_by(self, outputs: Sequence[Outputs]) -> dict[str, float]:
        """Return the mean llr that the card's other calibrations give, by the bin or ``SECOND``."""
        raw = np.concatenate([one.raw for one in outputs])
        with np.errstate(over="ignore"):  # a slope of 1e300 ends at the limit, as it should
            found = {name: one.llr(raw) for name, one in self._card.bins.items()}
            if self._card.second is not None:
                parts = np.concatenate([one.more["timeline"][0] for one in outputs])
                found[SECOND] = self._card.second.llr(parts)
        return {name: round(float(np.mean(llr)), 4) for name, llr in found.items()}

    def _score(self, row: FloatArray, window: AudioWindow) -> Finding | Abstain:
        started = time.process_time()
        (found,) = self._detector.score(row[None], [window])
        self.cpu_ms.append(1000 * (time.process_time() - started))
        return found


def _windows(path: Path) -> Iterator[AudioWindow]:
    cutter = AudioWindows(_KEY)
    for frame in read_file(path, max_fps=None):
        if isinstance(frame, AudioFrame):
            yield from (item for item in cutter.push(frame) if isinstance(item, AudioWindow))
    yield from (item for item in cutter.flush() if isinstance(item, AudioWindow))


def main() -> None:
    """The child: a job on stdin, the answer on stdout, both JSON."""
    job = json.load(sys.stdin)
    memory, cpu_s = int(job["memory_bytes"]), int(job["cpu_s"])
    for kind, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(kind)  # a service may run under narrower limits, which nobody can widen
        own = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (own, own))
    pairs = {name: (Path(clips[0]), Path(clips[1])) for name, clips in job["pairs"].items()}
    try:
        answer = trial(Path(job["folder"]), pairs)
    except GuardError as error:
        of_model = isinstance(error, ModelError)
        answer = {"error": {"model": of_model, "code": error.code, "message": error.message}}
    sys.stdout.write(json.dumps(answer, allow_nan=False))


if __name__ == "__main__":
    main()
