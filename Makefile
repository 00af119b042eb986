# The two commands: `make demo` and `make test`. Everything they need is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python scripts/with_mongod.py
DEMO := $(RUN) --home .demo --

# Without compiled files each process compiles PyTorch and FiftyOne anew, which takes seconds; many
# containers set this
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo python app export readme docs notebook site screenshots js js-check test chromium matrix faults newcomer release dist lint check clean

demo: $(VENV)/.ready
	$(DEMO) $(BIN)/python scripts/demo.py

# Python in the demo's database, which is not the user's own
python: $(VENV)/.ready
	@$(DEMO) $(BIN)/python

app: $(VENV)/.ready
	$(DEMO) $(BIN)/python scripts/demo.py --app

export: $(VENV)/.ready
	$(DEMO) $(BIN)/python scripts/demo.py --export .demo/pruned-digits

readme: $(VENV)/.ready
	$(DEMO) env FIFTYONE_SHOW_PROGRESS_BARS=false $(BIN)/python scripts/readme_example.py

docs: $(VENV)/.ready
	$(BIN)/python scripts/docs_scores.py
	$(BIN)/python scripts/docs_benchmarks.py
	$(BIN)/python scripts/docs_map.py
	$(BIN)/python scripts/docs_compatibility.py
	$(RUN) --home .artifacts/docs -- $(BIN)/python scripts/docs_reference.py

# docs/tutorial.ipynb of docs/tutorial.md, with real outputs: after `make demo`
notebook: $(VENV)/.ready
	$(DEMO) env FIFTYONE_SHOW_PROGRESS_BARS=false $(BIN)/python scripts/docs_notebook.py

# The documentation as a site, in build/site; a warning is an error
site: $(VENV)/.ready
	$(RUN) --home .artifacts/docs -- $(BIN)/python -m sphinx -q -W --keep-going docs build/site

screenshots: $(VENV)/.ready
	DROP_SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/app

# The panel's component: needs Node.js. Its bundle is committed, for plugins are copied, not built.
js:
	cd plugins/drop/js && npm ci --silent && npm run --silent build

js-check: js
	cd plugins/drop/js && npm run --silent test
	git diff --exit-code plugins/drop/js/dist

# Two processes of tests; the one that is done first takes over half of what is left to the other
test: $(VENV)/.ready
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# Debian's Chromium, for the tests that open the App; without it they are skipped
chromium:
	scripts/ensure_chromium.sh

# The oldest and newest versions of everything, on each Python, and docs/compatibility.md. pyenv, where
# it is, shows one Python at a time if nobody asks for all.
matrix: $(VENV)/.ready
	PYENV_VERSION="$$(pyenv versions --bare 2>/dev/null | sort -rV | paste -sd:)" \
		$(BIN)/nox --session "matrix$(if $(ONLY),($(ONLY)))"

# Every fault of every call, which takes an hour or more; goes on where it stopped
faults: $(VENV)/.ready
	DROP_FAULTS=long $(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(if $(PART),-k "$(PART)") \
		--ignore tests/reliability/test_calls.py \
		tests/reliability tests/plugin/test_operators_at_once.py; \
	$(BIN)/python scripts/docs_reliability.py

# A newcomer's way, in a clone of what is committed and an empty home
newcomer:
	$(PYTHON) scripts/newcomer.py

# The version and the date of a release, where they stand: make release VERSION=0.2.0
release: $(VENV)/.ready
	$(BIN)/python scripts/cut_release.py "$(VERSION)"

# What is uploaded: a source archive and the wheel that is built of it, in dist
dist: $(VENV)/.ready
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell
	$(BIN)/interrogate --quiet fiftyone_drop

check: lint test

$(VENV)/.ready: pyproject.toml scripts/ensure_mongod.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fiftyone-drop needs Python 3.10 or newer: make PYTHON=/path/to/python3")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --editable '.[dev]'
	$(BIN)/python scripts/ensure_mongod.py
	touch $@

clean:
	rm -rf $(VENV) .demo build dist *.egg-info
