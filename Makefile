# The two commands of the README, and what they are made of. Everything is built and installed inside
# this folder: .venv (the Python environment), build/ (objects).
#
#   make demo     the main job: compares allocators on a real web service
#   make test     everything that must pass
#   make engine   the engine's libraries alone, in build/engine, for working on it
#   make stress   the long storms
#   make proofs   checks the models of what threads do with each other; needs Spin
#   make bench    the benchmarks of the README, interleaved with the other allocators

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
SOURCES := $(shell find cmake engine bindings launcher src include -type f -not -path '*/__pycache__/*') \
           CMakeLists.txt pyproject.toml
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test lint unit stress proofs bench engine format clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed $(VENV)/service
	$(BIN)/trimalloc compare --runs 1 --idle 2 --html compare-report.html \
	  -- $(BIN)/python examples/service/main.py

test: lint unit

lint: $(VENV)/installed
	$(BIN)/ruff check src tests bench examples tools proofs
	$(BIN)/ruff format --check src tests bench examples tools proofs
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(find engine bindings launcher tests/engine bench \
	  -name '*.cc' -o -name '*.h' -o -name '*.c')
	$(BIN)/python tools/check_layers.py

# Two at a time, whatever the machine has: tests that wait for a scheduler would mind more.
unit: $(VENV)/installed $(VENV)/service $(VENV)/examples engine
	$(BIN)/python -m pytest -q -n 2 -m 'not stress' tests

stress: $(VENV)/installed $(VENV)/service engine
	$(BIN)/python -m pytest -q -n 2 -m stress tests

proofs:
	@$(PYTHON) -m proofs

bench: $(VENV)/installed engine
	$(BIN)/python -m bench run --suite startup
	$(BIN)/python -m bench run --suite micro
	$(BIN)/python -m bench run --suite python

engine: build/engine/build.ninja
	@cmake --build build/engine --target trimalloc_preload trimalloc_preload_cpu \
	  trimalloc_heap trimalloc_heap64

build/engine/build.ninja: $(VENV)/tools CMakeLists.txt cmake/engine.cmake
	@cmake -S . -B build/engine -G Ninja >build-engine.log 2>&1 || (cat build-engine.log; false)
	@rm -f build-engine.log

format: $(VENV)/tools
	$(BIN)/ruff check --fix src tests bench examples tools proofs
	$(BIN)/ruff format src tests bench examples tools proofs
	$(BIN)/clang-format -i $$(find engine bindings launcher tests/engine bench \
	  -name '*.cc' -o -name '*.h' -o -name '*.c')

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  (echo 'trimalloc: make needs Python 3.11 or newer; name one with make PYTHON=/path/to/python3' >&2; false)
	$(PYTHON) -m venv $(VENV)

# The tools of the trade, from the dependency group `dev`.
$(VENV)/tools: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -U 'pip>=25.1'
	$(PIP) install --group dev
	@touch $@

$(VENV)/service: pyproject.toml | $(VENV)/tools
	$(PIP) install --group service
	@touch $@

$(VENV)/examples: pyproject.toml | $(VENV)/tools
	$(PIP) install --group examples
	@touch $@

$(VENV)/installed: $(VENV)/tools $(SOURCES)
	$(PIP) install --no-build-isolation --no-deps --force-reinstall .
	@touch $@

clean:
	rm -rf build dist $(VENV) compare-report.html
