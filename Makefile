# Everything needs only sh, git and python3 (3.11+). `make demo` and `make test` set up what they need; the second time is quick.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench clean

help:            ## list the targets
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' Makefile

.venv: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Tidegate needs Python 3.11 or newer; this is %d.%d. Set PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	touch .venv

demo: .venv      ## run the main job on real data; ARGS="--seconds 60 --json FILE" ends by itself
	$(BIN)/tidegate demo $(ARGS)

test: .venv      ## run the tests; ARGS are pytest's
	$(BIN)/python -m pytest $(ARGS)

lint: .venv      ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv     ## measure throughput beside a hand-written loop; ARGS are the benchmark's
	$(BIN)/python -m benchmarks $(ARGS)

clean:           ## remove what the targets made in this folder
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
