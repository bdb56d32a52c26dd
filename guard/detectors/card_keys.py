"""Every key that a ``card.toml`` may hold: one that is not here is misspelt, and would be as if absent.

A new key of a card is added here and where it is read (docs/models.md describes those of imported
models). ``[data]``, ``[measured]`` and ``[source]`` are for people and hold whatever they like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from guard.detectors.card_table import refuse_unknown

Keys = Mapping[str, "Keys | None"]
"""The keys of a table; None is a value of its own, or a table in which nothing is looked at."""


def _values(*names: str) -> dict[str, Keys | None]:
    return dict.fromkeys(names)


_HEAD = _values("name", "version", "file", "sha256", "licence", "summary", "paper")
_FREE = _values("data", "measured", "source")
_LIMITS = _values("known_failures")
_LOGISTIC = _values("a", "b", "limit_llr", "on")

DETECTOR: Final[Keys] = {
    **_HEAD,
    **_FREE,
    # names of outputs are the model's own (card.KNOWN_OUTPUTS are read), those of gates the fields of Gates
    **_values("signal", "outputs", "gates"),
    "limits": _LIMITS,
    "input": _values(
        *("name", "shape", "dtype", "scaling", "rate_hz", "colour_order", "level", "shorter", "longer")
    ),
    "output": _values("name", "spoof_is", "column", "minus_column"),
    "calibration": {**_LOGISTIC, "bins": {**_LOGISTIC, **_values("name")}, "second": _LOGISTIC},
}
"""A model that scores (``card.load_card``)."""

NETWORK: Final[Keys] = {
    **_HEAD,
    **_FREE,
    "limits": _LIMITS,
    "input": _values("name", "shape", "dtype", "scaling", "colour_order", "scale", "offset"),
    "outputs": _values("name", "shape", "meaning"),
}
"""A network that finds faces (``tflite.load_network_card``)."""


def vector(calibrations: Sequence[str]) -> Keys:
    """Return the keys of a model that describes a person (``vector_card.load_vector_card``)."""
    person: Keys = {**_LOGISTIC, **_values("spoof_share", "bona_fide_share")}
    return {
        **_HEAD,
        **_FREE,
        "limits": _LIMITS,
        "input": _values("name", "shape", "dtype", "scaling", "rate_hz", "colour_order"),
        "output": _values("name", "shape", "meaning"),
        "calibration": {str(name): person for name in calibrations},
    }


def check_keys(table: Mapping[str, Any], known: Keys, place: str = "") -> None:
    """Refuse a key that no card has; tables and lists of tables are looked into.

    Raises:
        ValueError: names the key and the known one nearest to it.
    """
    refuse_unknown(table, known, place)
    for key, inside in known.items():
        if inside is None:
            continue
        values = table.get(key)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, dict):
                check_keys(value, inside, f"{place}.{key}" if place else key)
