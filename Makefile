# make demo | test | test-fast | fuzz | chaos | lint | docs | site | bench-core | bench-studio | clean
# make table1 | table2 | reconstruction
#
# Each target sets up its own virtual environment first. Variables:
#   PYTHON=/path/to/python   which Python to build it with (3.11 or newer; default: the first that fits)
#   VENV=.venv               where it goes
#   JOBS=2                   processes of the tests; 0: in this one, in the order of their names
#   TORCH_INDEX=URL          one more package index for torch, such as https://download.pytorch.org/whl/cpu
# and for the tables of docs/benchmark.md:
#   SUITE=quick              quick, standard or long of LittleWorld, or NAME:VARIANT of another suite
#   MODEL=littleworld        what edits
#   SD_MODEL=littleworld-sd  what edits in the rows of table1 that were made for Stable Diffusion
#   DATA=PATH                the suite's folder, for suites that read one
#   OUT=FOLDER               of the run; its report is FOLDER/report
#   LIMIT=N, TURNS=N         only the suite's first N cases, only their first N turns

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?=
TORCH_INDEX ?=
PYTEST_ARGS ?=
FUZZ_CASES ?= 2000
SUITE ?= quick
MODEL ?= littleworld
SD_MODEL ?= littleworld-sd
DATA ?=
LIMIT ?=
TURNS ?=
OUT ?= runs/$@-$(subst :,-,$(SUITE))
RECONSTRUCTING := reflow,rf_solver,fireflow,rf_inversion,uniedit_flow,steerflow,multi_turn:paper,multi_turn,no_edit:round-trip

JOBS ?= 2
STAMP_DOCS := $(VENV)/.installed-docs

.PHONY: demo test test-fast fuzz chaos lint docs site bench-core bench-studio table1 table2 reconstruction clean
.DEFAULT_GOAL := demo

demo: $(STAMP)
	$(BIN)/undrift demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

# All but what is marked slow; says at its end what took seconds and may have to be.
test-fast: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow' -n $(JOBS) --dist loadfile --durations 20 --durations-min 3 \
		$(PYTEST_ARGS)

# Processes at work on a session are killed at random moments; prints how many finished turns were lost.
chaos: $(STAMP)
	$(BIN)/python -m tests.support.chaos

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

# What is generated: the reference of the command line and the pictures of the architecture.
docs: $(STAMP)
	$(BIN)/python -m undrift.cli.reference > docs/cli.md
	$(BIN)/python -m tools.architecture

# The documents as a site in build/site; a link that leads nowhere is an error.
site: $(STAMP_DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo built build/site/index.html

# Cases for each reader; the tests run a few of them. FUZZ_CASES=2000 takes some minutes.
fuzz: $(STAMP)
	FUZZ_CASES=$(FUZZ_CASES) $(BIN)/python -m pytest tests/fuzz --timeout 3600 $(PYTEST_ARGS)

bench-core: $(STAMP)
	$(BIN)/python -m benchmarks.core

bench-studio: $(STAMP)
	$(BIN)/python -m benchmarks.studio
	$(BIN)/python -m benchmarks.studio_page

# Stopped at any time, the same command goes on where it was.
define run
	$(BIN)/undrift bench run --suite '$(SUITE)' --methods '$(1)' --model '$(2)' \
		$(if $(DATA),--data '$(DATA)') $(if $(LIMIT),--limit $(LIMIT)) $(if $(TURNS),--turns $(TURNS)) --output '$(3)'
endef

define bench
	$(call run,$(1),$(MODEL),$(OUT))
	$(BIN)/undrift bench report '$(OUT)' --output '$(OUT)/report'
endef

table1: $(STAMP)
	$(call run,table1,$(MODEL),$(OUT))
	$(call run,table1-sd,$(SD_MODEL),$(OUT)-sd)
	$(BIN)/undrift bench report '$(OUT)' '$(OUT)-sd' --output '$(OUT)/report'
	$(BIN)/undrift bench table '$(OUT)' '$(OUT)-sd'

table2: $(STAMP)
	$(call bench,table2)

reconstruction: SUITE = reconstruct
reconstruction: $(STAMP)
	$(call bench,$(RECONSTRUCTING))

clean:
	rm -rf $(VENV)

# torch first and alone, so that the index asked for decides which build of it the rest is installed beside.
$(STAMP): pyproject.toml constraints.txt
	@sh tools/venv.sh '$(VENV)' '$(PYTHON)'
	$(BIN)/python -m pip install -q $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

$(STAMP_DOCS): $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[docs]'
	@touch $@
