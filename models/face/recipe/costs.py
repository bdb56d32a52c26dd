"""Runs one step of the recipe and notes what it cost; prints what all of them cost.

    python costs.py run --log WORK/costs.jsonl STEP UNITS -- COMMAND...
    python costs.py print --log WORK/costs.jsonl [--full STEP:UNITS ...]

A step that was cut off and gone on with has several notes: their CPU time is added. Steps not named by
``--full`` cost the same in a run of any size. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path


def run(log: Path, step: str, units: int, command: list[str]) -> int:
    """Run ``command``, add a line to ``log`` even where it is cut off, return its exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"--- {step}", flush=True)
    started = time.monotonic()
    child = subprocess.Popen(command)
    for number in (signal.SIGINT, signal.SIGTERM):  # hand it on, wait for the command to end, note its cost
        signal.signal(number, lambda given, _: child.send_signal(given))
    status = child.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    note = {
        "step": step,
        "units": units,
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "wall_s": round(time.monotonic() - started, 1),
        "status": status,
    }
    with log.open("a", encoding="utf-8") as out:
        out.write(json.dumps(note) + "\n")
    return status if status >= 0 else 128 - status


def table(notes: list[dict], full: dict[str, int]) -> str:
    """Return what each step cost, in order, and what a full run would, in proportion to its units.

    A step's fixed part (starting, reading the faces) is taken in proportion as well, so that the estimate
    from a small run is rather too high.
    """
    steps = list(dict.fromkeys(note["step"] for note in notes))
    lines = ["| step | size | CPU-minutes | full size | CPU-minutes, estimate |", "|---|---|---|---|---|"]
    sums = [0.0, 0.0]
    for step in steps:
        own = [note for note in notes if note["step"] == step]
        spent, units = sum(note["cpu_s"] for note in own) / 60, max(note["units"] for note in own)
        whole = full.get(step, units)
        estimate = spent * whole / units if units else spent
        sums = [sums[0] + spent, sums[1] + estimate]
        size = (str(units), str(whole)) if step in full else ("", "")
        lines.append(f"| {step} | {size[0]} | {spent:.1f} | {size[1]} | {estimate:.1f} |")
    lines.append(f"| together | | {sums[0]:.1f} | | {sums[1]:.0f} = {sums[1] / 60:.1f} CPU-hours |")
    return "\n".join(lines)


def main() -> None:
    """Run a step, or print the table."""
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "print"))
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--full", nargs="*", default=[], help="STEP:UNITS of a full run")
    parser.add_argument("step", nargs="*", help="with run: its name and its number of units")
    args = parser.parse_intermixed_args(given[:cut])
    if args.what == "run":
        name, units = args.step
        sys.exit(run(args.log, name, int(units), given[cut + 1 :]))
    if not args.log.is_file():
        sys.exit(f"{args.log} is not there: no step was run with this WORK yet")
    notes = [json.loads(line) for line in args.log.read_text(encoding="utf-8").splitlines()]
    print(table(notes, {name: int(units) for name, units in (one.split(":") for one in args.full)}))


if __name__ == "__main__":
    main()
