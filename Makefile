# Every target sets up what it needs: a virtual environment in .venv, installed under constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Seconds of timing noise come from threads that fight over two cores; one thread each is faster here.
export OMP_NUM_THREADS ?= 1
# Bytecode is kept, whatever the environment says: tests start many processes, each of which would compile every module.
export PYTHONDONTWRITEBYTECODE :=
# Each worker has half of the tests, modules in one piece, and takes over some of the other's when it is done.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal -q
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
EXTRAS := huggingface,onnx,lens,browser,text

.PHONY: verify test test-extras test-extras-heavy test-extras-both test-heavy test-long test-kernels benchmark lint types \
	docs site pages figures mutants proofs gpu install-all clean

verify: $(VENV)/installed
	$(BIN)/prefixproof verify
	$(BIN)/prefixproof generate "I love transformers!"

test: $(VENV)/installed
	$(PYTEST)

# Stock Hugging Face classes, exports and TransformerLens: their libraries are installed here, and for nothing else. The page
# of evidence is looked at in Debian's Chromium where it is installed.
test-extras: $(VENV)/installed-extras
	HF_HUB_OFFLINE=1 $(PYTEST) -m 'extras and not heavy'

test-extras-heavy: $(VENV)/installed-extras
	HF_HUB_OFFLINE=1 $(PYTEST) -m 'extras and heavy and not long'

# Both at once, as in CI, where the pages follow.
test-extras-both: $(VENV)/installed-extras
	HF_HUB_OFFLINE=1 $(PYTEST) -m 'extras and not (heavy and long)' --ignore=tests/docs

# Minutes long: larger sizes, random maps, drawn layers, and the tables of mutants. `make docs` runs the slow pages.
test-heavy: $(VENV)/installed
	$(PYTEST) -m 'heavy and not extras' --ignore=tests/docs

# Minutes for a single test: the counts of fuzzed cases in docs/claims.md, and the longest tables of mutants. Those that need
# the extras run in `make test-extras`.
test-long: $(VENV)/installed
	$(BIN)/python -m pytest -q -m 'long and not extras'

# A minute or two for each choice of kernels that this processor has; KERNELS=--few is what CI runs.
test-kernels: $(VENV)/installed
	$(BIN)/python -m tests.kernels.run $(KERNELS)

benchmark: $(VENV)/installed
	$(BIN)/python -m pytest tests/benchmarks -m benchmark_tier -q -s

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

# The site, in build/docs: every warning is an error, and every page runs, the slow ones too.
docs: site pages

site: $(VENV)/installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --builder html docs build/docs

pages: $(VENV)/installed-docs
	$(PYTEST) -m 'heavy or not heavy' tests/docs

# Everything that wants a GPU, within ten minutes, into a folder that is committed; see docs/how-to/gpu-evidence.md.
gpu: $(VENV)/installed-extras
	$(BIN)/prefixproof gpu-evidence --out 'proofs/evidence/{device}'

figures: $(VENV)/installed
	$(BIN)/python -m docs.figures.draw

# Minutes: every mutant by every method, as proofs/MUTANTS.md.
mutants: $(VENV)/installed
	$(BIN)/python -m tests.mutation.document

# The machine-checked proofs, on two cores unless make was told of how many. Coq is installed where that is possible
# without asking.
proofs:
	@command -v coqc >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && apt-get update -qq && apt-get install -y -qq coq libcoq-flocq >/dev/null; } \
	    || { echo "make proofs needs Coq 8.16 and Flocq: apt-get install coq libcoq-flocq" >&2; exit 1; }
	$(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j 2) -C proofs/coq

# torch first: under the constraint its one pinned build is taken, whatever else would ask for torch later.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("prefixproof needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(INSTALL) -c constraints.txt -e '.[dev,plot,report]'
	touch $@

$(VENV)/installed-extras: $(VENV)/installed
	$(INSTALL) -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(INSTALL) -c constraints.txt -e '.[docs]'
	touch $@

# What tests of extras need and what the site does, in one call, as in CI.
install-all: $(VENV)/installed
	$(INSTALL) -c constraints.txt -e '.[$(EXTRAS),docs]'
	touch $(VENV)/installed-extras $(VENV)/installed-docs

clean:
	rm -rf $(VENV) build *.egg-info
