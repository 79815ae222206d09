"""Keeps libraries from importing, at their first use in a worker, large packages that a worker does not use.

A worker starts that much sooner after a crash, and is that much smaller. Each of these asks once whether the other package is
there, and asks again where it cannot do without; LightGBM's part of this is scorer.models.lean's.
"""

import importlib
import importlib.util
import sys
from typing import Any

import pyarrow as pa

from scorer.models.lean import hidden


def numba_without_scipy() -> None:
    """To be called before the first compiled function runs.

    Numba then imports SciPy's linear algebra to see whether BLAS is there, half of the 0.6 s of CPU of that first call. A
    function that does use BLAS, as np.dot, imports it as it is compiled.
    """
    if "numba.np.arraymath" in sys.modules:
        return
    with hidden("scipy.linalg"):
        arraymath: Any = importlib.import_module("numba.np.arraymath")
    arraymath._HAVE_BLAS = importlib.util.find_spec("scipy") is not None  # what it would have found


def arrow_without_pandas() -> None:
    """To be called before the first array is made: Arrow then imports pandas, 0.35 s of CPU, to know its objects.

    Afterwards ``pa.array`` takes a Series for any sequence, so that NaN is no null; ``to_pandas`` works as ever.
    """
    with hidden("pandas"):
        pa.array([0.0])
