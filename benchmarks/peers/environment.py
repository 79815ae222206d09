"""The peers' own Python environment: `python -m benchmarks.peers.environment` makes it and prints its interpreter.

Quix Streams pins an older confluent-kafka than the worker uses. Everything else that a score or its cost depends on (LightGBM,
NumPy, Numba, the Redis client and so on) is held at the versions of the environment that this runs in, so that store and model
are the very same. It lies in the folder build, which `make clean` removes; it is made again when what it holds changes.
"""

import hashlib
import importlib.metadata
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "peers"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FREE = frozenset(("confluent-kafka",))  # what a peer may pin otherwise than the product
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def interpreter() -> Path:
    """The environment's Python, made or made anew where needed (a minute); CalledProcessError where that fails."""
    constraints = "".join(f"{name}=={version}\n" for name, version in sorted(shared_versions().items()))
    wanted = fingerprint(constraints, REQUIREMENTS.read_text())
    stamp = FOLDER / "made"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(FOLDER, clear=True, with_pip=True)
        _install(constraints)
        stamp.write_text(wanted)
    return FOLDER / "bin" / "python"


def shared_versions() -> dict[str, str]:
    """The product's direct requirements, with the versions that run here, less those that are free."""
    found = [entry for entry in importlib.metadata.requires("tidegate") or [] if "extra ==" not in entry]
    names = {name_of(entry) for entry in found} | {"hiredis"}
    return {name: importlib.metadata.version(name) for name in names - FREE}


def name_of(requirement: str) -> str:
    """The distribution that a requirement names.

    >>> name_of("redis[hiredis]<9,>=6")
    'redis'
    """
    found = _NAME.match(requirement)
    assert found is not None
    return found.group().lower()


def fingerprint(*texts: str) -> str:
    """Changes with any of the texts, and with the interpreter."""
    return hashlib.sha256("\0".join((sys.version, *texts)).encode()).hexdigest()


def _install(constraints: str) -> None:
    """By uv where it is there and reaches the index, else by pip: as the Makefile does."""
    pinned = FOLDER / "constraints.txt"
    pinned.write_text(constraints)
    what = ["--requirement", str(REQUIREMENTS), "--constraint", str(pinned), "--editable", str(ROOT)]
    python = FOLDER / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    if uv.exists() and subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *what]).returncode == 0:
        return
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what], check=True)


if __name__ == "__main__":
    print(interpreter())
