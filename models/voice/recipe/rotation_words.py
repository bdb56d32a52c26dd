"""What must be said beside the table of the folds: where one holds out fewer engines than were asked for."""

from __future__ import annotations

from collections.abc import Sequence

# engines that a fold should hold out at least
LEAST = 5


def explained(engines: Sequence[Sequence[str]], families: int) -> str:
    """Return a paragraph on the folds with fewer than ``LEAST`` engines, nothing where there is none.

    Args:
        engines: the engines that each fold holds out.
        families: how many families (``folds.family``) they are of.
    """
    few = [(fold, names) for fold, names in enumerate(engines) if len(names) < LEAST]
    if not few:
        return ""
    named = "; ".join(
        f"fold {fold} holds out {len(names)} ({', '.join(sorted(names, key=str.lower))})"
        for fold, names in few
    )
    total = sum(len(names) for names in engines)
    return (
        f"Fewer than {LEAST} engines: {named}. An engine is held out with all its relatives, and the "
        f"{families} families are dealt by their number of clips, the largest first (recipe/folds.py), so "
        "families with many clips fill a fold. A figure of such a fold alone rests on its few engines; the "
        f'row "all" holds out each of the {total} engines once, '
        f"{', '.join(str(len(names)) for names in engines)} at a time."
    )
