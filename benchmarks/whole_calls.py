"""Calls put together from clips, through the whole pipeline, faster than they last.

    python -m benchmarks.whole_calls [FOLDER...] [--calls N] [--seed S] [--out FILE.json] [--picture FILE.png]

    clips -> Opus, VP8 -> RTP payloads -> decoders -> windows -> every detector -> fusion -> policy

What ``guard serve`` runs on what it receives, in one thread and by the clock of the media, so hours take
minutes. A FOLDER has a ``manifest.csv`` and holds clips of sound (as of ``guard eval voice``) or of video
(``guard eval face``; a column ``pair`` links a genuine clip and its swap); without folders the demo's clips
are used. The kinds of call are ``whole_calls_run.CELLS``: genuine, forged from the start, forged in
mid-call; voice alone, or voice and face, of which either or both are forged.

The voices and faces are real and the calls are not: nobody paused, interrupted, or sat in another room, every
clip keeps its own studio, a face moves for three seconds and then again, and sound and lips have nothing to
do with each other. Few voices and faces serve many calls, so exact intervals over calls are too narrow:
``over_units`` draws whole engines and faces instead.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.whole_calls_media import APART, Material, demo_material, read_material
from benchmarks.whole_calls_report import account, picture, table
from benchmarks.whole_calls_run import Call, Plan, Ran, apart, draw, every_model, run
from guard.app.parts import PipelineConfig, settings_config, thresholds_of
from guard.config import load_settings
from guard.fusion.config import FusionConfig

PROFILES = ("meeting", "kz-ardfm", "contact-centre")
_TELL_EVERY_S = 10.0


def run_all(
    material: Material, plan: Plan, seed: int, *, profile: str
) -> tuple[list[Ran], int, PipelineConfig]:
    """Return what became of every call, how many were left out by an interrupt, and the settings.

    Progress goes to standard error.
    """
    models = every_model()
    config = apart(settings_config(load_settings(), profile))
    calls = in_turns(draw(material, plan, seed))
    of_s, ran = sum(call.length_s for call in calls), []
    began_s = told_s = time.monotonic()
    try:
        for call in calls:
            ran.append(run(call, material, models, config, profile=profile))
            now = time.monotonic()
            if now - told_s >= _TELL_EVERY_S or len(ran) == len(calls):
                told_s = now
                sys.stderr.write(_progress(ran, len(calls), of_s, now - began_s))
    except (
        KeyboardInterrupt
    ):  # hours of work are not thrown away: the account says how many calls are missing
        sys.stderr.write(f"interrupted: {len(ran)} of {len(calls)} calls are accounted for\n")
    return ran, len(calls) - len(ran), config


def in_turns(calls: Iterable[Call]) -> list[Call]:
    """Return the calls so that all kinds go on evenly, whenever one stops."""
    drawn = list(calls)
    of = Counter(call.cell for call in drawn)
    return sorted(drawn, key=lambda call: (call.number + 0.5) / of[call.cell])


def _progress(ran: Sequence[Ran], of: int, of_s: float, spent_s: float) -> str:
    done_s = sum(one.call.length_s for one in ran)
    return (
        f"{len(ran)} of {of} calls, {done_s / 3600:.2f} of {of_s / 3600:.2f} h, "
        f"{done_s / spent_s:.1f} times real time, {spent_s * (of_s / done_s - 1):.0f} s left\n"
    )


def main(folders: Sequence[Path], plan: Plan, seed: int, *, profile: str = PROFILES[0]) -> dict[str, Any]:
    """Run the calls drawn from the folders' clips, or the demo's, and return the account of it."""
    material = read_material(folders) if folders else demo_material()
    cpu_s, wall_s = time.process_time(), time.monotonic()
    ran, missing, config = run_all(material, plan, seed, profile=profile)
    cpu_s, wall_s = time.process_time() - cpu_s, time.monotonic() - wall_s
    media_s = sum(one.call.length_s for one in ran)
    return {
        "v": 2,
        "what": "calls put together from clips: voices and faces are real, the calls are not",
        "seed": seed,
        "profile": profile,
        "thresholds": {
            "amber_llr": config.fusion.thresholds.amber_llr,
            "red_llr": config.fusion.thresholds.red_llr,
        },
        "machine": " ".join((platform.machine(), platform.system(), "Python", platform.python_version())),
        "folders": [folder.name for folder in folders] or ["demo"],
        "voices": len(material.voices),
        "engines": len(material.engines),
        "faces": len(material.faces),
        "swapped_faces": len(material.swaps),
        "unreadable": material.unreadable,
        "calls_left_out": missing,
        "apart": [signal.value for signal in APART],
        "switch_s": plan.switch_s,
        "attack_s": plan.attack_s,
        "hours": round(media_s / 3600, 3),
        "cpu_s": round(cpu_s, 1),
        "wall_s": round(wall_s, 1),
        "media_s_per_cpu_s": round(media_s / cpu_s, 2),
        "times_real_time": round(media_s / wall_s, 2),
        "scored": sum(score.llr is not None for one in ran for score in one.scores),
        **account(ran, _profiles(config.fusion, profile)),
    }


def _profiles(config: FusionConfig, own: str) -> dict[str, FusionConfig]:
    """Return the settings of the run itself, named "", and those of the other profiles."""
    others = {name: replace(config, thresholds=thresholds_of(name)) for name in PROFILES if name != own}
    return {"": config, **others}


def written(found: Mapping[str, Any], out: Path | None, png: Path | None) -> None:
    """Write what was asked for; without a file the JSON goes to standard output."""
    text = json.dumps(found, indent=1) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
        sys.stdout.write(table(found) + "\n")
    if png is not None:
        picture(found["lines"], found["thresholds"], png)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders", type=Path, nargs="*", help="each with manifest.csv; none: the demo's clips"
    )
    parser.add_argument("--calls", type=int, default=8, help="of each attack on a face; of others more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", choices=PROFILES, default=PROFILES[0])
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    parser.add_argument("--picture", type=Path, help="PNG of some calls; needs matplotlib")
    args = parser.parse_args()
    written(main(args.folders, Plan(args.calls), args.seed, profile=args.profile), args.out, args.picture)
