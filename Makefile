# Every target does its own set-up; the stamps under .venv make the second time quick.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
TEST_WORKERS ?= 4
# Wheels alone, so that no package's own code runs to install it. Most of their modules are never imported: Python
# compiles the others when they are.
INSTALL := $(PIP) install --no-compile --require-hashes --no-deps --only-binary :all:

.PHONY: help install up demo clean test coverage test-postgres test-browser test-compat test-languages lint check-bounds \
  check-alerts check-pgbouncer check-deploy check-cluster check-images check-gpu-libraries gpu-check stubs \
  client-stubs schema settings-docs alert-rules chart lock dist check-dist release bench-calibration \
  bench-consistency bench-deletion bench-encoder bench-gateway bench-import bench-large bench-looks bench-matcher \
  bench-other-systems bench-people bench-reading bench-scores soak-encoder soak-erasing soak-hostile soak-import \
  soak-matcher soak-model soak-operations soak-replication soak-rollouts soak-service soak-sketches soak-standbys

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/.build: requirements/build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "facerec needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements/build.lock
	@touch $@

$(VENV)/.runtime: $(VENV)/.build requirements/runtime.lock pyproject.toml
	@echo "installing packages (about a minute the first time) ..."
	@$(PIP) uninstall -y face_recognition_models 2>/dev/null # the models of an older checkout, in the way of the wheel's
	$(INSTALL) -r requirements/runtime.lock
	$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.lock
	$(INSTALL) -r requirements/dev.lock
	@touch $@

install: $(VENV)/.runtime ## Set up .venv, and start nothing.

up: $(VENV)/.runtime ## Start both services over an embedded Postgres and print `ready`.
	@$(BIN)/facerec up

demo: $(VENV)/.runtime ## Enroll, verify and identify sample photos and show what came out.
	@$(BIN)/facerec demo --photos .cache/samples

clean: ## Remove the virtual environment and caches.
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info

# Tests.

test: $(VENV)/.dev ## Run the tests, on real servers and a real Postgres.
	@TEST_WORKERS=$(TEST_WORKERS) scripts/test.sh

coverage: $(VENV)/.dev ## Run the tests and print the line coverage, as make test does from Python 3.12 on.
	@COVERAGE=1 TEST_WORKERS=$(TEST_WORKERS) scripts/test.sh

test-postgres: $(VENV)/.dev ## Run the tests of the matcher over another PostgreSQL with pgvector; POSTGRES=FOLDER of its programs.
	@scripts/test_postgres.sh "$(POSTGRES)"

$(VENV)/browser/.done: $(VENV)/.build requirements/browser.lock
	$(INSTALL) --target $(VENV)/browser --upgrade -r requirements/browser.lock
	@touch $@

test-browser: $(VENV)/.dev $(VENV)/browser/.done ## Walk through the console in a real browser; needs Chromium (Debian: the package chromium), or CHROMIUM=PROGRAM; SCREENSHOTS=DIR keeps a picture of each page.
	@CHROMIUM="$(CHROMIUM)" SCREENSHOTS="$(SCREENSHOTS)" PYTHONPATH=$(abspath $(VENV)/browser) $(BIN)/python -m pytest -q -n 0 tests/browser

$(VENV)/compat/.done: $(VENV)/.build requirements/compat.lock
	$(PYTHON) -m venv $(VENV)/compat
	$(VENV)/compat/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-deps -r requirements/compat.lock
	@touch $@

test-compat: $(VENV)/.dev $(VENV)/compat/.done ## Run other systems' own clients, unchanged, against the gateway; needs the index.
	@COMPAT_PYTHON=$(abspath $(VENV)/compat/bin/python) $(BIN)/python -m pytest -q -n 0 tests/compat

test-languages: $(VENV)/.dev ## Build and test the npm package and the Go module, and run the examples; needs the index, Node.js and Go; GO_PACKAGES=FOLDER for a GOPATH with grpc-go.
	@CHECK_LANGUAGES=1 GO_PACKAGES="$(GO_PACKAGES)" $(BIN)/python -m pytest -q -n 0 tests/languages

# Checks without tests, or with programs that make does not install.

lint: $(VENV)/.dev ## Check style, types, layers, the contract and the generated code.
	@scripts/lint.sh

check-bounds: $(VENV)/.dev ## Install the client with the oldest packages that it allows, and call with it; needs the index.
	@CHECK_BOUNDS=1 $(BIN)/python -m pytest -q -n 0 tests/contract/test_bounds.py

check-alerts: $(VENV)/.dev ## Have real servers make every alert fire and end in a real Prometheus; needs prometheus and promtool; ONNXRUNTIME_GPU=DIR for that of a lost GPU.
	@{ command -v prometheus && command -v promtool; } >/dev/null || { echo "prometheus and promtool are needed (Debian: the package prometheus)" >&2; exit 1; }
	@CHECK_ALERTS=1 $(BIN)/python -m pytest -q -n 0 tests/alerts

check-pgbouncer: $(VENV)/.dev ## Serve and maintain through a real PgBouncer; PGBOUNCER=PROGRAM for another than that on the path.
	@PATH="$$PATH:/usr/sbin"; command -v "$${PGBOUNCER:-pgbouncer}" >/dev/null || { echo "pgbouncer is needed (Debian: the package pgbouncer)" >&2; exit 1; }
	@$(BIN)/python -m pytest -q -n 0 -m pgbouncer tests/pooling

$(VENV)/deploy/.done: $(VENV)/.build requirements/deploy.lock
	$(PYTHON) -m venv $(VENV)/deploy
	$(VENV)/deploy/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-deps -r requirements/deploy.lock
	@touch $@

check-deploy: $(VENV)/deploy/.done ## Render, validate and scan the Kubernetes overlays, the Helm chart and the images' recipes.
	@scripts/check_deploy.sh

check-cluster: $(VENV)/.dev ## Apply every overlay to the cluster of KUBECONFIG=FILE, call it, roll it under load; OVERLAYS=dev; ENCODER_IMAGE, MATCHER_IMAGE, GATEWAY_IMAGE.
	@test -n "$(KUBECONFIG)" || { echo "name the cluster: make check-cluster KUBECONFIG=FILE" >&2; exit 2; }
	@command -v kubectl >/dev/null || { echo "kubectl is needed, of a version near the cluster's" >&2; exit 1; }
	@$(BIN)/python -m tests.cluster --kubeconfig "$(KUBECONFIG)" $(if $(ENCODER_IMAGE),--facerec-encoder $(ENCODER_IMAGE)) $(if $(GATEWAY_IMAGE),--facerec-gateway $(GATEWAY_IMAGE)) $(if $(GPU_IMAGE),--facerec-encoder-gpu $(GPU_IMAGE)) $(if $(MATCHER_IMAGE),--facerec-matcher $(MATCHER_IMAGE)) $(OVERLAYS)

check-images: $(VENV)/.dev ## Build the images twice, run deploy/compose.yaml and check both; skipped without a Docker engine; GPU=1 for the GPU's too.
	@GPU=$(GPU) scripts/check_images.sh

$(VENV)/gpu/.done: $(VENV)/.build requirements/gpu.lock
	$(PYTHON) -m venv $(VENV)/gpu
	$(VENV)/gpu/bin/python -m pip --disable-pip-version-check -q install --no-compile --require-hashes --no-deps -r requirements/build.lock
	$(VENV)/gpu/bin/python -m pip --disable-pip-version-check -q install --no-compile --require-hashes --no-deps --no-build-isolation -r requirements/gpu.lock
	@touch $@

check-gpu-libraries: $(VENV)/.dev $(VENV)/gpu/.done ## Install the extra gpu apart (2.3 GB) and check that it lacks no library of NVIDIA but the driver's; needs no GPU.
	@GPU_PYTHON=$(abspath $(VENV)/gpu/bin/python) $(BIN)/python -m pytest -q -n 0 -m gpu tests/unit/encoder

gpu-check: $(VENV)/gpu/.done ## Measure and break the encoder on this machine's GPU; ARGS="--provider cpu" for a rehearsal without one.
	@PYTHON=$(VENV)/gpu/bin/python scripts/gpu_check $(ARGS)

# Generated files.

stubs: $(VENV)/.dev ## Generate the protobuf and gRPC stubs from protos/.
	@scripts/stubs.sh

client-stubs: $(VENV)/.dev ## Generate the stubs of clients/go from protos/; needs protoc-gen-go and protoc-gen-go-grpc.
	@scripts/client_stubs.sh go

schema: $(VENV)/.dev ## Write the schema as all migrations leave it to matcher_service/postgres/schema.sql.
	@$(BIN)/python -m scripts.schema_sql > .cache/schema.sql && mv .cache/schema.sql matcher_service/postgres/schema.sql

settings-docs: $(VENV)/.dev ## Write docs/settings.md from the services' settings.
	@$(BIN)/python scripts/settings_docs.py > docs/settings.md

alert-rules: ## Write the prod overlay's PrometheusRule from deploy/monitoring/rules.yaml.
	@scripts/alert_rules.sh > deploy/kubernetes/overlays/own-postgres/alerts.yaml

chart: $(VENV)/.dev ## Write the Helm chart's templates from the Kustomize overlays.
	@$(BIN)/python -m scripts.chart

lock: ## Pin every dependency by hash.
	@scripts/lock.sh

# Distributions.

$(VENV)/dist/.done: $(VENV)/.build requirements/dist.lock
	$(PYTHON) -m venv $(VENV)/dist
	$(VENV)/dist/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-deps --only-binary :all: -r requirements/build.lock -r requirements/dist.lock
	@touch $@

dist: $(VENV)/dist/.done ## Build the wheel and the source distribution of the last commit into dist/, and check both.
	@$(VENV)/dist/bin/python scripts/dist.py

check-dist: dist $(VENV)/.dev ## Install the wheel of dist/, each extra apart, with only what it asks for, and use it; needs the index.
	@CHECK_DIST=dist $(BIN)/python -m pytest -q -n 0 tests/installed

release: $(VENV)/.dev ## Commit and tag a release, without pushing; VERSION=0.1.0: docs/releasing.md.
	@$(BIN)/python scripts/release.py "$(VERSION)"

# Measurements.

bench-calibration: $(VENV)/.dev ## Count how often a calibration's intervals hold the truth, on 1,000 populations.
	@$(BIN)/python -m tests.benchmarks.calibration

bench-consistency: $(VENV)/.dev ## Count how often photos are flagged as nearer to somebody else; PEOPLE="1000 10000".
	@$(BIN)/python -m tests.benchmarks.consistency --people $(or $(PEOPLE),1000 10000)

bench-deletion: $(VENV)/.dev ## Measure the deletion of a collection of FACES=1000000.
	@$(BIN)/python -m tests.benchmarks.deletion --faces $(or $(FACES),1000000)

bench-encoder: $(VENV)/.dev ## Measure the encoder beside its peers; PHOTOS=DIR adds people/NAME/*.jpg of yours.
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.encoder bench $(if $(PHOTOS),--photos $(PHOTOS))

bench-gateway: $(VENV)/.dev ## Measure Verify through the gateway beside direct gRPC, and its memory with large photos and at its limits.
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.benchmarks.gateway
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.benchmarks.gateway_memory

bench-import: $(VENV)/.dev ## Measure moving encodings in and out; FACES=1000000.
	@$(BIN)/python -m tests.benchmarks.imports --faces $(or $(FACES),1000000)

bench-large: $(VENV)/.dev ## Measure exact scans of ten million faces; DATA=/tmp/large FACES=10000000. Some 20 GB.
	@$(BIN)/python -m tests.benchmarks.matcher.large --faces $(or $(FACES),10000000) --data $(or $(DATA),/tmp/facerec-large)

bench-looks: $(VENV)/.dev ## Count what an index hides of people with photos of two looks; PEOPLE="24000 200000".
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.benchmarks.looks --people $(or $(PEOPLE),24000 200000)

bench-matcher: $(VENV)/.dev ## Measure the matcher beside its peers; FACES=1000000 DATA=/tmp/bench PARTS="verify flood".
	@$(BIN)/python -m tests.benchmarks.matcher --faces $(or $(FACES),1000000) $(if $(DATA),--data $(DATA)) $(PARTS)

# The packages bring their programs and models; no install script of theirs is run.
FACE_API := @vladmandic/face-api@1.7.15 @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0

bench-other-systems: $(VENV)/.dev ## Measure other systems' vectors beside ours; PHOTOS=DIR adds people/NAME/*.jpg of yours; needs Node; DEEPFACE_PYTHON=FILE for deepface's.
	@! command -v npm >/dev/null || npm install --silent --ignore-scripts --no-audit --no-fund --prefix .cache/face-api $(FACE_API)
	@$(BIN)/python -m tests.benchmarks.other_systems --node-modules .cache/face-api/node_modules $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(DEEPFACE_PYTHON),--deepface-python $(DEEPFACE_PYTHON))

bench-people: $(VENV)/.dev ## Measure searches of people by words of ids and names; PERSONS=500000.
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.benchmarks.people --persons $(or $(PERSONS),500000)

bench-reading: $(VENV)/.dev ## Measure reading an import's sources; ROWS=1000000 KINDS="npz csv" AGAINST=another/checkout.
	@$(BIN)/python -m tests.benchmarks.reading --rows $(or $(ROWS),1000000) $(if $(AGAINST),--against $(AGAINST)) $(KINDS)

bench-scores: $(VENV)/.dev ## Measure the rules that score several photos; PERSONS=2000 POPULATIONS=4.
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.scores --persons $(or $(PERSONS),2000) --populations $(or $(POPULATIONS),4)

# Long runs under faults, attacks and load.

soak-encoder: $(VENV)/.dev ## Overload the encoder for five minutes, send it 100,000 mutated images.
	@$(BIN)/python -m tests.benchmarks.encoder soak

soak-erasing: $(VENV)/.dev ## Erase 100 of 10,000 people and search every byte; time the lock that a scrub takes.
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.soak.erasing --faces $(or $(FACES),1000000)

soak-hostile: $(VENV)/.dev ## Attack a running pair on loopback; a figure each, and whether the promise held.
	@GRPC_VERBOSITY=NONE $(BIN)/python -m tests.soak.hostile $(PARTS)

soak-import: $(VENV)/.dev ## Kill the client, the matcher and Postgres under an import of a million faces.
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.soak.imports --faces $(or $(FACES),1000000)

soak-matcher: $(VENV)/.dev ## Kill matchers and Postgres under load; count what is lost, doubled or waits.
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.soak.matcher

soak-model: $(VENV)/.dev ## Drive two matchers at random beside dicts and numpy; SEQUENCES=200 of STEPS=200 calls or so.
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.soak.model $(or $(SEQUENCES),200) $(or $(STEPS),200)

soak-operations: $(VENV)/.dev ## Kill matchers under long calls with request ids, SECONDS=100; count what is done twice or answered differently.
	@GRPC_VERBOSITY=NONE $(BIN)/python -m tests.soak.operations --seconds $(or $(SECONDS),100)

soak-replication: $(VENV)/.dev ## Search for 21,000 changes at once, fail over 60 times, break a standby in 8 ways; PARTS="freshness failovers faults".
	@GRPC_VERBOSITY=NONE $(BIN)/python -m tests.soak.replication $(if $(ROUNDS),--rounds $(ROUNDS)) $(PARTS)

soak-rollouts: $(VENV)/.dev ## Roll one, two and three replicas behind DNS answers 30 s old, as on Kubernetes: six minutes.
	@GRPC_VERBOSITY=NONE $(BIN)/python -m tests.soak.rollouts

soak-service: $(VENV)/.dev ## Both services: rolled, broken in a dozen ways, attacked, and left to run for 20 minutes.
	@GRPC_VERBOSITY=NONE $(BIN)/python -m tests.soak.service

soak-sketches: $(VENV)/.dev ## Change and search for people while their sketches are built, dropped and scrubbed.
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.soak.sketches $(or $(CYCLES),60)

soak-standbys: $(VENV)/.dev ## Break standbys under load and fail over, ROUNDS=5 times; count what is stale, lost or doubled.
	@GRPC_VERBOSITY=NONE $(BIN)/python -m tests.soak.standbys --rounds $(or $(ROUNDS),5)
