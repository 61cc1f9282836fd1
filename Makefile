# make demo | test | lint | docs | bench-core | clean
#
# Each target sets up its own virtual environment first. Variables:
#   PYTHON=/path/to/python   which Python to build it with (3.11 or newer; default: the first that fits)
#   VENV=.venv               where it goes
#   TORCH_INDEX=URL          one more package index for torch, such as https://download.pytorch.org/whl/cpu

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?=
TORCH_INDEX ?=
PYTEST_ARGS ?=

.PHONY: demo test lint docs bench-core clean
.DEFAULT_GOAL := demo

demo: $(STAMP)
	$(BIN)/undrift demo

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

docs: $(STAMP)
	$(BIN)/python -m undrift.cli.reference > docs/cli.md

bench-core: $(STAMP)
	$(BIN)/python -m benchmarks.core

clean:
	rm -rf $(VENV)

# torch first and alone, so that the index asked for decides which build of it the rest is installed beside.
$(STAMP): pyproject.toml constraints.txt
	@sh tools/venv.sh '$(VENV)' '$(PYTHON)'
	$(BIN)/python -m pip install -q $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@
