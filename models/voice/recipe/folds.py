"""Which clips are held out together, and how much each clip weighs in training.

Groups are engines of synthetic clips and sources of genuine ones. Engines of one kind (``RELATIVES``)
are held out together, and a copy follows the clip it was made of: no fold has heard the engine, or the
source, it is judged on. A speaker of two sources may have been heard: LJSpeech is genuine in
ming024/FastSpeech2 and seungwonpark/melgan, Allison speaks Asterisk's prompts in English and in Spanish.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from clips import Item
from rotation_words import LEAST

FOLDS, COPY_SHARE = 3, 0.7
RELATIVES = (
    ("VITS", "Piper-VITS"),
    ("Tacotron", "DeepVoice3"),
    ("WaveNet", "ClariNet"),
    ("MelGAN", "PWG", "HiFi-GAN"),
    ("NeuralHMM", "Matcha-TTS", "Grad-TTS", "Glow-TTS", "FastSpeech2"),
    ("festival",),
    ("espeak",),
    ("pico", "svox"),
    ("codec2",),
    ("Kokoro", "StyleTTS2"),
)


def family(engine: str) -> str:
    """Return the name under which an engine and its relatives are held out together."""
    for relatives in RELATIVES:
        if engine.lower().startswith(tuple(name.lower() for name in relatives)):
            return relatives[0]
    return engine


def folds_of(items: list[Item]) -> np.ndarray:
    """Return int (N,): families and sources are dealt largest first to the emptiest fold.

    Then small families change folds until each fold holds out LEAST engines, where there are so many.
    """
    names = [family(i.group) if i.spoof else i.group for i in items]
    fold = np.zeros(len(items), int)
    for spoof in (False, True):
        count = Counter(n for n, i in zip(names, items, strict=True) if i.spoof == spoof and i.origin is None)
        place, filled = {}, np.zeros(FOLDS)
        for name, size in sorted(count.items(), key=lambda kv: (-kv[1], kv[0])):
            place[name] = int(filled.argmin())
            # the root of the size, as in the weights: many small sources tell more than one large
            filled[place[name]] += size**0.5
        if spoof:
            _even_out(place, count, items)
        for n, item in enumerate(items):
            if item.spoof == spoof and item.origin is None:
                fold[n] = place[names[n]]
    own = {item.key: fold[n] for n, item in enumerate(items) if item.origin is None}
    for n, item in enumerate(items):
        if item.origin is not None:
            fold[n] = own[item.origin]
    return fold


def keep_folds(items: list[Item], kept: Path, made: list[Path]) -> None:
    """Note in ``kept`` which folds the nets ``made`` are trained with; exit where some knew other folds."""
    dealt = {i.group: int(k) for i, k in zip(items, folds_of(items), strict=True) if i.origin is None}
    said = json.dumps(dealt, sort_keys=True, ensure_ascii=False)
    if not kept.exists() and not any(path.exists() for path in made):
        kept.write_text(said)
    if not kept.exists() or kept.read_text() != said:
        sys.exit(f"{kept.parent} holds nets that were trained with other folds: delete it and run again")


def _even_out(place: dict[str, int], clips: Counter[str], items: list[Item]) -> None:
    """Move small families to the fold with fewest engines while that has too few, from where most can go."""
    engines: dict[str, set[str]] = {}
    for item in items:
        if item.spoof and item.origin is None:
            engines.setdefault(family(item.group), set()).add(item.group)
    while True:
        held = [sum(len(engines[n]) for n in place if place[n] == k) for k in range(FOLDS)]
        few = int(np.argmin(held))
        spare = [n for n in place if held[place[n]] - len(engines[n]) >= LEAST]
        if held[few] >= LEAST or not spare:
            return
        place[min(spare, key=lambda n: (-held[place[n]], clips[n], n))] = few


def weights_of(items: list[Item]) -> np.ndarray:
    """Return float (N,): each class sums to one half; a source with both classes gives as much to each.

    So the source (a site, a microphone, a speaker) says nothing about the class. A source weighs as the root
    of its size, an engine within it likewise; copies weigh COPY_SHARE of their originals.
    """
    rows: dict[tuple[str, str], list[int]] = {}
    for n, item in enumerate(items):
        kind = "copy" if item.origin else "spoof" if item.spoof else "genuine"
        rows.setdefault((item.source, kind), []).append(n)
    weight = np.zeros(len(items))
    for (source, kind), members in rows.items():
        original = max(len(rows.get((source, k), ())) for k in ("genuine", "spoof")) ** 0.5
        engines = Counter(items[n].group for n in members)
        share = np.array([engines[items[n].group] ** -0.5 for n in members])
        weight[members] = share / share.sum() * original * (COPY_SHARE if kind == "copy" else 1.0)
    spoof = np.array([item.spoof for item in items])
    for cls in (spoof, ~spoof):
        weight[cls] *= 0.5 / weight[cls].sum()
    return weight
