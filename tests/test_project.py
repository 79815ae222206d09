"""The project itself: who may import whom, what the wheel holds, that nothing happens at import."""

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("streams", "featurestore", "scorer", "monitors")
SEVEN = ("confluent-kafka", "faust-streaming", "redis", "lightgbm", "numpy", "prometheus-client", "river")


def test_imports_keep_to_the_contracts() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_the_wheel_holds_the_packages_with_their_data(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in (*PACKAGES, "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        tree.mkdir(exist_ok=True)
        copy(source, tree / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(tree),
    ]
    subprocess.run(command, check=True, timeout=120)
    (wheel,) = tmp_path.glob("tidegate-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert expected <= names
    assert {"featurestore/merge.lua", "streams/embedded/kafka.lock", *(f"{p}/py.typed" for p in PACKAGES)} <= names
    assert not [name for name in names if name.split("/")[0] in ("tests", "examples", "benchmarks")]


def test_the_seven_are_installed_with_it() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = setup["options"]["install_requires"].splitlines()
    names = {line.split(">=")[0].split("[")[0].strip() for line in required if line}
    assert set(SEVEN) <= names


@pytest.mark.parametrize("module", ["streams", "streams.app", "featurestore.plan", "scorer.pipeline", "monitors.metrics"])
def test_nothing_happens_at_import(module: str) -> None:
    """No client is loaded, and the global registry of metrics stays as it was."""
    program = (
        f"import sys, prometheus_client as p; before = list(p.REGISTRY.collect()); import {module};"
        "assert len(list(p.REGISTRY.collect())) == len(before);"
        "print(sorted(set(sys.modules) & {'faust', 'confluent_kafka', 'redis', 'mlflow', 'lightgbm'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
