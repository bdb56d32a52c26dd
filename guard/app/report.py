"""What ``guard analyze`` and ``guard models import`` show a person in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

LOOKS = {
    "undecided": ("?", "cannot tell", "dim"),
    "bona_fide": ("OK", "no suspicion", "green"),
    "suspect": ("!", "suspect", "yellow"),
    "spoof": ("!!", "spoof", "bold red"),
}


def print_analysis(found: Mapping[str, Any]) -> None:
    """Print the object of one file as a small table."""
    console = Console()
    if "error" in found:
        error = found["error"]
        console.print(f"{found['path']}: {error['message']} [{error['code']}]", style="red", markup=False)
        return
    icon, words, style = LOOKS[found["verdict"]]
    head = Text.assemble((f"{icon} {words}", style), f"  {found['path']}  {found['duration_s']:.1f} s")
    table = Table("signal", "llr", "coverage", "why not")
    for name, signal in found["signals"].items():
        if signal["reason"] == "no_model":
            continue
        llr = "-" if signal["llr"] is None else f"{signal['llr']:+.2f}"
        table.add_row(name, llr, f"{signal['coverage']:.0%}", signal["reason"] or "")
    console.print(head)
    console.print(table)


def print_import(found: Mapping[str, Any]) -> None:
    """Print what the trial of a model gave, and where the model is now."""
    console, golden = Console(), found["golden"]
    console.print(
        f"{found['name']} {found['version']}, {found['signal']}, {found['licence']}, "
        f"{found['cpu_ms_per_window']:.1f} CPU-ms a window",
        markup=False,
    )
    table = Table("golden pair", "clip", "is", "windows", "raw score", "llr")
    for pair in (name for name in golden if name != "decided_by"):
        for label in ("bona_fide", "spoof"):
            clip = golden[pair][label]
            decides = " (decides)" if pair == golden["decided_by"] else ""
            scores = (str(clip["windows"]), f"{clip['raw']:+.4f}", f"{clip['llr']:+.2f}")
            table.add_row(f"{pair}{decides}", Text(clip["clip"]), label, *scores)
    console.print(table)
    now = found["replaces"]
    console.print(f"in place of {now['name']} {now['version']} ({now['origin']})", markup=False)
    if found["installed"]:
        console.print(f"installed in {found['folder']}; restart guard serve to use it", markup=False)
    else:
        console.print("dry run: nothing was installed", markup=False)
