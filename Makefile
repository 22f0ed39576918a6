# `make run` and `make test` do all the set-up on a fresh machine; nothing else is needed first.

PYTHON ?= python3
VENV ?= .venv
SPEC ?= digits
WORKERS ?= 2
OUT ?= runs/$(notdir $(basename $(SPEC)))
BIN := $(VENV)/bin

.PHONY: run test test-fast test-long test-wheel test-lowest check docs format wheel benchmarks clean

run: $(VENV)/.installed
	$(BIN)/tg-sweep run $(SPEC) --out $(OUT)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

test-fast: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile -m "not slow"

test-long: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m long

test-wheel: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m long tests/end_to_end/test_wheel.py

# The lowest versions that pyproject.toml allows of all but torch, which is held to what $(VENV) has.
# What they are warned of, in the newer releases of what they need themselves, is no error there.
test-lowest: $(VENV)/.installed-test
	rm -rf $(VENV)-lowest
	$(PYTHON) -m venv $(VENV)-lowest
	$(BIN)/python tests/lowest_versions.py > $(VENV)-lowest/constraints.txt
	$(VENV)-lowest/bin/pip install --quiet --disable-pip-version-check \
		--constraint $(VENV)-lowest/constraints.txt --editable ".[test]"
	$(VENV)-lowest/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile -m "not slow" -W default

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -n -q docs docs/_build
	@echo docs/_build/index.html

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# All of them, for hours; ONLY="start-up report" runs some, and the others' figures stay.
benchmarks: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

wheel: $(VENV)/.installed
	$(BIN)/pip wheel --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) $(VENV)-lowest dist docs/_build docs/reference/made

# The marks are renewed when what is to be installed changes.
$(VENV)/.installed: pyproject.toml
	@echo "Setting up $(VENV) (once; torch is large, this takes some minutes) …"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tg-sweep needs Python 3.11 or newer; make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@
