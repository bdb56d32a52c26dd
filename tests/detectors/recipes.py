"""Recipes are scripts beside the models and no package: how a test gets at their modules."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


def recipe_script(path: Path) -> ModuleType:
    """Load one script that imports no other of its recipe."""
    spec = importlib.util.spec_from_file_location(f"recipe_{path.parents[1].name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up while they are made
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


@contextmanager
def recipe_modules(folder: Path, *names: str) -> Iterator[dict[str, ModuleType]]:
    """Import scripts that import each other by plain names, some of which other recipes have, too."""
    stems = {path.stem for path in folder.glob("*.py")}
    others = {name: sys.modules.pop(name) for name in stems if name in sys.modules}
    sys.path.insert(0, str(folder))
    try:
        importlib.invalidate_caches()
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(folder))
        for name in stems:
            sys.modules.pop(name, None)
        sys.modules.update(others)
