"""What ``guard analyze`` shows a person in the terminal."""

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
