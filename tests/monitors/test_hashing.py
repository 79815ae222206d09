"""Hashes of strings: the same in every process and however an array is cut, and spread evenly."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.hashing import below, hash_strings


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(0, 30))
def test_a_hash_depends_on_the_string_alone(texts: list[str], cut: int) -> None:
    whole = hash_strings(pa.array(texts, pa.string()))
    assert [hash_strings(pa.array([text]))[0] for text in texts] == whole.tolist()
    assert hash_strings(pa.array(texts, pa.string())[cut:]).tolist() == whole.tolist()[cut:]
    assert hash_strings(pa.array(texts, pa.large_string())).tolist() == whole.tolist()
    chunks = pa.chunked_array([texts[:cut], texts[cut:]], pa.string())
    assert hash_strings(chunks).tolist() == whole.tolist()
    assert len(set(whole.tolist())) == len(set(texts))


def test_a_null_is_an_empty_string() -> None:
    assert hash_strings(pa.array(["a", None, "b"])).tolist() == hash_strings(pa.array(["a", "", "b"])).tolist()


def test_only_strings_are_hashed() -> None:
    with pytest.raises(TypeError, match="int64"):
        hash_strings(pa.array([1, 2]))


def test_another_process_finds_the_same() -> None:
    code = "import pyarrow as pa; from monitors.hashing import hash_strings; print(hash_strings(pa.array(['s1', 'été', '']))[:3])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=None).stdout.strip()
    assert said == str(hash_strings(pa.array(["s1", "été", ""])))


def test_ids_that_are_alike_spread_evenly() -> None:
    """Chi-squared over 64 bins of the highest and of the lowest bits; a wrong one of these fails by far."""
    hashes = hash_strings(pa.array([f"flight-2013-{i:07d}" for i in range(64_000)]))
    for bins in (hashes >> np.uint64(58), hashes & np.uint64(63)):
        counts = np.bincount(bins.astype(np.int64), minlength=64)
        assert float(((counts - 1_000) ** 2 / 1_000).sum()) < 125  # 63 degrees of freedom: more once in 100,000 runs
    assert below(hashes, 0.01).mean() == pytest.approx(0.01, abs=0.002)
    assert below(hashes, 1.0).all()
    assert not below(hashes, 0.0).any()
