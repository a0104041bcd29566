# Needs Python 3.10 or later, git and make; everything else is installed into .venv from hash-locked lists.
PYTHON ?= python3
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
READY := .venv/ready-$(shell cat requirements/dev.txt requirements/uv.txt | cksum | tr ' ' -)
WORKERS ?= 2
# Where it is set, each of the hundreds of processes that tests start would compile its libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: test test-slow test-gpu lint lock docs demo bench clean

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow and not gpu" $(ARGS)

# What takes minutes: jobs that are killed at each of their calls to a server.
test-slow: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m slow $(ARGS)

# On a machine with a GPU: GPU_PYTHON is an interpreter with PyTorch for CUDA, torchvision and JAX.
test-gpu: $(READY)
	GPU_PYTHON="$(GPU_PYTHON)" $(BIN)/python -m pytest -m gpu tests/gpu $(ARGS)

lint: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" .ci/lint

demo: $(READY)
	$(BIN)/python examples/demo.py

bench: $(READY)
	$(BIN)/python -m benchmarks

docs: $(READY)
	$(BIN)/python docs/generate.py

lock: $(READY)
	requirements/lock.sh $(BIN)/uv

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache

# Made anew when the lists change; a half-made one is no target. `.pth`: the package is used as it lies here.
$(READY):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "make needs Python 3.10 or later: make PYTHON=python3.12")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	$(BIN)/uv pip install --quiet --python .venv --require-hashes --no-deps --only-binary :all: --requirement requirements/dev.txt
	$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "cml_action.pth").write_text(str(pathlib.Path.cwd()))'
	touch $@
