# Two commands do everything, set-up included: `make verify` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup verify test figures bench trust docs lint lock clean

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

verify: setup
	$(BIN)/verify run; status=$$?; $(BIN)/verify figures && $(BIN)/verify report && exit $$status

test: lint
	$(BIN)/python -m pytest -n 2

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

figures: setup
	$(BIN)/verify figures

bench: setup
	$(BIN)/python -m tests.bench

trust: setup
	for part in kills disk damage calibration soak scale engine mutants; do \
	  $(BIN)/python -m tests.trust $$part || exit 1; \
	done

docs: setup
	$(BIN)/zensical build --clean --config-file mkdocs.yml
	@sed -i.bak 's#https://[^"]*iframe-worker/shim#assets/iframe-worker.js#' site/*.html && rm site/*.bak  # nothing is fetched
	@echo "the documentation: site/index.html"

# The lock names no package index: pip takes whichever the machine is set up with.
lock: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --group dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv results report site
