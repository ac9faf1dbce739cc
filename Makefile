# Two commands do everything: `make run` and `make test`. Both set up what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-soak test-gpu check build-tools clean

run: $(VENV)/.runtime
	$(BIN)/python -m runtime.screen sim:seed=1,frames_per_eye=4,faults=0.1 --frames 40 --out out

# The build side's libraries (PyTorch, ModelOpt, TensorRT's builder) and the cart's never share a process in use, so
# neither do they here.
test: $(VENV)/.test
	$(BIN)/python -m pytest tests/build_engines tests/calibration
	$(BIN)/python -m pytest --ignore=tests/build_engines --ignore=tests/calibration

test-soak: $(VENV)/.test
	$(BIN)/python -m pytest -m soak

# Needs an NVIDIA GPU and TensorRT. GPU_PYTHON names an interpreter that has them, where .venv cannot.
GPU_PYTHON ?= $(BIN)/python
test-gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(VENV)/.test)
	$(GPU_PYTHON) -m pytest -m 'gpu and not soak' tests/gpu tests/build_engines/plans/test_on_gpu.py

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

build-tools: $(VENV)/.build

# Each stamp file stands for a set of extras. The runtime's is what a cart needs: no torch, no onnx.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.build: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[build]'
	touch $@ $(VENV)/.runtime

$(VENV)/.test: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[build,test]'
	touch $@ $(VENV)/.build $(VENV)/.runtime

clean:
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
