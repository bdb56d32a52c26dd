"""Where the figures of measure.py go: measured.toml, and the card of the file they were measured on."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence

HEAD = "# recipe/measure.py: simulated calls; [value, low, high], 95 % over speakers and engines"


def with_table(before: str, name: str, lines: Sequence[str], sha256: str | None) -> str:
    """Return the text of measured.toml with ``[measured.NAME]`` made of these lines.

    Args:
        before: the text so far; may be empty.
        name: of the table; one that stands there already is replaced.
        lines: TOML, ``key = value``.
        sha256: of the model file that was judged; None for figures of nets trained for them alone.
    """
    found = tomllib.loads(before).get("measured", {})
    judged = {} if sha256 is None else {"model_sha256": sha256}
    found[name] = judged | tomllib.loads("\n".join(lines))
    text = [HEAD]
    for key, table in sorted(found.items()):
        text += [f"[measured.{key}]", *(f"{k} = {json.dumps(value)}" for k, value in table.items())]
    return "\n".join(text) + "\n"


def on_card(card: str, measured: str) -> str:
    """Return a card's text with these figures, which stand last on it, in place of those before."""
    return card.partition(HEAD)[0].rstrip() + "\n\n" + (f"{measured}\n" if measured else "")
