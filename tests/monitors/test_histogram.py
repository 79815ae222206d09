"""A bulk histogram counts as prometheus_client's own does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from monitors.histogram import BulkHistogram

BUCKETS = (0.1, 0.2, 1.0)


@given(st.lists(st.one_of(st.sampled_from([0.1, 0.2, 1.0]), st.floats(0, 5, allow_nan=False)), max_size=50), st.integers(0, 50))
def test_an_array_at_once_equals_one_by_one(values: list[float], cut: int) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    bulk = BulkHistogram("h", "d", "x", BUCKETS, {"p": "q"})
    ours.register(bulk)
    one = Histogram("h", "d", ["p", "x"], buckets=BUCKETS, registry=theirs).labels("q", "a")
    for value in values:
        one.observe(value)
    for part in (values[:cut], values[cut:]):
        bulk.observe("a", np.array(part, dtype=np.float64))
    for le in ("0.1", "0.2", "1.0", "+Inf"):
        labels = {"p": "q", "x": "a", "le": le}
        assert ours.get_sample_value("h_bucket", labels) == theirs.get_sample_value("h_bucket", labels)
    assert ours.get_sample_value("h_count", {"p": "q", "x": "a"}) == len(values)
