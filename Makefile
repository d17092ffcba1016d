# Thin wrappers over commands a person can paste; each is printed as it runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check site-check mutation recbole faults lock audit licences sbom test-lowest test-newest test-wheel \
  test-pythons docs clean

demo: $(VENV)/.demo
	$(BIN)/ltocf demo

test: $(VENV)/.test .npm/.axe check
	$(BIN)/pytest -n 2 --dist worksteal

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zensical build --clean --strict
	$(BIN)/python docs/render_formulas.py site
	$(BIN)/python docs/render_reports.py site

# Every page in light and dark, on a phone and on a desk; minutes.
site-check: .npm/.axe check
	$(BIN)/python docs/check_site.py site

# Does a test notice when the code changes? Takes an hour or so; e.g. make mutation FOLDER=training
FOLDER ?= training
mutation: $(VENV)/.mutation
	$(BIN)/python benchmarks/mutation/run.py $(FOLDER)

# Kills, full disks, bad input and load, in full; seventy minutes. `make test` has a sample of each. Overload has the
# machine to itself, the longest files start first, and hints are not checked, as nobody checks them who uses the package.
FAULTS := LTOCF_FAULTS=full JAXTYPING_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/pytest
ALONE := tests/faults/test_overload.py tests/faults/test_cycles.py
LONGEST := tests/faults/test_steady_load.py tests/faults/test_kills.py
faults: $(VENV)/.faults
	$(FAULTS) $(ALONE)
	$(FAULTS) -n 3 --dist loadfile --no-loadscope-reorder $(LONGEST) \
	  $(filter-out $(ALONE) $(LONGEST),$(wildcard tests/faults/test_*.py))
	$(BIN)/python benchmarks/fuzz.py --minutes 1.4 --processes 2 --record

# Every package of `make demo` and `make test` with the hashes of its files, in supply/. After a change of pyproject.toml
# or constraints.txt; CPU_WHEEL=torch-....whl writes the hash of another CPU build of torch.
CPU_WHEEL ?=
lock: .venv-supply/.done
	.venv-supply/bin/python supply/lock.py $(if $(CPU_WHEEL),--cpu-wheel $(CPU_WHEEL))

# What is known to be wrong with them, their licences, and a bill of materials: results/supply.
audit licences sbom: .venv-supply/.done $(VENV)/.test
	.venv-supply/bin/python supply/record.py $@

# The tests with the lowest, or the newest, versions of all that the package asks for; results/supply/versions.json.
test-lowest test-newest:
	$(PYTHON) supply/versions.py $(@:test-%=%) -n 2

# The wheel, installed elsewhere and tested from there.
test-wheel: .venv-supply/.done $(VENV)/.test
	.venv-supply/bin/python supply/wheel.py -n 2

# Python 3.11 to 3.13, as far as they are found with a CPU build of torch; ANY_TORCH=1 takes gigabytes of CUDA as well.
test-pythons:
	$(PYTHON) supply/pythons.py -n 2

.venv-supply/.done: supply/tools.txt
	$(PYTHON) -m venv .venv-supply
	.venv-supply/bin/python -m pip install --quiet -r supply/tools.txt
	touch $@

# Six models beside RecBole's, which has an environment of its own; about fifteen minutes on one core.
recbole: $(VENV)/.demo .venv-recbole/.done
	$(BIN)/python benchmarks/recbole/compare.py

.venv-recbole/.done: benchmarks/recbole/requirements.txt
	$(PYTHON) -m venv .venv-recbole
	.venv-recbole/bin/python -m pip install --quiet -r benchmarks/recbole/requirements.txt
	.venv-recbole/bin/python -m pip install --quiet --no-deps recbole==1.2.1 thop==0.1.1.post2209072238
	touch $@

docs: $(VENV)/.test
	$(BIN)/zensical build --clean --strict
	$(BIN)/python docs/render_formulas.py site
	$(BIN)/python docs/render_reports.py site
	$(BIN)/python -m http.server --directory site 8001

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[serve]'
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[test]'
	touch $@ $(VENV)/.demo

# What looks at the page as a screen reader does; without npm that test is skipped.
.npm/.axe:
	mkdir -p .npm
	if command -v npm > /dev/null; then npm install --silent --no-fund --no-audit --prefix .npm axe-core@4.14.1; fi
	touch $@

$(VENV)/.faults: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[faults]'
	touch $@ $(VENV)/.test $(VENV)/.demo

$(VENV)/.mutation: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[mutation]'
	touch $@ $(VENV)/.test $(VENV)/.demo

clean:
	rm -rf $(VENV) .venv-* .npm mutants site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
