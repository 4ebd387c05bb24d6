# make run    opens the program on the digits example      make test   the whole test suite
# make lint   ruff and mypy                                make bench  the figures of docs/performance.md
# make test-cuda  what needs an NVIDIA GPU (test-cuda-memcheck, bench-cuda); one line says if there is none
# make test-races the CUDA kernels, as C++ on the host, watched for races between their threads
# make conformance   comparison with PyTorch (installed for this target only) and the array API suite
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: run test test-cuda test-cuda-memcheck test-races lint format bench bench-cuda conformance conformance-quick clean

# Rebuilt only when the declared dependencies change; the install is editable, so code changes need none.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tapebook needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[fast]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[nvrtc]' || \
	  echo "NVRTC (90 MB) could not be installed: nvcc compiles the CUDA kernels, or they are skipped"
	@touch $@

run: $(VENV)/.installed
	@$(BIN)/tapebook examples/digits_mlp.py

# Many tests wait for processes: three workers keep two cores busy. A file's tests stay together; files
# keep their order (xdist would put those of few tests last, which are the long ones).
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# Of CuPy any from 13.2 on for CUDA 12 or 13 does; it is not installed here. Status 3: there is no GPU.
test-cuda: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.cuda

test-cuda-memcheck: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.cuda --memcheck

test-races: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.cuda --races

bench-cuda: $(VENV)/.installed-dev
	@$(BIN)/python -m benchmarks.cuda $(BENCH)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# BENCH="--quick" takes a minute; "--threads 1 --write-docs steps ops" writes tables into the document.
bench: $(VENV)/.installed-referee
	$(BIN)/python -m benchmarks $(BENCH)

# PyTorch is the referee of the framework, never a part of the product. The exact CPU release, since
# plain `torch` would bring gigabytes; without it the suites that need it are counted as skipped.
$(VENV)/.installed-referee: $(VENV)/.installed-dev
	@$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0 expecttest || \
	  echo "PyTorch 2.13.0 could not be installed: its suites will be skipped, and say so"
	@touch $@

conformance: $(VENV)/.installed-referee
	$(BIN)/python -m tests.conformance

conformance-quick: $(VENV)/.installed-referee
	$(BIN)/python -m tests.conformance --quick

clean:
	rm -rf $(VENV) dist build
