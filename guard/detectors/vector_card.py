"""The card of a model that describes a person, by voice or by face, and judges nothing by itself.

Its output is a vector, no score, so its ``card.toml`` names no signal. What compares such vectors has a
calibration of its own for each kind of comparison: ``guard.detectors.speaker`` and
``guard.detectors.face_identity``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard.detectors.card import read_checked
from guard.detectors.card_keys import check_keys, vector
from guard.detectors.card_table import number_at, read_card, shape_at, table_at, text_at
from guard.fusion.calibration import Logistic
from guard.types import FloatArray


@dataclass(frozen=True, slots=True)
class PersonCalibration:
    """From the distance of two voices or faces to a log-likelihood ratio of spoof against bona fide.

    ``other`` is measured: the natural llr of "another person" against "the same person". The shares are
    not; they say what another person means. An attack shows as another person only in ``spoof_share`` of
    its windows (a good clone or swap has the right voice or face from the start), and so do
    ``bona_fide_share`` of honest ones (a second person at the microphone or camera, a reference of the
    wrong person). Hence

        llr = log((w * exp(l) + 1 - w) / (v * exp(l) + 1 - v)),   w = spoof_share, v = bona_fide_share

    which is 0 at l = 0, at most log(w / v), and at least log((1 - w) / (1 - v)): the right person is
    hardly evidence of a genuine one.
    """

    other: Logistic
    spoof_share: float
    bona_fide_share: float

    def __post_init__(self) -> None:
        if not 0 < self.bona_fide_share < self.spoof_share < 1:
            raise ValueError("calibration needs 0 < bona_fide_share < spoof_share < 1")

    def other_llr(self, distance: FloatArray) -> NDArray[np.float64]:
        """Return (N,) natural llr of another against the same person."""
        return self.other.llr(distance).astype(np.float64)

    def llr(self, other_llr: NDArray[np.float64]) -> FloatArray:
        """Return float32 (N,) natural llr of spoof against bona fide."""
        odds = np.exp(other_llr)
        w, v = self.spoof_share, self.bona_fide_share
        return np.log((w * odds + 1 - w) / (v * odds + 1 - v)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class VectorCard:
    """A checked ``card.toml``: rows of ``shape`` in, a vector of ``size`` numbers of each out."""

    folder: Path
    name: str
    version: str
    file: str
    sha256: str
    licence: str
    summary: str
    input: str
    shape: tuple[int, ...]
    output: str
    size: int
    calibrations: Mapping[str, PersonCalibration]
    measured: Mapping[str, Any]


def load_vector_card(folder: Path, calibrations: Sequence[str]) -> VectorCard:
    """Read and check ``folder/card.toml``, which must have each of ``calibrations``.

    Raises:
        ModelError: ``card_missing`` or ``card_invalid``.
    """
    return read_card(folder, lambda table: _card(folder, table, calibrations))


def read_vector_model(card: VectorCard) -> bytes:
    """Return the bytes of the card's file, after comparing their sha256.

    Raises:
        ModelError: ``model_missing`` or ``model_hash``.
    """
    return read_checked(card.folder / card.file, card.sha256)


def _card(folder: Path, table: Mapping[str, Any], calibrations: Sequence[str]) -> VectorCard:
    check_keys(table, vector(calibrations))
    file = text_at(table, "file")
    if Path(file).name != file:
        raise ValueError(f"file {file!r} must lie in the card's own folder")
    given, made, known = (table_at(table, key) for key in ("input", "output", "calibration"))
    sizes = shape_at(made, "shape", "output.shape")
    if len(sizes) != 1:
        raise ValueError("output.shape must hold one positive integer")
    return VectorCard(
        folder=folder,
        name=text_at(table, "name"),
        version=text_at(table, "version"),
        file=file,
        sha256=text_at(table, "sha256"),
        licence=text_at(table, "licence"),
        summary=text_at(table, "summary"),
        input=text_at(given, "name"),
        shape=shape_at(given, "shape", "input.shape"),
        output=text_at(made, "name"),
        size=sizes[0],
        calibrations={str(name): _calibration(table_at(known, name)) for name in calibrations},
        measured=dict(table_at(table, "measured")),
    )


def _calibration(table: Mapping[str, Any]) -> PersonCalibration:
    a, b, limit, spoof, bona_fide = (
        number_at(table, key) for key in ("a", "b", "limit_llr", "spoof_share", "bona_fide_share")
    )
    return PersonCalibration(Logistic(a, b, limit), spoof, bona_fide)
