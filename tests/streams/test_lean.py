"""Libraries in a worker do without the packages that it does not use, and still find them where somebody does."""

import subprocess
import sys

WITHOUT_SCIPY = """
import sys
from streams.lean import numba_without_scipy
numba_without_scipy()
import numba as nb, numpy as np
assert nb.njit(lambda x: x * 2)(3) == 6
assert "scipy.linalg" not in sys.modules, "Numba imported SciPy"
a = np.arange(9.0).reshape(3, 3)
assert np.array_equal(nb.njit(lambda x: np.dot(x, x))(a), a @ a)
assert np.allclose(nb.njit(lambda x: np.convolve(x, x))(a[1]), np.convolve(a[1], a[1]))
assert "scipy.linalg" in sys.modules
"""
WITHOUT_PANDAS = """
import sys
from streams.lean import arrow_without_pandas
arrow_without_pandas()
import numpy as np, pyarrow as pa
array = pa.array(np.ones(3))
assert "pandas" not in sys.modules, "Arrow imported pandas"
assert array.to_pandas().tolist() == [1.0, 1.0, 1.0]
import pandas
assert pa.table({"a": pandas.Series([1, 2])}).to_pandas().a.tolist() == [1, 2]
"""


def test_compiled_functions_run_without_scipy_and_find_it_for_blas() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_SCIPY], check=True)


def test_arrays_are_made_without_pandas_and_become_pandas_own() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], check=True)
