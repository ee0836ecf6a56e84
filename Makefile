# make demo        run the whole pipeline on a simulated cohort; tables and pictures go to demo_output/
# make test        run ruff, mypy and the tests
# make docs        build the documentation site in site/
# make tables      rewrite the tables in docs/ that the code generates
# make gpu-check   run tests, benchmark and trainings on a CUDA GPU, into gpu_check/; ten minutes
# The first call of any target creates a virtual environment in .venv and installs the package.

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
