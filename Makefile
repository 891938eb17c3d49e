# Everything runs in .venv, which is made on first use and renewed when requirements.lock or
# setup.cfg changes. Another interpreter: make clean, then make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
DEMO := runs/demo

.DEFAULT_GOAL := help
.PHONY: help env demo ablations interpretability test lint clean

help:
	@echo 'make demo    train the small model on drawn portraits and evaluate it: $(DEMO)'
	@echo 'make ablations          the paper in small, on drawn portraits: docs/ablations.md, 4 hours'
	@echo 'make interpretability   is a sparse dictionary readable: docs/interpretability.md, 6 to 11 hours'
	@echo 'make test    run the tests'
	@echo 'make lint    check style and types'
	@echo 'make env     only make the environment, $(VENV)'
	@echo 'make clean   remove the environment and caches; $(DEMO) and other runs stay'

env: $(STAMP)

$(STAMP): requirements.lock setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null || \
	  { echo 'make: $(PYTHON) is not installed. Install Python 3.11 or newer, or name it: make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'make: $(PYTHON) is too old; Python 3.11 or newer is needed. Name another: make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'make: $(PYTHON) cannot make environments. On Debian: apt install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -e .
	@touch $@

# A run that was stopped goes on; one that is finished is only evaluated again, on portraits never
# seen in training. Other fields: make demo DEMO_FLAGS='--config.train_steps=20' DEMO=runs/try
demo: $(STAMP)
	$(BIN)/python train.py --config configs/demo.py --workdir $(DEMO) $(DEMO_FLAGS)
	$(BIN)/python evaluate.py --config configs/demo.py --workdir $(DEMO) $(DEMO_FLAGS)
	@echo
	@echo 'Pictures during training:  $(DEMO)/panels/*.png'
	@echo 'Report, worst clips:       $(DEMO)/eval/report.html'
	@echo 'Reenactment videos:        $(DEMO)/eval/videos/*.mp4'
	@echo 'Figures:                   $(DEMO)/eval/results.json'
	@echo 'Curves:                    $(DEMO)/metrics.jsonl, $(DEMO)/tensorboard'
	@echo 'To start afresh:           rm -r $(DEMO) && make demo'

# Many small trainings. Finished ones are kept: stopped by anything, or when its hours are over, the
# same command goes on, and writes the report from what there is.
# One cell alone: make ablations STUDY_FLAGS='--only lia-0'. What is left: STUDY_FLAGS=--dry-run.
ablations: $(STAMP)
	$(BIN)/python study.py configs/studies/ablations.py --hours 4 $(STUDY_FLAGS)

interpretability: $(STAMP)
	$(BIN)/python study.py configs/studies/interpretability.py --hours 6 $(STUDY_FLAGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy liax_jax

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
