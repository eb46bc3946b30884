# Each target sets up what it needs, once.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
# Without an NVIDIA GPU, TensorFlow comes without CUDA, where it exists so: docs/design.md. The choice stays with the
# environment until `make clean`, or until GPU=1 or GPU=0 asks for the other.
WITH_GPU = [ "$$(uname -sm)" != "Linux x86_64" ] || nvidia-smi -L >/dev/null 2>&1
GPU := $(or $(patsubst $(VENV)/.gpu-%,%,$(wildcard $(VENV)/.gpu-*)),$(shell { $(WITH_GPU); } && echo 1 || echo 0))
TENSORFLOW := $(if $(filter 0,$(GPU)),./deploy/cpu)
PIP := $(if $(shell command -v uv),uv pip install -q --compile-bytecode --python $(VENV)/bin/python,\
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
.DEFAULT_GOAL := help
.PHONY: help repro test slow worker ui lint clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

repro: $(READY)  ## build the whole study and print its table
	bonexray check
	bonexray repro
	bonexray sync
	bonexray table

test: $(VENV)/.dev  ## run the tests, the real pipeline on a tiny cohort among them
	pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

slow: $(VENV)/.slow  ## run the tests that `make test` leaves out
	pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

worker: $(READY)  ## train one model for a team: make worker MODEL=xception (over a DVC remote, no shared disk)
	dvc pull --run-cache --allow-missing --force train@$(MODEL)
	dvc repro --pull train@$(MODEL)
	dvc push --run-cache

ui: $(READY)  ## compare the models in the browser (MLflow); it prints the address
	bonexray ui

lint: $(VENV)/.dev  ## check the style, the docstrings, and every link in the documentation
	ruff check .
	ruff format --check .
	interrogate src stages
	mkdocs build --strict  # with --quiet it would count no warnings

clean:  ## remove the virtual environment and every cache of tools; data, models and runs stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis src/*.egg-info logs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt pyproject.toml deploy/cpu/pyproject.toml $(VENV)/.gpu-$(GPU)
	@$(PIP) $(TENSORFLOW) -e .
	@touch $@

$(VENV)/.dev $(VENV)/.slow: $(READY)
	@$(PIP) $(TENSORFLOW) -e '.[$(@:$(VENV)/.%=%)]'
	@touch $@

$(VENV)/.gpu-%:  # from nothing: tensorflow and tensorflow-cpu have the same files, and neither may be installed over the other
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "make: Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is another; use make PYTHON=python3.12" >&2; exit 1; }
	@rm -rf $(VENV)
	@if command -v uv >/dev/null; then uv venv -q --python $(PYTHON) $(VENV); else $(PYTHON) -m venv $(VENV); fi
	@touch $@
