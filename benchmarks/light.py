"""The screen light on rendered calls: python -m benchmarks.light [--films N] [--out FILE] [--picture FILE]

SIMULATED: ``benchmarks.light_scene`` says how. Each film is one call with its own code, camera, room and
connection, drawn by its seed, through VP8 and face tracking to ``guard.challenge.light``. Counted are films
with their own code (a genuine person at that share of screen light), films without a response, and films
judged by a code that was not shown: a replayed older response. Those last share films, so their intervals are
a little too narrow.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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

SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
OTHER_CODES = 15
# from this share on a film counts as one whose response could be replayed
REPLAYED_FROM = 0.1
ROOMS = ((1.3, 1.0, 0.5), (1.15, 1.0, 0.75), (1.0, 1.0, 1.0), (0.9, 1.0, 1.2))
_SEED = 70_000


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


def shoot(share: float, television: float, seed: int, models: FaceModels) -> Film:
    """Return a film of a share of screen light; everything else is drawn by the seed."""
    dice, rng = random.Random(seed), np.random.default_rng(seed)
    steps = draw_light(dice)
    scene = Scene(
        share=share,
        wall=float(rng.uniform(0.03, 0.4)),
        lag_s=float(rng.uniform(0.12, 0.7)),
        snr_db=float(rng.uniform(26, 38)),
        kbit_s=int(rng.integers(300, 801)),
        room=ROOMS[int(rng.integers(len(ROOMS)))],
        lost=float(rng.choice([0.0, 0.02, 0.1])),
        exposure_s=float(rng.uniform(0.3, 1.5)),
        balance_s=float(rng.uniform(2, 10)),
        television=television,
    )
    sent_s = [step.at_s for step in steps]
    return Film(scene, steps, film(scene, colours_of(steps, sent_s, scene.lag_s), LIMIT_S, rng, models))


def counted(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Return how many matched, mismatched and were left open, with exact 95 % limits, and the reasons."""
    answers = Counter(one.answer for one in judgements)
    total = len(judgements)
    row: dict[str, Any] = {"n": total, "reasons": dict(Counter(one.reason for one in judgements))}
    for answer in Answer:
        limits = share_of(answers[answer], total)
        row[answer.value] = {"count": answers[answer], "low": limits.low, "high": limits.high}
    return row


def measure(films: Sequence[Film]) -> dict[str, dict[str, Any]]:
    """Return the rows of the table."""
    rows: dict[str, dict[str, Any]] = {}
    for share in SHARES:
        own = [one for one in films if one.scene.share == share and not one.scene.television]
        rows[f"own code, share {share:g}"] = counted([one.judged(one.steps) for one in own])
    for share in (0.0, 0.2):
        own = [one for one in films if one.scene.share == share and one.scene.television]
        rows[f"own code beside a television, share {share:g}"] = counted(
            [one.judged(one.steps) for one in own]
        )
    still = [one for one in films if one.scene.share == 0 and not one.scene.television]
    rows["no response, codes not shown"] = counted(_against_others(still))
    lit = [one for one in films if one.scene.share >= REPLAYED_FROM and not one.scene.television]
    rows["older response, unknown code"] = counted(_against_others(lit))
    rows["older response, known code"] = counted(_against_others(lit, known=True))
    return rows


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
    genuine = next(one for one in films if one.scene.share == 0.2 and not one.scene.television)
    still = next(one for one in films if one.scene.share == 0.0 and not one.scene.television)
    older = draw_light(random.Random(_SEED + 1))
    columns = (
        ("a face at a fifth of screen light", genuine, genuine.steps),
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
    parser.add_argument("--films", type=int, default=20, help="per row")
    parser.add_argument("--out", type=Path, help="JSON of the rows")
    parser.add_argument("--picture", type=Path, help="PNG")
    options = parser.parse_args()
    models = load_face_models(models_dir())
    wanted = [(share, 0.0) for share in SHARES] + [(0.0, 0.25), (0.2, 0.25)]
    films: list[Film] = []
    for row, (share, television) in enumerate(wanted):
        for number in range(options.films):
            films.append(shoot(share, television, _SEED + 1000 * row + number, models))
            print(f"{len(films)} of {len(wanted) * options.films} films", file=sys.stderr, flush=True)
    rows = measure(films)
    print(table(rows))
    if options.out:
        told = {"seed": _SEED, "films": [asdict(one.scene) for one in films], "rows": rows}
        options.out.write_text(json.dumps(told, indent=1) + "\n")
    if options.picture:
        draw(films, options.picture)


if __name__ == "__main__":
    main()
