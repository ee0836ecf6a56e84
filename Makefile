# make demo    the whole job on a simulated cohort: tables and pictures in demo_output/
# make test    ruff, mypy, and the tests
# make docs    the documentation site, into site/
# make tables  the tables in docs/ that are made from the code
# make gpu-check   what only a CUDA GPU shows: tests, cost, trainings, into gpu_check/; ten minutes
# All first create a virtual environment in .venv with the package in it, once.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo_output
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint docs tables gpu-check clean

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,test]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/segan_nnunet demo $(DEMO)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

tables: $(INSTALLED)
	$(BIN)/python docs/make_datasets.py
	SEGAN_WRITE_DOCS=1 $(BIN)/python -m pytest tests/test_matrix.py

gpu-check: $(INSTALLED)
	$(BIN)/python -m pytest tests/test_device.py -rs --junitxml gpu_check/tests.xml
	$(BIN)/segan_nnunet benchmark -device cuda -o gpu_check

clean:
	rm -rf $(VENV) demo_output gpu_check site
