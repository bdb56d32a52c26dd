"""What ablate.py compares: which clips a head is trained on, who is held out, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from clips import Item
from folds import FOLDS, family, folds_of

# what a seed changes is measured on the base (nine seeds); curves, where subsets are drawn, have several
ONE, TWO, THREE = (0,), (0, 1), (0, 1, 2)
NEURAL = ("fargan", "dred", "hifigan", "vocos", "vocos2", "source", "flow", "codec", "convert", "melgan")
# after the convolutions, after each layer; named here, so that nothing in this file needs torch
STATES = (0, 1, 2, 3)
Select = Callable[[list[Item], np.random.Generator], list[Item]]


@dataclass(frozen=True)
class Training:
    """How one head is trained; the defaults are those of heads.py, but for fewer steps."""

    steps: int = 400
    hidden: int = 32
    states: tuple[int, ...] = STATES
    spread_of_states: bool = True
    pooling: str = "attention"
    loss: str = "bce"


@dataclass(frozen=True)
class Row:
    """One line of the report: ``held`` says who is held out, ``place`` where it lies on a curve."""

    name: str
    part: str
    label: str
    select: Select = lambda items, _: items
    how: Training = field(default_factory=Training)
    copies: tuple[int, ...] | None = None
    held: str = "engines and sources"
    place: float | None = None
    seeds: tuple[int, ...] = ONE
    ensemble: bool = False


def without_orphans(items: list[Item]) -> list[Item]:
    """Leave out the copies whose original is not there."""
    known = {item.key for item in items if item.origin is None}
    return [item for item in items if item.origin is None or item.origin in known]


def without_copies(items: list[Item], _: np.random.Generator) -> list[Item]:
    """Leave out everything that was made of another clip."""
    return [item for item in items if item.origin is None]


def without_sets(*names: str) -> Select:
    """Leave out whole sets, and what was made of their clips."""
    return lambda items, _: without_orphans([item for item in items if item.set not in names])


def share_of_engines(share: float, copies: bool) -> Select:
    """Keep a share of the families of engines, at least one; without ``copies`` engines are all there is."""

    def select(items: list[Item], rng: np.random.Generator) -> list[Item]:
        own = sorted({family(item.group) for item in items if item.spoof and item.origin is None})
        kept = set(rng.permutation(own)[: max(1, round(share * len(own)))].tolist())
        natural = [i for i in items if i.origin is None and not (i.spoof and family(i.group) not in kept)]
        return without_orphans([*natural, *(i for i in items if i.origin)]) if copies else natural

    return select


def share_of_sources(share: float) -> Select:
    """Keep a share of the sources of genuine speech; copies go with their originals."""

    def select(items: list[Item], rng: np.random.Generator) -> list[Item]:
        own = sorted({item.group for item in items if not item.spoof})
        kept = set(rng.permutation(own)[: max(1, round(share * len(own)))].tolist())
        return without_orphans([item for item in items if item.spoof or item.group in kept])

    return select


def clips_an_engine(most: int) -> Select:
    """Keep at most ``most`` clips of every engine."""

    def select(items: list[Item], rng: np.random.Generator) -> list[Item]:
        taken: dict[str, int] = {}
        kept = [item for item in items if not item.spoof or item.origin]
        for n in rng.permutation(len(items)).tolist():
            item = items[n]
            if item.spoof and item.origin is None and taken.get(item.group, 0) < most:
                taken[item.group] = taken.get(item.group, 0) + 1
                kept.append(item)
        return without_orphans(kept)

    return select


def held_out(items: list[Item], held: str) -> np.ndarray:
    """Return the fold of every clip; a head is judged on its own fold only.

    ``engines and sources`` is the recipe's own, ``one family`` has a fold for each family of engines; where
    only one of the two is held out, the clips of the other are dealt at random: it is known.
    """
    if held == "engines and sources":
        return folds_of(items)
    natural = [item for item in items if item.origin is None]
    families = sorted({family(i.group) for i in natural if i.spoof})
    folds = len(families) if held == "one family" else FOLDS
    recipe = dict(zip((i.key for i in items), folds_of(items).tolist(), strict=True))
    fold = {}
    for item in natural:
        if held == "one family":
            name = family(item.group) if item.spoof else item.group
            fold[item.key] = families.index(name) if item.spoof else crc32(name.encode()) % folds
        elif held == ("engines" if item.spoof else "sources"):
            fold[item.key] = recipe[item.key]
        else:
            fold[item.key] = crc32(item.key.encode()) % folds
    return np.array([fold[item.origin or item.key] for item in items])


def rows() -> list[Row]:
    """Return every line of the report, the base first."""
    found = [Row("base", "data", "all clips: the base of every difference", seeds=THREE)]
    for share in (0.1, 0.25, 0.5, 0.75):
        select, label = share_of_engines(share, True), f"{100 * share:.0f} % of the families of engines"
        found.append(Row(f"engines-{share}", "engines", label, select, place=share, seeds=THREE))
    found += [
        Row(f"known-{held}", "known", label, held=held)
        for held, label in (
            ("sources", "engines known, sources of genuine speech not"),
            ("engines", "sources of genuine speech known, engines not"),
            ("nothing", "both known, clips not"),
        )
    ]
    for share in (0.1, 0.25, 0.5, 0.75):
        label = f"{100 * share:.0f} % of the sources of genuine speech"
        found.append(
            Row(f"sources-{share}", "sources", label, share_of_sources(share), place=share, seeds=TWO)
        )
    found += _losses() + _data() + _features()
    for share in (0.1, 0.25, 0.5, 1.0):
        select = share_of_engines(share, False)
        label = f"{100 * share:.0f} % of the families of engines, no copies"
        found.append(Row(f"bare-{share}", "bare", label, select, place=share, seeds=TWO))
    for most in (3, 10, 30):
        label = f"at most {most} clips of each engine"
        found.append(Row(f"clips-{most}", "clips", label, clips_an_engine(most), place=most))
    one = "one family of engines held out at a time: the most engines that can be trained on"
    found.append(Row("one-family", "engines", one, held="one family"))
    return found


def _losses() -> list[Row]:
    named = {
        "one-class": "one-class softmax",
        "paired": "a copy must score above its original (margin)",
        "sharpness": "sharpness-aware steps",
        "mixed": "mixed windows (their states)",
        "averaged": "averaged weights of the second half",
    }
    found = [Row(f"loss-{loss}", "loss", label, how=Training(loss=loss)) for loss, label in named.items()]
    found += [
        Row(f"steps-{steps}", "loss", f"{steps} steps instead of 400", how=Training(steps=steps))
        for steps in (150, 1200)
    ]
    for heads in (3, 9):
        label = f"the mean of {heads} heads"
        found.append(Row("base", "loss", label, seeds=tuple(range(heads)), ensemble=True))
    return found


def _data() -> list[Row]:
    neural = [f"copy-{name}" for name in NEURAL]
    made = ("engines", "engines2")
    recorded = ("packaged", "packaged2", *made)
    return [
        Row("no-neural", "data", "no copies by neural vocoders", without_sets(*neural, "copy-respoken")),
        Row("no-engines", "data", "no engines spoken by the recipe", without_sets(*made)),
        Row("folder", "data", "the data folder and copies of it", without_sets(*recorded)),
        Row(
            "folder-bare",
            "data",
            "the data folder alone",
            lambda items, rng: without_copies([i for i in items if i.set == "real"], rng),
        ),
        Row("clean", "data", "clean windows only (so no copies)", without_copies, copies=(0,)),
        Row("chain", "data", "windows of the call chain only, no copies", without_copies, copies=(1, 2)),
        Row("chain-copies", "data", "windows of the call chain only", copies=(1, 2)),
    ]


def _features() -> list[Row]:
    names = ("after the convolutions", *(f"after layer {n}" for n in STATES[1:]))
    found = [
        Row(f"state-{n}", "features", f"only the state {name}", how=Training(states=(n,)))
        for n, name in enumerate(names)
    ]
    found.append(
        Row("no-spread", "features", "mean of half seconds only", how=Training(spread_of_states=False))
    )
    found += [
        Row(f"pool-{kind}", "features", label, how=Training(pooling=kind))
        for kind, label in (
            ("even", "mean and spread over time without attention"),
            ("mean", "mean over time without attention"),
        )
    ]
    found += [
        Row(f"hidden-{size}", "features", f"{size} units instead of 32", how=Training(hidden=size))
        for size in (8, 128)
    ]
    return found
