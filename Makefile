# make demo: the main job on embedded data. make test: every test, test-fast: those of under ten
# seconds. make lint: what a commit must pass. make teach: the notebooks; make notebooks
# renews their outputs. make wheel: the package,
# built and used elsewhere. make messages: the catalogue of translations, brought up to date with
# what the code says. make docs: the site. Each sets up what it needs.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: demo teach notebooks notebook-seeds translations test test-fast lint wheel docs messages report rates counts bench clean

demo: $(VENV)/.ready
	$(RUN) -m resnet_repro run demo --jobs 2 --figures-dir figures

# Opens a browser, and prints the address to open in another. TEACH holds options of jupyter lab,
# such as TEACH="--no-browser --port 9000". It serves this folder, so that what notebooks link to
# opens; as root, as in containers, it has to be told that this is meant.
AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)
teach: $(VENV)/.ready-teach
	$(RUN) -m jupyterlab notebooks/01_degradation.ipynb --ServerApp.root_dir="$(CURDIR)" $(AS_ROOT) $(TEACH)

# Executes the notebooks and their solutions, keeps the outputs, and translates them. NOTEBOOKS
# names some, such as NOTEBOOKS="02 07". The second measures what they conclude from SEEDS seeds.
NOTEBOOKS =
SEEDS = 3
notebooks: $(VENV)/.ready-dev
	OMP_NUM_THREADS=1 $(RUN) -m teaching renew $(NOTEBOOKS)

notebook-seeds: $(VENV)/.ready-dev
	OMP_NUM_THREADS=1 $(RUN) -m teaching seeds $(NOTEBOOKS) --number $(SEEDS)

# Of notebooks and guide, from their catalogues; executes nothing.
translations: $(VENV)/.ready-dev
	$(RUN) -m teaching translate

# Two files at a time, each process with one thread: more would wait for one another.
PYTEST = OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.ready-dev
	$(PYTEST)

test-fast: $(VENV)/.ready-dev
	$(PYTEST) -m "not slow"

lint: $(VENV)/.ready-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

wheel: $(VENV)/.ready-dev
	.ci/wheel $(RUN)

# Into build/site; exits with an error where a link leads nowhere. DOCS holds options, such as
# DOCS="--repository https://host/owner/name", where what is no page leads to.
docs: $(VENV)/.ready-docs
	$(RUN) .ci/docs $(DOCS)

# Lists what has no translation, which stays English until it has one.
messages: $(VENV)/.ready-dev
	$(RUN) .ci/messages

report: $(VENV)/.ready
	$(RUN) -m resnet_repro report --readme README.md \
		--readme README.zh-CN.md --results-page docs/results.md

$(VENV)/.ready: requirements.txt pyproject.toml setup.py $(wildcard resnet_repro/kernels/*.cpp resnet_repro/kernels/*.h)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.txt
	$(RUN) -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	touch $@

$(VENV)/.ready-teach: $(VENV)/.ready requirements-teach.txt
	$(RUN) -m pip install -q --disable-pip-version-check -r requirements-teach.txt
	touch $@

$(VENV)/.ready-docs: $(VENV)/.ready requirements-docs.txt
	$(RUN) -m pip install -q --disable-pip-version-check -r requirements-docs.txt
	touch $@

# Simulated from the rule alone, so the records do not change it.
rates: $(VENV)/.ready
	$(RUN) -m resnet_repro.report.verdicts.error_rates

# Counting needs torch; tables and figures are made from the committed counts without it.
COUNTED = resnet18-A resnet18-B resnet34-A resnet34-B resnet34-C plain18 plain34 \
	resnet50 resnet50-v1.5 resnet101 resnet152 vgg16 vgg19 \
	$(foreach depth,20 32 44 56 110 1202,plain$(depth) resnet$(depth))

counts: $(VENV)/.ready
	for network in $(COUNTED); do \
		$(RUN) -m resnet_repro describe $$network --out results/recorded/counts/$$network.json || exit 1; \
	done

# Minutes to an hour, on a machine that does nothing else. BENCH holds options, such as
# BENCH="--data-root data --peer ../pytorch_resnet_cifar10"; --help lists them.
bench: $(VENV)/.ready
	$(RUN) -m benchmarks.cifar $(BENCH)

clean:
	rm -rf $(VENV) results/local figures/demo_degradation.*
