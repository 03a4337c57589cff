# make demo   a gallery, an index, answers: the first three minutes
# make quick  the unit tests: what to run while working
# make test   every test, from a clean clone; processes that are killed and parity with transformers among them
# make check  what CI runs: lint, types, layers, tests
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo quick quick-first quick-second test test-first test-second check lint format clean

demo: .venv/ready
	$(BIN)/sightline demo demo

# The tests run as two halves at once, each on a core of its own, for as long as each other: of all tests the benchmarks
# are a large part, of the unit tests the models.
test-first test-second: FIRST = $(filter-out tests/compat,$(wildcard tests/[a-l]*)) tests/metrics tests/models tests/nn tests/test_benchmarks.py
quick-first quick-second: FIRST = $(wildcard tests/[a-l]*) tests/metrics tests/models tests/nn
SECOND = $(filter-out $(FIRST) %.md,$(wildcard tests/*))
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:cacheprovider

quick: .venv/ready
	$(MAKE) --no-print-directory -j2 --output-sync quick-first quick-second

quick-first: UNIT = -m unit --hypothesis-profile=quick
quick-second: UNIT = -m unit --hypothesis-profile=quick
quick-first test-first:
	$(PYTEST) $(UNIT) $(FIRST)
quick-second test-second:
	$(PYTEST) $(UNIT) $(SECOND)

test: .venv/ready
	$(MAKE) --no-print-directory -j2 --output-sync test-first test-second

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
