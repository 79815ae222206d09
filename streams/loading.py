"""Finds a user's pipeline: by file (examples/flights/pipeline.py) or by module (package.module:name)."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from scorer.pipeline import Pipeline
from streams.errors import PipelineNotFound

DEFAULT_NAME = "pipeline"


def load_pipeline(reference: str) -> Pipeline:
    """The pipeline that `reference` names; PipelineNotFound where there is none. What its module raises passes through."""
    place, _, name = reference.partition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_module(place)
    found = getattr(module, name or DEFAULT_NAME, None)
    if not isinstance(found, Pipeline):
        raise PipelineNotFound(f"{place} has no Pipeline called {name or DEFAULT_NAME!r}; write {place}:NAME for another name")
    return found


def _from_file(path: Path) -> ModuleType:
    """Imports a file, as part of its package where it lies in one, so that its own imports work."""
    path = path.resolve()
    if not path.is_file():
        raise PipelineNotFound(f"there is no file {path}; give the path of a Python file that defines a Pipeline")
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").exists():
        parts.insert(0, root.name)
        root = root.parent
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module(".".join(parts))


def _from_module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise PipelineNotFound(
            f"there is no module {name!r}; give a file such as examples/flights/pipeline.py, or package.module"
        )
    return importlib.import_module(name)
