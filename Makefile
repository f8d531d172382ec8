# `make` lists what there is. Needs python3 (3.11 or newer) and make; everything else is fetched into .venv.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.8
PIP := $(UV) pip
# Most of the tests' time is waiting for processes and browsers. A file's tests stay together.
PARALLEL ?= -n 3 --dist loadfile --max-worker-restart 0
# What came from where stands in the locks; a new version never sneaks in.
SYNC := $(PIP) sync -q --python $(BIN)/python --require-hashes
SELF := $(PIP) install -q --python $(BIN)/python --no-deps -e .
# pyright would ask the network whether it is the newest.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help run setup test check bench demo screenshots fuzz soak chaos lock clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-11s %s\n", $$1, $$2}'

run: .venv/.run ## Serve on http://127.0.0.1:8000 with the data in ./data (CHAMADE_* variables change that)
	@CHAMADE_DATA_DIR="$${CHAMADE_DATA_DIR:-data}" exec $(BIN)/chamade serve

setup: .venv/.dev ## Everything for working on the code

test: .venv/.dev ## All tests, with the Debian packages they need; ARGS="-k inbox" picks some
	@sh .ci/apt-packages tests/apt-packages.txt
	$(BIN)/pytest $(PARALLEL) $(ARGS)

check: .venv/.dev ## Style, types, layers, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/architecture

bench: .venv/.dev ## Measurements, each against a baseline of the same run
	@sh .ci/apt-packages tests/apt-packages.txt
	@for bench in tests/load/bench_*.py; do echo "== $$bench"; $(BIN)/python "$$bench" || exit 1; done

demo: .venv/.dev ## A person in a real browser talks with an agent; both ends are measured; ARGS="--seconds 60"
	@sh .ci/apt-packages tests/apt-packages.txt
	@$(BIN)/python -m tests.demo $(ARGS)

screenshots: .venv/.dev ## The pictures of the dashboard in docs/img, taken anew
	@sh .ci/apt-packages tests/apt-packages.txt
	@$(BIN)/python -m tests.demo.pictures

fuzz: .venv/.dev ## The fuzz tests with many more examples than `make test` gives them
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-20000} $(BIN)/pytest -q --timeout 0 tests/fuzz $(ARGS)

soak: .venv/.dev ## Simulated hours of a busy room, under bad networks and drifting clocks; SOAK_HOURS=4
	SOAK_HOURS=$${SOAK_HOURS:-4} $(BIN)/pytest -q --timeout 0 tests/soak $(ARGS)

chaos: .venv/.dev ## The gateway killed 60 times under load, its database locked; `make test` does less of it
	CHAOS_KILLS=$${CHAOS_KILLS:-60} CHAOS_LOCKED_S=$${CHAOS_LOCKED_S:-30} $(BIN)/pytest -q -s --timeout 0 tests/chaos $(ARGS)

lock: .venv/.uv ## Resolve the newest allowed versions and write both locks
	@rm -f uv.lock
	$(UV) export -q --no-emit-project --no-header --no-dev -o requirements.lock
	$(UV) export -q --no-emit-project --no-header -o requirements-dev.lock
	@rm -f uv.lock  # it records the address of every file; the locks have their hashes

clean: ## Remove what was built; the data of `make run` stays
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.uv: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; make PYTHON=/path/to/python3.11 names another" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
	  || { rm -rf .venv; echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test "$$($(UV) --version 2>/dev/null | cut -d' ' -f2)" = "$(UV_VERSION)" \
	  || $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.run: requirements.lock pyproject.toml .venv/.uv
	@echo "Installing (this once) ..."
	@rm -f .venv/.dev
	@$(SYNC) requirements.lock
	@$(SELF)
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml .venv/.uv
	@echo "Installing (this once) ..."
	@$(SYNC) requirements-dev.lock
	@$(SELF)
	@touch .venv/.run $@
