"""Reads every import of guard and fails on one that points the wrong way (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "guard"

BASE = {"types", "alert", "errors", "clock", "reasons", "resources", "iin", "keyfile", "__init__"}
LOW = BASE | {"media"}
ALLOWED: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "alert": {"types"},
    "reasons": {"types"},
    "clock": set(),
    "resources": set(),
    "keyfile": {"errors"},
    "iin": set(),
    "log": BASE,
    "media": BASE,
    "windows": LOW | {"detectors.tflite"},
    "detectors": LOW | {"fusion.calibration"},
    "fusion": LOW,
    "challenge": LOW,
    "policy": LOW,
    "inference": LOW | {"windows", "detectors", "fusion", "challenge", "policy"},
    "pipeline": LOW | {"inference", "windows", "detectors", "fusion", "challenge", "policy"},
    "relay": LOW,
    "codec": LOW,
    "store": LOW,
    "evidence": LOW,
    "workers": LOW,
    "metrics": LOW,
    "signalling": LOW,
    "api": LOW | {"signalling"},
    "config": LOW
    | {
        "pipeline",
        "inference",
        "windows",
        "detectors",
        "fusion",
        "challenge",
        "policy",
        "relay",
        "codec",
        "workers",
    }
    | {"signalling", "api", "metrics", "log"},
}
# the top of the house: builds and runs everything, so it may see everything
TOP = {"app", "analysis", "analyze", "cli", "demo", "evaluation", "banner_worker", "__main__"}

DOORS = {
    "aiortc": {"relay"},
    "aioice": {"relay"},
    "pylibsrtp": {"relay"},
    "av": {"codec"},
    "onnxruntime": {"detectors.onnx"},
    "ai_edge_litert": {"detectors.tflite"},
    "webrtcvad": {"windows.vad"},
    "prometheus_client": {"metrics"},
    "sqlalchemy": {"store"},
    "uvloop": {"cli"},
    "matplotlib": {"evaluation.plots"},
    "ctranslate2": {"inference.recogniser"},
    "faster_whisper": {"inference.recogniser"},
}
PURE = {
    "windows",
    "detectors",
    "fusion",
    "challenge",
    "policy",
    "media",
    "types",
    "alert",
    "errors",
    "reasons",
}
IMPURE_MODULES = {"asyncio", "threading", "socket", "time", "logging", "structlog", "prometheus_client"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def imports(path: Path) -> Iterator[str]:
    package = ["guard", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield prefix
            if prefix.startswith("guard"):
                yield from (f"{prefix}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_imports_point_right_only(path: Path) -> None:
    module = dotted(path)
    room = module.split(".")[0]
    if room in TOP:
        return
    assert room in ALLOWED or room == "__init__", f"guard/{room} has no place in the layers"
    allowed = ALLOWED.get(room, set()) | {room}
    for name in imports(path):
        if name == "guard" or not name.startswith("guard."):
            continue
        target = name.removeprefix("guard.")
        ok = any(target == a or target.startswith(f"{a}.") for a in allowed) or target == "__version__"
        assert ok, f"guard.{module} imports {name}, which lies to its left or beside it"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_one_door_per_dependency(path: Path) -> None:
    module = dotted(path)
    for name in imports(path):
        doors = DOORS.get(name.split(".")[0])
        if doors is not None:
            ok = any(module == d or module.startswith(f"{d}.") for d in doors)
            assert ok, f"guard.{module} imports {name}; its door is {sorted(doors)}"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_pure_rooms_touch_no_clock_thread_socket_or_log(path: Path) -> None:
    module = dotted(path)
    if module.split(".")[0] not in PURE:
        return
    touched = {name.split(".")[0] for name in imports(path)} & IMPURE_MODULES
    assert not touched, f"guard.{module} imports {sorted(touched)}"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_no_module_over_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
