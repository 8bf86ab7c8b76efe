# `make demo` and `make test` do all the set-up. PYTHON names another interpreter, 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow lint docs
demo: .venv/installed
	rm -rf runs/demo
	$(BIN)/hgenv baselines
	$(BIN)/hgenv run hybrid-gradient --max-seconds 60 --out runs/demo

test: .venv/installed-test lint
	$(BIN)/pytest -n auto --dist loadgroup

test-slow: .venv/installed-test
	$(BIN)/pytest -n auto --dist loadgroup -m "slow and not long"

lint: .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: .venv/installed-docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs build/docs

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

# What tests skip without: a cluster on this machine, and tools that keep results. Not among them: pyarrow, of 170 MB,
# and trackio, which wants an older Pillow than that of constraints.txt.
.venv/installed-partners: .venv/installed-test
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[ray,tensorboard,wandb,mlflow,optuna,exr,mitsuba,safetensors,fetch]'
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@
