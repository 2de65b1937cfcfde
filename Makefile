# make demo: a call in one process.  make test: everything that can be checked here.  make bench-dsp: the kernels against
# others.  PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What takes place in real time, and would suffer from the others beside it; of that, what mostly waits.
REAL_TIME := sockets or asterisk or alsa or browser
WAITS := asterisk or alsa
SOURCES := pyproject.toml setup.py $(wildcard dsp/*.pyx dsp/*.h)

.PHONY: demo test lint bench-dsp clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/voxpipe demo

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -m "not ($(REAL_TIME))" --numprocesses auto --maxprocesses 4
	$(BIN)/python -m pytest -m "$(WAITS)" >$(VENV)/waits.log 2>&1 & waits=$$!; \
	$(BIN)/python -m pytest -m "($(REAL_TIME)) and not ($(WAITS))"; status=$$?; \
	wait $$waits || status=$$?; cat $(VENV)/waits.log; exit $$status

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/stubtest --mypy-config-file pyproject.toml voxpipe.dsp._g711 voxpipe.dsp._level voxpipe.dsp._resample
	$(BIN)/python dsp/design_taps.py --verify

bench-dsp: $(VENV)/.bench
	$(BIN)/python benchmarks/dsp/compare.py

clean:
	rm -rf $(VENV) build dist *.egg-info voxpipe/dsp/*.so

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# Editable, so that only a change of the kernels needs a new build.
$(VENV)/.demo: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/.demo

$(VENV)/.bench: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@ $(VENV)/.demo
