"""The screen light on rendered calls: python -m benchmarks.light FOLDER [--seen] [--picture FILE]

SIMULATED: ``benchmarks.light_scene`` says how. Each film is one call with its own code, camera, room and
connection, drawn by its seed, through VP8 and face tracking to ``guard.challenge.light``. Counted are films
with their own code (a genuine person at that share of screen light), films without a response, and films
judged by a code that was not shown: a replayed older response. Those last share films, so their intervals
are a little too narrow. ``--seen`` takes the films that were looked at when the limits were set; without it
others are taken. VP8 in real time minds the clock, so a film shot again is not the same to the bit.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.light_scene import Scene, colours_of, film
from guard.challenge.commands import Answer, Command, Gesture, Judgement, Observed, Sight, Step
from guard.challenge.light import LIMIT_S, LightJudge, response
from guard.challenge.light_code import any_code, draw_light
from guard.challenge.light_response import over_lags, series
from guard.evaluation.exact import share as share_of
from guard.resources import models_dir
from guard.windows.face_models import FaceModels, load_face_models

# where rows of the table begin and end, in shares of screen light on the face
BINS = ((0.005, 0.02), (0.02, 0.05), (0.05, 0.1), (0.1, 0.4))
OTHER_CODES = 8
ROOMS = ((1.3, 1.0, 0.5), (1.15, 1.0, 0.75), (1.0, 1.0, 1.0), (0.9, 1.0, 1.2))
_SEED = 70_000


@dataclass(frozen=True, slots=True)
class Kind:
    """Films of one kind: whether there is screen light or a television, and the seeds.

    ``seen`` counts the seeds from the first whose films were looked at when the limits were set.
    """

    first_seed: int
    lit: bool
    television: bool
    seen: int
    fresh: int

    def seeds(self, *, fresh: bool) -> range:
        """Return the seeds of the films that were looked at, or of those that were not."""
        start = self.first_seed + 100 * fresh
        return range(start, start + (self.fresh if fresh else self.seen))


KINDS = {
    "resp": Kind(1000, True, False, 60, 46),
    "none": Kind(2000, False, False, 24, 8),
    "tv": Kind(3000, True, True, 12, 0),
    "tv0": Kind(4000, False, True, 12, 0),
}


@dataclass(frozen=True, slots=True)
class Film:
    """One rendered call: what was shown, and what the check got of it."""

    scene: Scene
    steps: tuple[Step, ...]
    sights: list[Sight]

    def judged(self, steps: tuple[Step, ...], judge: LightJudge | None = None) -> Judgement:
        """Return what the judge says if these steps had been on the screen."""
        command = Command(Gesture.SCREEN_LIGHT, LIMIT_S, steps)
        found = (judge or LightJudge()).judge(command, self.observed(steps), over=True)
        assert found is not None
        return found

    def observed(self, steps: tuple[Step, ...]) -> Observed:
        after = [sight for sight in self.sights if sight.time_s >= 0]
        return Observed(tuple(step.at_s for step in steps), (), after, np.empty(0, np.float32), 0.0)


def shoot(kind: Kind, seed: int, models: FaceModels) -> Film:
    """Return a film of a kind; everything else is drawn by the seed."""
    dice, rng = random.Random(seed), np.random.default_rng(seed)
    steps = draw_light(dice)
    share = float(np.exp(rng.uniform(np.log(0.005), np.log(0.4)))) if kind.lit else 0.0
    room = ROOMS[int(rng.integers(len(ROOMS)))]
    scene = Scene(
        share=share,
        wall=float(rng.uniform(0.03, 0.4)),
        lag_s=float(rng.uniform(0.12, 0.7)),
        snr_db=float(rng.uniform(26, 38)),
        kbit_s=int(rng.integers(300, 801)),
        room=room,
        lost=float(rng.choice([0.0, 0.02, 0.1])),
        exposure_s=float(rng.uniform(0.3, 1.5)),
        balance_s=float(rng.uniform(2, 10)),
        television=float(rng.uniform(0.05, 0.4)) if kind.television else 0.0,
    )
    sent_s = [step.at_s for step in steps]
    return Film(scene, steps, film(scene, colours_of(steps, sent_s, scene.lag_s), LIMIT_S, rng, models))


def films_of(folder: Path, *, fresh: bool) -> list[Film]:
    """Return the films, from the folder where they are there already; a film takes 5 CPU-seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    models = load_face_models(models_dir())
    found = []
    for kind in KINDS.values():
        for seed in kind.seeds(fresh=fresh):
            place = folder / f"{seed}.pickle"
            if not place.exists():
                print(f"film {seed}", file=sys.stderr, flush=True)
                shot = shoot(kind, seed, models)
                place.write_bytes(pickle.dumps((shot.scene, shot.steps, shot.sights)))
            found.append(Film(*pickle.loads(place.read_bytes())))
    return found


def counted(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Return how many matched, mismatched and were left open, with exact 95 % limits, and the reasons."""
    answers = Counter(one.answer for one in judgements)
    total = len(judgements)
    row: dict[str, Any] = {"n": total, "reasons": dict(Counter(one.reason for one in judgements))}
    for answer in Answer:
        limits = share_of(answers[answer], max(total, 1))
        row[answer.value] = {"count": answers[answer], "low": limits.low, "high": limits.high}
    return row


def measure(films: Sequence[Film]) -> dict[str, dict[str, Any]]:
    """Return the rows of the table."""
    rows: dict[str, dict[str, Any]] = {}
    plain = [one for one in films if not one.scene.television]
    watching = [one for one in films if one.scene.television]
    for low, high in BINS:
        own = [one for one in plain if low <= one.scene.share < high]
        rows[f"own code, {100 * low:g} to {100 * high:g} % of the light"] = counted(own_code(own))
    rows["own code, no screen light"] = counted(own_code([one for one in plain if one.scene.share == 0]))
    near = [one for one in watching if one.scene.share >= 0.05]
    far = [one for one in watching if one.scene.share < 0.05]
    rows["beside a television, 5 % and more"] = counted(own_code(near))
    rows["beside a television, less or none"] = counted(own_code(far))
    rows["no response, codes not shown"] = counted(_against_others([o for o in plain if o.scene.share == 0]))
    for low, high in BINS[2:]:
        lit = [one for one in plain if low <= one.scene.share < high]
        what = f"older response of {100 * low:g} to {100 * high:g} %"
        rows[f"{what}, unknown code"] = counted(_against_others(lit))
        rows[f"{what}, known code"] = counted(_against_others(lit, known=True))
    return {name: row for name, row in rows.items() if row["n"]}


def own_code(films: Sequence[Film]) -> list[Judgement]:
    """Judge each film by the code that was shown in it."""
    return [one.judged(one.steps) for one in films]


def _against_others(films: Sequence[Film], *, known: bool = False) -> list[Judgement]:
    """Judge films by codes that were not shown in them; ``known``: the judge saw the shown one before."""
    dice = random.Random(_SEED)
    found = []
    for one in films:
        judge = LightJudge()
        if known:
            one.judged(one.steps, judge)
        found += [one.judged(draw_light(dice), judge if known else None) for _ in range(OTHER_CODES)]
    return found


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| rendered calls | n | matched | mismatched | left open | reasons |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = []
        for answer in Answer:
            one = row[answer.value]
            cells.append(f"{one['count']} [{100 * one['low']:.1f}, {100 * one['high']:.1f} %]")
        reasons = ", ".join(f"`{k}` {v}" for k, v in sorted(row["reasons"].items(), key=lambda kv: -kv[1]))
        lines.append(f"| {name} | {row['n']} | {' | '.join(cells)} | {reasons} |")
    return "\n".join(lines)


def draw(films: Sequence[Film], path: Path) -> None:
    """Write the picture: code, face's colour and matched filter, of three cases."""
    plain = [one for one in films if not one.scene.television]
    genuine = min(plain, key=lambda one: abs(one.scene.share - 0.2))
    still = next(one for one in plain if one.scene.share == 0)
    older = draw_light(random.Random(_SEED + 1))
    columns = (
        ("a face, a fifth of its light the screen's", genuine, genuine.steps),
        ("a face that does not respond", still, still.steps),
        ("an older response replayed", genuine, older),
    )
    figure = Figure(figsize=(12.5, 6.6), layout="constrained")
    figure.suptitle("Screen light on rendered calls (simulated): VP8, exposure control, white balance, noise")
    axes = figure.subplots(3, 3, height_ratios=(0.5, 1.4, 1.4))
    for column, (title, one, steps) in enumerate(columns):
        judgement = one.judged(steps)
        axes[0, column].set_title(f"{title}\n{judgement.reason}, z = {judgement.details['z']:.1f}")
        _draw_code(axes[0, column], steps)
        _draw_face(axes[1, column], one, steps)
        _draw_filter(axes[2, column], one, steps)
    axes[0, 0].set_ylabel("shown")
    axes[1, 0].set_ylabel("ln ratio, face - room")
    axes[2, 0].set_ylabel("correlation")
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def _draw_code(axes: Axes, steps: Sequence[Step]) -> None:
    for step, following in pairwise(steps):
        axes.axvspan(step.at_s, following.at_s, color=step.colour, lw=0)
    axes.set(xlim=(0, LIMIT_S), yticks=[], xlabel="s after the first colour")


def _draw_face(axes: Axes, one: Film, steps: tuple[Step, ...]) -> None:
    found = response(Command(Gesture.SCREEN_LIGHT, LIMIT_S, steps), one.observed(steps))
    assert found is not None
    seen = found[0]
    centred = seen.colour - seen.colour.mean(axis=0)
    axes.plot(seen.times_s, centred[:, 0], color="#d55e00", lw=1.2, label="red to green")
    axes.plot(seen.times_s, centred[:, 1], color="#0072b2", lw=1.2, label="blue to green")
    axes.set(xlim=(0, LIMIT_S), ylim=(-0.25, 0.25), xlabel="s after the first colour")
    axes.legend(loc="upper right", fontsize=8)


def _draw_filter(axes: Axes, one: Film, steps: tuple[Step, ...]) -> None:
    lags_s = np.arange(-1.0, 3.0, 0.02)
    seen = series([sight for sight in one.sights if sight.time_s >= 0.8])
    starts_s = [step.at_s for step in steps]
    dice = random.Random(_SEED + 2)
    others = [any_code(dice) for _ in range(60)]
    chance = np.stack([over_lags(seen, code, [step.at_s for step in code], lags_s) for code in others])
    low, high = np.quantile(chance, (0.025, 0.975), axis=0)
    axes.axvspan(0.0, 0.8, color="#eeeeee", lw=0)
    axes.fill_between(lags_s, low, high, color="#bbbbbb", alpha=0.6, lw=0, label="95 % of codes not shown")
    axes.plot(lags_s, over_lags(seen, steps, starts_s, lags_s), color="#000000", lw=1.5, label="shown code")
    axes.set(xlim=(-1, 3), ylim=(-1, 1), xlabel="lag in s (grey: looked at)")
    axes.legend(loc="lower right", fontsize=8)


def main() -> None:
    """Shoot, judge, count, draw."""
    parser = argparse.ArgumentParser(description="screen light on rendered calls")
    parser.add_argument("folder", type=Path, help="where films are kept")
    parser.add_argument("--seen", action="store_true", help="the films the limits were set with")
    parser.add_argument("--out", type=Path, help="JSON of the rows")
    parser.add_argument("--picture", type=Path, help="PNG")
    options = parser.parse_args()
    films = films_of(options.folder, fresh=not options.seen)
    rows = measure(films)
    print(table(rows))
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")
    if options.picture:
        draw(films, options.picture)


if __name__ == "__main__":
    main()
