"""Finds a user's pipeline: by file (examples/flights/pipeline.py) or by module (package.module:name)."""

import importlib
import importlib.util
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from featurestore.errors import FeatureStoreError
from scorer.pipeline import Pipeline
from streams.errors import PipelineBroken, PipelineNotFound, StreamError

DEFAULT_NAME = "pipeline"


def load_pipeline(reference: str) -> Pipeline:
    """The pipeline that `reference` names; PipelineNotFound where there is none, PipelineBroken where its module raises."""
    place, _, name = reference.partition(":")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else _from_module(place)
    except (FeatureStoreError, StreamError):
        raise
    except Exception as error:
        raise PipelineBroken(f"{place} cannot be imported: {_where(error)}{type(error).__name__}: {error}") from error
    found = getattr(module, name or DEFAULT_NAME, None)
    if not isinstance(found, Pipeline):
        raise PipelineNotFound(f"{place} has no Pipeline called {name or DEFAULT_NAME!r}; write {place}:NAME for another name")
    return found


def _where(error: Exception) -> str:
    """The line of the user's code that raised, as far as the traceback tells."""
    if isinstance(error, SyntaxError):
        return ""  # its message says file and line
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if len(frames) > 3 else ""


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
    if len(parts) > 1:
        return importlib.import_module(".".join(parts))
    # By its place, not its name: queue.py or rides.v2.py are good names for a file, and no module's.
    name = f"pipeline_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # msgspec and dataclasses look classes' annotations up there
    spec.loader.exec_module(module)
    return module


class _FromSource(SourceFileLoader):
    """Neither reads nor writes bytecode, which is taken for a file's own by its size and second of change: not enough for a
    pipeline that is edited and tried, or mounted with a fixed date."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


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
