# Thin wrappers over commands a person can paste; each is printed as it runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check mutation docs clean

demo: $(VENV)/.demo
	$(BIN)/ltocf demo

test: $(VENV)/.test check
	$(BIN)/pytest

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zensical build --clean --strict

# Does a test notice when the code changes? Takes an hour or so; e.g. make mutation FOLDER=training
FOLDER ?= training
mutation: $(VENV)/.mutation
	$(BIN)/python benchmarks/mutation/run.py $(FOLDER)

docs: $(VENV)/.test
	$(BIN)/zensical serve

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[test]'
	touch $@ $(VENV)/.demo

$(VENV)/.mutation: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[mutation]'
	touch $@ $(VENV)/.test $(VENV)/.demo

clean:
	rm -rf $(VENV) mutants site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
