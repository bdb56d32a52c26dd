# make demo   sets up everything and runs a whole call (the main job)
# make test   sets up everything and runs every check
# make bench  benchmarks (root for the loss run)
# make eval   measured error on the folder GUARD_DATA; EVAL=--quick for the conditions with bars only

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ROOT := $(shell [ "$$(id -u)" = 0 ] && echo yes)

.PHONY: demo test setup apt lint bench eval clean

demo: setup
	$(BIN)/guard demo $(DEMO)

setup: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

# Chromium for the browser tests and promtool (in Debian's prometheus) for the alert rules.
apt:
ifeq ($(ROOT),yes)
	@missing=; command -v chromium >/dev/null || missing="chromium"; \
	command -v promtool >/dev/null || missing="$$missing prometheus"; \
	if [ -n "$$missing" ]; then echo "installing $$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endif

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Real servers, browsers and clocks one after the other; the rest on every core.
LIVE := tests/app tests/benchmarks tests/demo tests/web

test: setup apt lint
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile $(LIVE:%=--ignore=%)
	$(BIN)/python -m pytest $(LIVE)

bench: setup
	$(BIN)/python -m benchmarks.relay
	$(BIN)/python -m benchmarks.loss

eval: setup
	@test -n "$$GUARD_DATA" || { echo "make eval: set GUARD_DATA to the folder that holds voice/ and face/"; exit 2; }
	$(BIN)/guard eval voice $$GUARD_DATA/voice/val --out build/eval/voice $(EVAL)
	$(BIN)/guard eval face $$GUARD_DATA/face/val_clips $$GUARD_DATA/face/val_crops --out build/eval/face $(EVAL)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
