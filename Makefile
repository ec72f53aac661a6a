PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

TINY := runs/tiny

# The tests wait for children and sockets in a third of their time: one process more than there are cores, four at most.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n < 3 ? n + 1 : 4)))
# What is compiled once is kept (where an environment forbids it, each of hundreds of processes compiles it again), and
# the tiny models thrash on several threads.
PYTEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist=worksteal

.PHONY: demo quick test lint type docs bench large tiny tiny-hours clean

demo: $(VENV)/.demo
	$(BIN)/cof-agent ask examples/images/motorcycle.jpg "Which brand is the motorcycle? (A) Honda (B) Suzuki (C) Yamaha (D) Kawasaki" --show

# The tests without process, server, OCR and torch, but for the slow ones, with few examples of each property.
quick: $(VENV)/.dev
	@$(PYTEST) tests/unit -m "not slow" -p no:langsmith_plugin --hypothesis-profile=quick --numprocesses=auto --maxprocesses=4

test: $(VENV)/.dev
	@$(PYTEST) --durations=40 --numprocesses=$(WORKERS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .

type: $(VENV)/.dev
	@$(BIN)/mypy

docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "The pages are in site/: open site/index.html, or, with search: python -m http.server --directory site"

bench: $(VENV)/.dev
	@$(BIN)/python -m tests.benchmarks.zooming
	@$(BIN)/python -m tests.benchmarks.bombs
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.endpoint
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.local
	@$(BIN)/python -m tests.benchmarks.parsing
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.scenes
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.evaluation

# A TIFF of 1.2 gigapixels, made, looked at and asked about: some minutes, and 130 MB of disk.
large: $(VENV)/.dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.large

# The policy tiny, from nothing. A stage that is done is not repeated, and one that was cut short goes on.
tiny: tiny-hours $(TINY)/.adaptive
	$(BIN)/python -m training.tiny_pretrain.ship $(TINY)/adaptive/model

tiny-hours:
	@echo "tiny from nothing takes hours of one CPU core. Interrupted, the same command goes on."

$(TINY)/.seed: | $(VENV)/.dev
	rm -rf $(TINY)/seed
	$(BIN)/python -m training.tiny_pretrain.seed $(TINY)/seed
	@touch $@

$(TINY)/.tower: $(TINY)/.seed
$(TINY)/.language: $(TINY)/.tower
$(TINY)/.episodes: $(TINY)/.language
$(TINY)/.adaptive: $(TINY)/.episodes
$(TINY)/.tower $(TINY)/.language $(TINY)/.episodes $(TINY)/.adaptive: $(TINY)/.%: training/configs/tiny_%.yaml | $(VENV)/.dev
	$(BIN)/python -m training.tiny_pretrain --config $<
	@touch $@

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

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the pages are built with into $(VENV) (once) ..."
	@$(PIP) --editable ".[docs]"
	@touch $@

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
