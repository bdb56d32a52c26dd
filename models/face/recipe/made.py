"""Says what was made and how it is taken into use, and which models guard ships stay in use beside it.

    python made.py --work WORK MODEL...      in guard's own environment

Every model is loaded and run once. Writes WORK/guard.toml where there is none.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from data import ROOT

sys.path.insert(0, str(ROOT))
from guard.app.model_files import IMPORTED, verify


def main() -> None:
    """Print both lists.

    Raises:
        SystemExit: a model that was made is not in use with WORK, or one in use cannot be loaded.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("models", nargs="+", help="those that must lie in WORK")
    args = parser.parse_args()
    found = verify(args.work)
    damaged = [f"{one['name']}: {one['error']['message']}" for one in found if not one["ok"]]
    own = {one["name"]: one for one in found if one["origin"] == IMPORTED}
    absent = [name for name in args.models if name not in own]
    if damaged or absent:
        sys.exit("\n".join([*damaged, *(f"{args.work / name} is no model in use" for name in absent)]))
    settings = args.work / "guard.toml"
    if not settings.is_file():
        settings.write_text(f"[analysis]\nmodels_dir = {json.dumps(str(args.work))}\n", encoding="utf-8")
    print(f"\nMade and loaded, in {args.work}:")
    for name, one in own.items():
        print(f"  {name} {one['version']}: {one['licence']}")
    print("Guard's own models that stay in use beside them:")
    for one in found:
        if one["origin"] != IMPORTED:
            print(f"  {one['name']} {one['version']}: {' '.join(one['licence'].split())}")
    print(f"Take them into use by {settings}, or by analysis.models_dir in your own.")


if __name__ == "__main__":
    main()
