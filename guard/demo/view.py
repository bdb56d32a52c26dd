"""What the terminal shows while the demonstration runs."""

from __future__ import annotations

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from guard.demo.record import CallRecord, StateChange

STATE_LOOKS = {
    "undecided": ("?", "dim"),
    "bona_fide": ("OK", "green"),
    "suspect": ("!", "yellow"),
    "spoof": ("!!", "bold red"),
    "detector_down": ("x", "magenta"),
}
_BARS = "▁▂▃▄▅▆▇█"
_SHOWN_LLR = 6.0


def risk_line(changes: list[StateChange], now_s: float, *, width: int = 48, span_s: float = 60.0) -> Text:
    """Return the last minute's llr as bars, coloured by state; blanks where nothing was known."""
    text = Text()
    for column in range(width):
        until_s = now_s - span_s * (width - 1 - column) / width
        seen = [c for c in changes if until_s - span_s / width < c.at_s <= until_s]
        known = [c for c in seen if c.llr is not None]
        if not known:
            text.append("·" if seen else " ", style="dim")
            continue
        last = known[-1]
        height = ((last.llr or 0.0) + _SHOWN_LLR) / (2 * _SHOWN_LLR)
        bar = _BARS[min(max(int(height * len(_BARS)), 0), len(_BARS) - 1)]
        text.append(bar, style=STATE_LOOKS[last.state][1])
    return text


def people_table(call: CallRecord, now_s: float) -> Table:
    """Return one row per participant: state, llr and the last minute."""
    table = Table(expand=True)
    for title in ("participant", "role", "state", "llr", "risk, last 60 s"):
        table.add_column(title)
    for who, role in call.roles.items():
        changes = call.states.get(who, [])
        state = changes[-1].state if changes else "undecided"
        llr = changes[-1].llr if changes else None
        icon, style = STATE_LOOKS[state]
        shown = "-" if llr is None else f"{llr:+.2f}"
        table.add_row(who, role, Text(f"{icon} {state}", style=style), shown, risk_line(changes, now_s))
    return table


def alerts_table(call: CallRecord) -> Table:
    """Return the alerts the agent received and how long each took."""
    table = Table(expand=True)
    for title in ("alert to", "about", "state", "after the switch", "decision to screen", "acknowledged"):
        table.add_column(title)
    for alert in call.alerts:
        switch = call.switch_of(alert)
        delay = "before any switch" if switch is None else f"{alert.received_s - switch:.1f} s"
        sent = "-" if alert.decided_s is None else f"{(alert.received_s - alert.decided_s) * 1000:.0f} ms"
        acked = "-" if alert.acked_s is None else f"after {alert.acked_s - alert.received_s:.1f} s"
        state = Text(alert.state, style=STATE_LOOKS[alert.state][1])
        table.add_row(alert.recipient, alert.participant, state, delay, sent, acked)
    return table


def screen(call: CallRecord, now_s: float, *, phase: str, page: str) -> Group:
    """Return the whole live view."""
    head = Text.assemble(
        ("guard demo  ", "bold"), f"{max(now_s - call.start_s, 0):5.1f} s  ", (phase, "bold cyan")
    )
    cpu = call.relay.get("cpu_s_per_call_s")
    foot = f"relay CPU: {'measuring' if cpu is None else f'{cpu:.3f} core for this call'}   call page: {page}"
    return Group(Panel(head), people_table(call, now_s), alerts_table(call), Text(foot, style="dim"))
