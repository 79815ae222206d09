"""What a process imports to score with LightGBM."""

import importlib
import subprocess
import sys

import pytest

from scorer.errors import LibraryMissingError
from scorer.models import lean

ALONE = """
import sys
from scorer.models.lean import import_lightgbm_alone
assert import_lightgbm_alone().Booster
assert not any(name.startswith("sklearn") for name in sys.modules), "scikit-learn was imported"
import sklearn.metrics  # still there for whoever needs it
"""


def test_a_scoring_process_does_without_scikit_learn() -> None:
    subprocess.run([sys.executable, "-c", ALONE], check=True)


def test_a_lightgbm_that_cannot_be_loaded_names_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks_libgomp(_: str) -> None:
        raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(importlib, "import_module", lacks_libgomp)
    with pytest.raises(LibraryMissingError, match=r"libgomp\.so\.1: cannot open.*apt-get install libgomp1.*tidegate doctor"):
        lean.import_lightgbm_alone()
