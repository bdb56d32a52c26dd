"""What the relay costs: CPU per call, added delay and memory, beside aiortc's MediaRelay and Janus.

    python -m benchmarks.relay                     # everything; about ten minutes
    python -m benchmarks.relay --quick             # 1 and 10 calls, no room; about two
    python -m benchmarks.relay --systems guard janus --calls 1 10 --seconds 8

Publishers and subscribers are two other processes with media encoded ahead (VP8 640x360, 30 pictures a
second, 500 kbit/s, and Opus). CPU is that of the relay process alone, from /proc. Delay is from the
publisher's send call to the subscriber's receive call on the host's monotonic clock, so it contains
the load's own loops. Results go to ``benchmarks/results/relay.json`` and ``relay.png``, the table to stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import platform
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.relay_case import Case, Result, janus_installed, run_case
from benchmarks.relay_media import make_clip, shots
from benchmarks.relay_report import draw, table

SYSTEMS = ("guard", "guard_tap", "janus", "aiortc")
CALLS = (1, 2, 10, 20)
ROOM_PARTIES = 6
# beyond this stock MediaRelay starves on two cores: the load would measure its own queue
AIORTC_MOST_CALLS = 2
RESULTS = Path(__file__).resolve().parent / "results"


def cases(systems: list[str], calls: list[int], room: bool) -> list[Case]:
    """Return what to run, systems side by side for each size."""
    sizes = [(n, 2) for n in calls] + ([(1, ROOM_PARTIES)] if room else [])
    return [Case(system, n, parties) for n, parties in sizes for system in systems]


def machine() -> dict[str, object]:
    """Return what the numbers were measured on."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    load = os.getloadavg()
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_before": [round(value, 2) for value in load],
    }


def not_run(case: Case) -> str | None:
    """Return why a case is left out, None where it is run."""
    if case.system == "janus" and not janus_installed():
        return "janus is not installed"
    if case.system == "aiortc" and (case.calls > AIORTC_MOST_CALLS or case.parties > 2):
        return "not run: MediaRelay re-encodes every stream and starves beyond two calls on two cores"
    return None


def empty(case: Case, note: str) -> Result:
    """Return the row of a case without numbers."""
    return Result(asdict(case), 0.0, None, None, None, None, "", 0.0, 0.0, 0.0, 0.0, 0.0, note)


def median(runs: list[Result]) -> Result:
    """Return the run with the middle CPU; failed ones only where there is no other."""
    measured = sorted(
        (r for r in runs if r.cpu_s_per_call_s is not None), key=lambda r: r.cpu_s_per_call_s or 0
    )
    if not measured:
        return runs[0]
    values = [r.cpu_s_per_call_s for r in measured]
    return replace(measured[len(measured) // 2], note=f"all runs: {values}" if len(runs) > 1 else "")


async def run_all(chosen: list[Case], seconds: float, seed: int, repeat: int) -> list[Result]:
    """Run the cases, systems in turn, as often as asked; return one result for each."""
    runs: dict[Case, list[Result]] = {case: [] for case in chosen}
    with tempfile.TemporaryDirectory(prefix="guard-bench-") as folder:
        clip = make_clip()
        path = Path(folder) / "clip"
        path.write_bytes(pickle.dumps((shots(clip), clip.duration_s)))
        for size in dict.fromkeys((case.calls, case.parties) for case in chosen):
            for _ in range(repeat):
                for case in (c for c in chosen if (c.calls, c.parties) == size):
                    runs[case].append(await run_one(case, path, seconds=seconds, seed=seed))
    return [median(results) for results in runs.values()]


async def run_one(case: Case, clip: Path, *, seconds: float, seed: int) -> Result:
    """Run one case, or say why not."""
    reason = not_run(case)
    if reason is not None:
        return empty(case, reason)
    try:
        result = await run_case(case, clip, seconds=seconds, seed=seed)
    except (ConnectionError, TimeoutError) as error:
        result = empty(case, f"failed: {type(error).__name__} {error}")
    sys.stderr.write(
        f"{case.system:10} {case.name:7} {result.cpu_s_per_call_s} {result.delay_ms} {result.note}\n"
    )
    return result


def ratios(results: list[Result]) -> dict[str, float]:
    """Return how the systems compare in CPU at the same size, in this run."""
    cpu = {
        (r.case["system"], r.case["calls"], r.case["parties"]): r.cpu_s_per_call_s
        for r in results
        if r.cpu_s_per_call_s
    }
    out = {}
    for (system, calls, parties), used in cpu.items():
        base = cpu.get(("guard", calls, parties))
        if system != "guard" and base and used:
            out[f"{system} over guard, {calls} x {parties}"] = round(used / base, 2)
    return out


def main() -> None:
    """Parse the options, run, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--calls", nargs="+", type=int, default=list(CALLS), metavar="N")
    parser.add_argument("--no-room", action="store_true", help="leave out the six-party room")
    parser.add_argument("--quick", action="store_true", help="1 and 10 calls only, 6 s each, no room")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each case")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each case, in turn; the median counts")
    parser.add_argument("--seed", type=int, default=7, help="of the publishers' phases")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    if options.quick:
        options.calls, options.no_room, options.seconds = [1, 10], True, 6.0
    before = machine()
    chosen = cases(options.systems, options.calls, not options.no_room)
    results = asyncio.run(run_all(chosen, options.seconds, options.seed, options.repeat))
    compared = ratios(results)
    document = {
        "machine": before,
        "load_average_after": [round(value, 2) for value in os.getloadavg()],
        "seed": options.seed,
        "command": " ".join(["python -m benchmarks.relay", *sys.argv[1:]]),
        "ratios": compared,
        "results": [asdict(result) for result in results],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "relay.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    draw(results, options.out / "relay.png")
    sys.stdout.write(table(results) + "\n")
    for name, ratio in compared.items():
        sys.stdout.write(f"- CPU, {name}: {ratio}\n")
    sys.stdout.write(f"\nMachine: {json.dumps(before)}; seed {options.seed}\n")


if __name__ == "__main__":
    main()
