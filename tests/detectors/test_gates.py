"""Gates: which reason a model's own doubts give, and which limits a card may state."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from guard.detectors.gates import CONTENT, Gates, read_gates

ALL = Gates(max_music=0.5, max_several=0.5, max_noise=0.5, min_quality=2.0)


def logits(**probabilities: float) -> np.ndarray:
    """Logits (4,) of the given probabilities; the rest goes to one voice."""
    rest = 1.0 - sum(probabilities.values())
    p = [probabilities.get(name, 1e-9) for name in CONTENT[1:]]
    return (np.log([rest, *p]) + 3.0).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("several_voices", "several_speakers"), ("music", "music"), ("noise", "environment_noise")],
)
def test_content_above_its_limit_gives_its_reason(name: str, reason: str) -> None:
    assert ALL.content_reason(logits(**{name: 0.55})) == reason
    assert ALL.content_reason(logits(**{name: 0.45})) is None


def test_one_voice_passes_however_sure_the_model_is() -> None:
    assert ALL.content_reason(np.array([80.0, -80.0, -80.0, -80.0], np.float32)) is None


def test_likeliest_of_several_reasons_is_given() -> None:
    low = Gates(max_music=0.1, max_several=0.1, max_noise=0.1)
    assert low.content_reason(logits(music=0.2, noise=0.3, several_voices=0.25)) == "environment_noise"


def test_what_is_not_one_voice_for_sure_is_what_it_is_likeliest_besides() -> None:
    gates = Gates(min_one_voice=0.9)
    assert gates.content_reason(logits(music=0.05, noise=0.02)) is None
    assert gates.content_reason(logits(music=0.05, noise=0.06)) == "environment_noise"
    assert gates.outputs == {"content"}


def test_absent_limit_is_no_gate() -> None:
    assert Gates(max_noise=0.5).content_reason(logits(music=0.99)) is None
    assert Gates().quality_reason(1.0) is None


def test_quality_below_its_limit_gives_its_reason() -> None:
    assert ALL.quality_reason(1.99) == "low_quality"
    assert ALL.quality_reason(2.0) is None


def test_gates_name_the_outputs_they_read() -> None:
    assert Gates().outputs == frozenset()
    assert Gates(max_several=0.5).outputs == {"content"}
    assert ALL.outputs == {"content", "quality"}


def test_what_binds_the_other_voice_signals() -> None:
    content = {"several_speakers", "music", "environment_noise"}
    assert Gates(max_music=0.5).binding == content
    assert ALL.binding == {*content, "low_quality"}
    # of the content nothing is told, so the others must say that nothing was
    assert Gates(min_quality=2.0).binding == Gates().binding == frozenset()


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_music": 0.0},
        {"min_one_voice": 1.5},
        {"max_noise": 1.0},
        {"min_quality": 0.5},
        {"max_speech": 0.5},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        read_gates(wrong)


def test_every_reason_is_documented() -> None:
    listed = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text(encoding="utf-8")
    given = {ALL.content_reason(logits(**{name: 0.9})) for name in CONTENT[1:]} | {ALL.quality_reason(1.0)}
    assert len(given) == 4
    assert given <= set(re.findall(r"^\| `(\w+)`", listed, re.MULTILINE))
