# make demo: the main job on embedded data. make test: every test. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: demo test test-fast lint report clean

demo: $(VENV)/.ready
	$(RUN) -m resnet_repro run demo --jobs 2 --figures-dir figures

test: $(VENV)/.ready-dev
	$(RUN) -m pytest

test-fast: $(VENV)/.ready-dev
	$(RUN) -m pytest -m "not slow"

lint: $(VENV)/.ready-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

report: $(VENV)/.ready
	$(RUN) -m resnet_repro report

$(VENV)/.ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.txt
	$(RUN) -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) results/local figures/demo_degradation.*
