"""LightGBM without scikit-learn, for processes that only score, and the way to keep a library from importing another."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType

from scorer.errors import LibraryMissingError


class _Hiding(MetaPathFinder):
    """First asked where a module is; None in ``sys.modules`` would not do, as compiled modules take it for the module."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == self._name:
            raise ModuleNotFoundError(f"No module named {fullname!r}, as scorer.models.lean hides it for now", name=fullname)


@contextmanager
def hidden(name: str) -> Iterator[None]:
    """Meanwhile nobody can import the package; afterwards it can be imported as ever. One that is there already stays."""
    hiding = _Hiding(name)
    sys.meta_path.insert(0, hiding)
    try:
        yield
    finally:
        sys.meta_path.remove(hiding)


def import_lightgbm() -> ModuleType:
    """LightGBM; LibraryMissingError, with what mends it, where its compiled part cannot be loaded."""
    try:
        return importlib.import_module("lightgbm")
    except OSError as error:
        raise LibraryMissingError(
            f"LightGBM cannot be loaded ({error}); where it is libgomp.so.1 that is missing: apt-get install libgomp1. "
            "Check with: tidegate doctor"
        ) from error


def import_lightgbm_alone() -> ModuleType:
    """LightGBM as if scikit-learn were not installed, whose import takes more than LightGBM's own.

    For a worker's process only: ``lightgbm.LGBMClassifier`` and its kin do not work in a process that called this.
    """
    with hidden("sklearn"):
        return import_lightgbm()
