# `make demo` and `make test` set up everything they need: a Python of 3.11 or later, git and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-dev
STATEMENTS ?= 1000000
JOBS ?= 2

.PHONY: help setup demo test nightly lint protos protos-check reference bench lock clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Archipel needs Python 3.11 or later; '$(PYTHON)' is older. Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Setting up $(VENV) (about 600 MB, a few minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY)  ## Make the virtual environment

demo: $(READY)  ## Start a federation of four holders, ask it research questions, check the answers
	@$(BIN)/archipel demo

test: $(READY)  ## Run all tests
	@scripts/test_dependencies.sh
	@scripts/run_tests.sh

nightly: $(READY)  ## Ask 2,000 generated cases in place of 200, then fuzz the border check with a million statements
	ARCHIPEL_PROPERTY_EXAMPLES=2000 $(BIN)/python -m pytest tests/properties
	$(BIN)/python tests/attacks/guard_fuzz.py --statements $(STATEMENTS) --jobs $(JOBS)

lint: $(READY) protos-check  ## Run the linters, the type checker and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint protos
	$(BIN)/python scripts/generate_reference.py --check

reference: $(READY)  ## Generate the references in docs/ from the code
	$(BIN)/python scripts/generate_reference.py

protos: $(READY)  ## Generate archipel/v1 from protos/
	scripts/generate_protos.sh

protos-check: $(READY)
	@scripts/generate_protos.sh --check

bench: $(READY)  ## Compare federated with central and write benchmarks/results
	$(BIN)/python -m benchmarks

lock:  ## Write the lock files anew (needs uv)
	scripts/lock.sh

clean:  ## Remove everything that make created
	rm -rf $(VENV) .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
