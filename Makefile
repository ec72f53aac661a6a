PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint type bench clean

demo: $(VENV)/.demo
	$(BIN)/cof-agent ask examples/images/motorcycle.jpg "Which brand is the motorcycle? (A) Honda (B) Suzuki (C) Yamaha (D) Kawasaki" --show

test: $(VENV)/.dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadscope

lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .

type: $(VENV)/.dev
	@$(BIN)/mypy

bench: $(VENV)/.dev
	@$(BIN)/python -m tests.bench
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench_endpoint
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench_local
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench_scenes
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench_evaluation

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing cof-agent with its reader into $(VENV) (once, about a minute) ..."
	@$(PIP) --editable ".[reader]"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing cof-agent with all that its tests need into $(VENV) (once, about a minute) ..."
	@$(PIP) --editable ".[dev]"
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
