# Each target makes the environment itself when it is not there. PYTHON names the interpreter.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check bench schema wheel clean

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) -e '.[ours]'
	touch $@

.venv/.ready: .venv/.installed
	$(PIP_INSTALL) -e '.[ours,dev]'
	touch $@

# Five cases are all modalities and both kinds of prompts. Those of this seed have few labels: ours
# takes about 10 CPU seconds for each label.
demo: .venv/.installed ## generated cases, the simple baselines and ours, a report
	rm -rf $(DEMO)
	$(BIN)/segbench phantoms $(DEMO)/val --cases 5 --seed 214
	for model in empty boxfill ellipsoid ours; do \
	  $(BIN)/segbench run --model $$model --data $(DEMO)/val --out $(DEMO)/runs/$$model --jobs 2 || exit $$?; \
	done
	$(BIN)/segbench report $(DEMO)/runs/* --out $(DEMO)/report
	@echo
	@echo "Look at $(DEMO)/report/index.html (or index.md); each run is in $(DEMO)/runs/."
	@echo "The cases are phantoms, not scans: docs/phantoms.md says what scores on them mean."

test: .venv/.ready ## the tests
	$(BIN)/python -m pytest -q

check: .venv/.ready ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/.ready ## slow tests and benchmarks
	$(BIN)/python -m pytest -q -m slow

wheel: .venv/.ready ## dist/*.whl, tried in an environment of its own
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	$(PYTHON) -m venv dist/venv
	dist/venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd dist && venv/bin/segbench phantoms val --cases 1 \
	  && venv/bin/segbench run --model boxfill --data val && venv/bin/segbench verify runs/boxfill

schema: .venv/.ready ## docs/schema/ from the dataclasses of the run folder
	$(BIN)/python -m segbench.runs.json_schema docs/schema

clean:
	rm -rf .venv $(DEMO) dist
