"""``guard models import MODEL.onnx --card card.toml``: another voice detector, tried before it is used.

Nothing of the model runs in this process: it is copied aside, tried in a child (``model_trial``), judged by
golden pairs, and only then moved to its place in one rename. What is refused leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guard.app.model_checks import check_calibration, check_sign
from guard.app.model_files import in_use, is_packaged
from guard.app.model_store import install, read_limited, staged, write, writing
from guard.app.model_trial import GoldenPair, TrialLimits, try_model
from guard.detectors.card import Card, load_card
from guard.detectors.contract import check_contract
from guard.detectors.table import DETECTORS
from guard.errors import ConfigError, GuardError, ModelError
from guard.resources import clips_dir, models_dir
from guard.types import Signal

MAX_MODEL_BYTES = 512 << 20
MAX_CARD_BYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\.onnx")
_CARD = "card.toml"
BUNDLED, GIVEN = "bundled", "given"


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, and where to.

    Args:
        model: the ONNX file.
        card: its card; docs/models.md says what must be in it.
        models_dir: the operator's folder of models; a dry run needs none.
        golden: a pair of clips of the operator's own; without it the bundled pair decides.
        force: put it in the place of an imported model of the same name.
        dry_run: try it and show everything, install nothing.
        limits: of the trial.
    """

    model: Path
    card: Path
    models_dir: Path | None
    golden: GoldenPair | None = None
    force: bool = False
    dry_run: bool = False
    limits: TrialLimits = field(default_factory=TrialLimits)


def bundled_pair() -> GoldenPair:
    """Return guard's own golden pair: Russian prompts and Open JTalk (SOURCES.toml beside the clips)."""
    voices = clips_dir() / "voices"
    return GoldenPair(voices / "customer_genuine.opus", voices / "customer_synthetic.opus")


def import_model(request: ImportRequest) -> dict[str, Any]:
    """Try a model and install it; return what was found, ready for ``json.dumps``.

    Raises:
        ConfigError: the files or the folder cannot be used.
        ModelError: the model or its card is refused; the message names the reason.
        MediaError: a golden clip cannot be read.
    """
    root = _root(request)
    text = read_limited(request.card, MAX_CARD_BYTES)
    model = read_limited(request.model, MAX_MODEL_BYTES)
    with staged(None if request.dry_run else root) as folder, _named(folder, request), writing(folder.parent):
        write(folder / _CARD, text)
        card = _checked(folder, text)
        _compare(card, model)
        replaces = _replaced(card, root, request.force)
        write(folder / card.file, model)
        golden = {BUNDLED: bundled_pair(), **({GIVEN: request.golden} if request.golden else {})}
        found = try_model(folder, golden, request.limits)
        decided_by = GIVEN if request.golden else BUNDLED
        check_sign(card, found["golden"][decided_by])
        check_calibration(card, found["golden"][decided_by])
        target = None if root is None or request.dry_run else root / card.name
        if target is not None:
            install(folder, target, force=request.force)
    return _report(card, found, target=target, decided_by=decided_by, replaces=replaces)


def golden_pair(bona_fide: Path | None, spoof: Path | None) -> GoldenPair | None:
    """Return the operator's own pair, None where none is given.

    Raises:
        ConfigError: ``golden_pair``; one of the two is missing.
    """
    if bona_fide is None and spoof is None:
        return None
    if bona_fide is None or spoof is None:
        raise ConfigError("golden_pair", "give --golden-bona-fide and --golden-spoof, or neither")
    return GoldenPair(bona_fide, spoof)


def _root(request: ImportRequest) -> Path | None:
    """Return the operator's folder, made if it was not there."""
    root = request.models_dir
    if root is None:
        if request.dry_run:
            return None
        raise ConfigError(
            "models_dir", "no folder for your models is named; set analysis.models_dir or give --models-dir"
        )
    if is_packaged(root):
        raise ConfigError("models_dir", f"{root} holds the shipped models; name a folder of your own")
    if not request.dry_run:
        with writing(root):
            root.mkdir(parents=True, exist_ok=True)
    return root.absolute() if root.is_dir() else None


@contextmanager
def _named(folder: Path, request: ImportRequest) -> Iterator[None]:
    """Let messages name the operator's files, not the copies."""
    try:
        yield
    except GuardError as error:
        message = error.message.replace(str(folder / _CARD), str(request.card))
        message = re.sub(re.escape(str(folder)) + r"/[\w.-]+", lambda _: str(request.model), message)
        raise type(error)(error.code, message) from None


def _checked(folder: Path, text: bytes) -> Card:
    """Return the staged card, if a model with it can be imported at all."""
    card = load_card(folder)
    if not _NAME.fullmatch(card.name):
        raise ModelError(
            "model_name",
            f"name {card.name!r} becomes a folder: 1 to 64 of a-z, 0-9, _ and -, first a letter or digit",
        )
    own = {entry.model for entry in DETECTORS if entry.signal is card.signal}
    others = {path.parent.name for path in models_dir().glob("*/card.toml")} - own
    if card.name in others:
        raise ModelError(
            "model_name", f"name {card.name!r} is that of a shipped model of another kind; choose another"
        )
    if not _FILE.fullmatch(card.file):
        raise ModelError("model_name", f"file {card.file!r} must be a plain name that ends in .onnx")
    if card.signal is not Signal.VOICE_SPOOF:
        raise ModelError(
            "model_signal", f"signal is {card.signal.value!r}; only voice_spoof models can be imported"
        )
    if "level" not in tomllib.loads(text.decode())["input"]:
        raise ModelError(
            "card_invalid", f"{folder / _CARD}: input.level is missing; say as_is, rms_0.05 or peak_1"
        )
    check_contract(card)
    return card


def _compare(card: Card, model: bytes) -> None:
    found = hashlib.sha256(model).hexdigest()
    if found != card.sha256:
        raise ModelError(
            "model_hash",
            f"{card.folder / card.file} has sha256 {found}, its card says {card.sha256}; "
            "they do not belong together, or the file was changed",
        )


def _replaced(card: Card, root: Path | None, force: bool) -> dict[str, Any] | None:
    """Return what scores the card's signal until now; refuse where there is no room for another."""
    target = root / card.name if root is not None else None
    if target is not None and os.path.lexists(target):
        if target.is_symlink() or not target.is_dir():
            raise ModelError(
                "model_exists", f"{target} is a link or a file; remove it, guard writes through none"
            )
        if not force:
            raise ModelError(
                "model_exists", f"{target} is there already; --force puts the new one in its place"
            )
    place = in_use(root).detectors[card.signal]
    if root is not None and place.folder.is_relative_to(root) and place.folder != target:
        raise ModelError(
            "model_signal_taken",
            f"{place.folder} scores {card.signal.value} already, and only one can; remove that folder first",
        )
    with suppress(ModelError):  # a damaged one may be replaced, too
        now = load_card(place.folder)
        return {"name": now.name, "version": now.version, "sha256": now.sha256, "origin": place.origin}
    return {"name": place.folder.name, "version": None, "sha256": None, "origin": place.origin}


def _report(
    card: Card,
    found: Mapping[str, Any],
    *,
    target: Path | None,
    decided_by: str,
    replaces: Mapping[str, Any] | None,
) -> dict[str, Any]:
    spec, output = card.input, card.output
    return {
        "v": 1,
        "ok": True,
        "installed": target is not None,
        "folder": None if target is None else str(target),
        "name": card.name,
        "version": card.version,
        "signal": card.signal.value,
        "file": card.file,
        "sha256": card.sha256,
        "licence": card.licence,
        "input": {
            "shape": list(spec.shape),
            "rate_hz": spec.rate_hz,
            "level": spec.level,
            "shorter": spec.shorter,
            "longer": spec.longer,
        },
        "output": {
            "name": output.name,
            "spoof_is": "larger" if output.larger_is_spoof else "smaller",
            "column": output.column,
            "minus_column": output.minus_column,
        },
        "cpu_ms_per_window": found["cpu_ms_per_window"],
        "golden": {"decided_by": decided_by, **found["golden"]},
        "replaces": replaces,
    }
