"""LightGBM without scikit-learn, for processes that only score.

LightGBM imports scikit-learn for its estimator classes where it finds it: 1.6 of the 2.5 s of CPU that its import takes. A worker
uses none of them, and starts that much sooner after a crash.
"""

import importlib
import sys


def import_lightgbm_alone() -> None:
    """Imports lightgbm as if scikit-learn were not installed; scikit-learn itself can be imported as ever afterwards.

    For a worker's process only: ``lightgbm.LGBMClassifier`` and its kin do not work in a process that called this.
    """
    if "lightgbm" in sys.modules or "sklearn" in sys.modules:
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # the import system's way to say "not installed"
    try:
        importlib.import_module("lightgbm")
    finally:
        del sys.modules["sklearn"]
