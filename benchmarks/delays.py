"""The delay budgets of a whole call, over many switches: what ``guard demo --switches N --json`` measures.

    python -m benchmarks.delays [--switches 20] [--seed 1] [--out benchmarks/results/delays.json]

Takes about 65 s for each switch, because guard sends at most one alert a minute per
person. Missed switches are counted, never dropped. Exit 1 where a budget is broken.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

# issue 2, item 11
BUDGETS: tuple[tuple[str, str, float], ...] = (
    ("first voice score", "s", 5.0),
    ("first face score", "s", 4.0),
    ("first bona_fide", "s", 12.0),
    ("switch to alert, median", "s", 10.0),
    ("decision to received, p95", "ms", 300.0),
)


def first_bona_fide_s(result: dict[str, Any]) -> float | None:
    states = result["participants"]["customer"]["states"]
    return next((s["t_s"] for s in states if s["state"] == "bona_fide"), None)


def median_with_missed(result: dict[str, Any]) -> float | None:
    """Return the median over every switch; a missed one counts as never. None: half or more were missed."""
    found = [a["delay_from_switch_s"] for a in first_alerts(result)]
    missing = [float("inf")] * (len(result["switches_s"]) - len(found))
    ordered = sorted([*found, *missing])
    if not ordered:
        return None
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return None if middle == float("inf") else middle


def first_alerts(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the first alert after each switch that had one."""
    seen: dict[float, dict[str, Any]] = {}
    for alert in result["alerts"]:
        if alert["delay_from_switch_s"] is not None:
            seen.setdefault(round(alert["received_t_s"] - alert["delay_from_switch_s"], 2), alert)
    return list(seen.values())


def measured(result: dict[str, Any]) -> dict[str, float | None]:
    delays = result["delays"]
    return {
        "first voice score": delays["first_voice_score_s"],
        "first face score": delays["first_face_score_s"],
        "first bona_fide": first_bona_fide_s(result),
        "switch to alert, median": median_with_missed(result),
        "decision to received, p95": delays["decision_to_received_ms"]["p95"],
    }


def table(result: dict[str, Any]) -> tuple[str, bool]:
    values = measured(result)
    lines = ["| budget | at most | measured | |", "|---|---|---|---|"]
    kept = True
    for name, unit, limit in BUDGETS:
        value = values[name]
        good = value is not None and value <= limit
        kept = kept and good
        shown = "never" if value is None else f"{value:.2f} {unit}"
        lines.append(f"| {name} | {limit:g} {unit} | {shown} | {'kept' if good else 'BROKEN'} |")
    spread = result["delays"]["switch_to_alert_s"]
    lines.append(f"\nswitches: {len(result['switches_s'])}, alerted {spread['n']}, missed {spread['missed']}")
    return "\n".join(lines), kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    words = ["demo", "--json", "--switches", str(options.switches), "--seed", str(options.seed)]
    done = subprocess.run(
        [sys.executable, "-m", "guard", *words], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.returncode)
    result = json.loads(done.stdout)
    text, kept = table(result)
    print(f"{platform.machine()}, {platform.processor() or 'unknown processor'}, seed {options.seed}")
    print(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()
