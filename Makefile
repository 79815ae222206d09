# Recipes need only sh, git and python3 (3.11+). `make demo` and `make test` set up what they need; the second time is quick.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
# Where the environment forbids bytecode, every process of a target would compile all that it imports: 4 s of CPU for a worker.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help demo test drill lint bench accept faults clean

help:            ## list the targets
	@$(PYTHON) -c 'import re; [print(f"  make {a:8}{b}") for a, b in re.findall(r"^(\w+):.*## (.*)", open("Makefile").read(), re.M)]'

# uv installs in a sixth of pip's time; pip is the way where uv cannot reach the index that pip is configured for.
.venv: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Tidegate needs Python 3.11 or newer; this is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import os, subprocess, sys; os.path.exists("$(BIN)/python") or subprocess.check_call([sys.executable, "-m", "venv", ".venv"])'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || { $(PYTHON) -c 'import os; os.utime(".venv", (0, 0))'; exit 1; }
	@echo "installing Tidegate and what it needs into .venv (about 1.3 GB) ..."
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]' || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' || \
	  { $(PYTHON) -c 'import os; os.utime(".venv", (0, 0))'; exit 1; }  # the next make tries again
	@$(PYTHON) -c 'import os; os.utime(".venv")'

demo: .venv      ## run the main job on real data; ARGS="--seconds 60 --json FILE" ends by itself
	@$(BIN)/tidegate demo $(ARGS)

test: .venv      ## run the tests, in several processes; ARGS are pytest's, "-k name" or "-n 0" run in one
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not drill' $(ARGS)

drill: .venv     ## put faults into running processes and see that the right alert comes, and no other; five minutes
	$(BIN)/python -m pytest -n 0 -m drill tests/integration/test_alerts.py $(ARGS)

lint: .venv      ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv     ## measure throughput beside loops by hand and other frameworks; ONLY=peers, ARGS are the benchmark's
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(ARGS)

accept: .venv    ## hold the monitors against their bars; ONLY=drift,lag
	$(BIN)/python -m benchmarks.accept $(if $(ONLY),--only $(ONLY)) $(ARGS)

faults: .venv    ## put faults into a real Kafka, Redis and workers; ONLY=kill,sigterm RUNS=10 SEED=1 JOBS=2
	$(BIN)/python -m tests.faults $(if $(ONLY),--only $(ONLY)) $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(ARGS)

clean:           ## remove what the targets made in this folder
	@$(PYTHON) -c 'import pathlib, shutil; [shutil.rmtree(p) for n in (".venv", "build", "dist", "*.egg-info", ".*_cache", ".hypothesis", "**/__pycache__") for p in sorted(pathlib.Path(".").glob(n)) if p.is_dir()]'
