"""What LightGBM itself answered in a proof, kept on disk, so that the next proof of the same model needs no LightGBM.

The walk is proven at every start all the same (scorer.models.forest_proof): only the scores that it must equal are remembered.
They are found by all that they depend on: the model, the rows, LightGBM's own files, the C library with its exp(), and the
processor. Where one of these cannot be told, LightGBM is asked.
"""

import hashlib
import importlib.metadata
import logging
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from llvmlite import binding

from scorer.models.port import Matrix, Scores

log = logging.getLogger(__name__)

_FORMAT = b"tidegate answers 1"
_LIBRARIES = {".so", ".dylib", ".dll"}
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Answers:
    """LightGBM's scores for one model text, a file for each question in ``folder``."""

    folder: Path
    text: str

    def recall(self, rows: Matrix) -> Scores | None:
        """The scores float64 (n,) that LightGBM gave for these very rows; None where it must be asked."""
        path = self._path(rows)
        try:
            held = b"" if path is None else path.read_bytes()
        except OSError:
            return None
        digest, scores = held[:_DIGEST_BYTES], held[_DIGEST_BYTES:]
        if path is None or len(scores) != 8 * len(rows) or digest != _digest(path.name.encode(), scores):
            return None
        return np.frombuffer(scores)

    def keep(self, rows: Matrix, scores: Scores) -> None:
        """For the next start. A folder that cannot be written costs that start some time and nothing else."""
        path = self._path(rows)
        if path is None or scores.shape != (len(rows),):
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}")  # another worker may start at the same time
            unfinished.write_bytes(_digest(path.name.encode(), scores.tobytes()) + scores.tobytes())
            os.replace(unfinished, path)
        except OSError as error:
            log.info("LightGBM's answers were not kept in %s: %s", self.folder, error)

    def _path(self, rows: Matrix) -> Path | None:
        circumstances = build()
        if circumstances is None:
            return None
        shape = repr((rows.shape, rows.dtype.str)).encode()
        return self.folder / _digest(_FORMAT, circumstances, self.text.encode(), shape, rows.tobytes()).hex()


def build() -> bytes | None:
    """All but model and rows that LightGBM's scores depend on; None where LightGBM's own files cannot be told."""
    try:
        found = importlib.metadata.distribution("lightgbm")
        libraries = [Path(str(found.locate_file(file))) for file in found.files or () if file.suffix in _LIBRARIES]
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in libraries]
    except (importlib.metadata.PackageNotFoundError, OSError):
        return None
    record = found.read_text("RECORD")
    if not facts or not record:
        return None
    machine = (platform.machine(), platform.libc_ver(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    return repr((found.version, record, facts, machine)).encode()


def _digest(*parts: bytes) -> bytes:
    """SHA-256 of all parts, none of which can be taken for another's end."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.digest()
