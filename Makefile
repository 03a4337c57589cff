# make demo   a gallery, an index, answers: the first three minutes
# make quick  the unit tests: what to run while working
# make test   every test, from a clean clone; processes that are killed and parity with transformers among them
# make check  what CI runs: lint, types, layers, tests
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo quick quick-a-l quick-m-z test check lint format clean

demo: .venv/ready
	$(BIN)/sightline demo demo

# Two halves at once, each on a core of its own.
quick: .venv/ready
	$(MAKE) --no-print-directory -j2 --output-sync quick-a-l quick-m-z

quick-a-l quick-m-z: quick-%:
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m unit --hypothesis-profile=quick -p no:cacheprovider $(filter-out %.md,$(wildcard tests/[$*]*))

test: .venv/ready
	$(BIN)/python -m pytest

check: lint test

lint: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Plain pip with pins: it finds the processor-only build of torch where there is one.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; make PYTHON=/path/to/it") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
