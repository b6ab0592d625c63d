# Every target works as root and as an ordinary user. The database is chosen by the
# standard PG* variables or by DATABASE_URL; make passes the environment through.

NODE ?= node
NPM  ?= npm
SOURCES := '{sidecar,test}/**/*.ts'
TS   := $(NODE) --require ts-node/register/transpile-only

.DEFAULT_GOAL := help
.PHONY: help build lint format test test-versions matrix hosts model chaos crashes test-chaos endurance bench bench-scale bench-phase2 bench-costs install-sql uninstall-sql demo up psql down clean

help: ## show this list
	@grep -hE '^[a-z_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z_-]+):.*## /\1|/' | \
	  awk -F'|' '{ printf "  make %-15s %s\n", $$1, $$2 }'

# npm touches this file last, so an interrupted install is repeated.
node_modules: node_modules/.package-lock.json ## install the dependencies (only when the lock file changed)
node_modules/.package-lock.json: package-lock.json package.json
	@$(NPM) ci --silent --no-fund --no-audit
	@touch $@

build: node_modules ## compile the sidecar into dist/
	@$(NODE) node_modules/typescript/bin/tsc -p tsconfig.build.json

lint: node_modules ## check types and layout of the TypeScript
	@$(NODE) node_modules/typescript/bin/tsc --noEmit
	@$(NODE) node_modules/prettier/bin/prettier.cjs --check --log-level warn $(SOURCES)

format: node_modules ## lay the TypeScript out
	@$(NODE) node_modules/prettier/bin/prettier.cjs --write --log-level warn $(SOURCES)

# Some of them: make test TESTS=test/sql/exec.test.ts MOCHA_ARGS="--grep 'COMMIT'"
TESTS ?= test/unit test/sql test/sidecar test/crash test/bench
LANES ?= 2

test: build ## run the tests on real servers that they start themselves
	@$(TS) test/run.ts --lanes $(LANES) $(TESTS) -- $(MOCHA_ARGS)

VERSIONS ?= 14 15 16 17 18

# The servers are packages of their own, so that whoever tests on one version need not load all.
test-versions: build test/versions/node_modules/.package-lock.json ## run the tests on PostgreSQL 14 to 18 (VERSIONS='14 18': on these)
	@$(TS) test/run.ts --lanes $(LANES) --versions '$(VERSIONS)' $(VERSION_TESTS) -- $(MOCHA_ARGS)

VERSION_TESTS ?= test/sql test/crash $(patsubst %,test/sidecar/%.test.ts,deadlocks deadlocks-coordinators deadlocks-edges drill repair restore restore-broken restore-failover restore-older restore-part restore-shared snapshots verify watch watch-bounds watch-guards watch-shapes watch-values)
# No lock file: npm ci does not find one package under several names in it. The versions are exact.
test/versions/node_modules/.package-lock.json: test/versions/package.json
	@$(NPM) install --no-package-lock --silent --no-fund --no-audit --prefix test/versions
	@touch $@

# One case at a time, with the sidecar's defaults: what is measured is written to test/reports/crash-matrix.md.
matrix: build ## everything killed at every step of the protocol, with the time from crash to consistent
	@figures=$$(mktemp -d) && trap 'rm -rf "$$figures"' EXIT && \
	  PGLOBALXACT_TEST_FIGURES=$$figures $(NODE) node_modules/mocha/bin/mocha.js $(MOCHA_ARGS) test/crash/matrix.test.ts && \
	  $(TS) test/crash/matrix/report.ts $$figures

# Needs spin and gcc, no server.
model: node_modules ## check the model of the protocol in all its states (test/model)
	@$(NODE) node_modules/mocha/bin/mocha.js $(MOCHA_ARGS) test/model/model.test.ts

# As root on Linux; elsewhere it says what was not proved. Some of them: make hosts TESTS=test/hosts/node.test.ts
hosts: build ## run the tests on hosts of their own: containers on networks of their own (test/hosts)
	@$(TS) test/hosts/run.ts $(MOCHA_ARGS) $(filter test/hosts/%,$(TESTS))

# make chaos SECONDS=60 SEED=7, from make's command line: bash has a SECONDS of its own, which is not passed on.
chaos: SECONDS ?= 60
chaos: build ## break everything for SECONDS=60, SEED=fresh; PLAN=1 shows the plan (test/chaos)
	@SECONDS=$(SECONDS) SEED=$(SEED) PLAN=$(PLAN) BUG=$(BUG) VERBOSE=$(VERBOSE) REPORT=$(REPORT) $(TS) test/chaos/chaos.ts

crashes: ROUNDS ?= 10
crashes: build ## time from crash to consistent, per kind of crash (test/chaos)
	@ROUNDS=$(ROUNDS) REPORT=$(REPORT) $(TS) test/chaos/crashes.ts

# --exit: Node may never come to its end by itself after thousands of connections that were reset.
test-chaos: build ## short chaos runs, and bugs that they must find
	@$(NODE) node_modules/mocha/bin/mocha.js --exit $(MOCHA_ARGS) test/chaos/chaos.test.ts

endurance: SECONDS ?= 3600
endurance: RATE ?= 60
endurance: build ## steady load for SECONDS=3600: nothing may grow (test/chaos)
	@SECONDS=$(SECONDS) RATE=$(RATE) $(TS) test/chaos/endurance.ts

# From make's command line, as for chaos: bash has a SECONDS of its own. test/bench/README.md has the options.
bench: build ## throughput and latency beside what you would use instead (test/bench)
	@GRIDS='$(GRIDS)' VARIANTS='$(VARIANTS)' SESSIONS='$(SESSIONS)' BRANCHES='$(BRANCHES)' FSYNC_MS='$(FSYNC_MS)' \
	  ROUNDS='$(ROUNDS)' SECONDS='$(SECONDS)' CLIENTS='$(CLIENTS)' KEEP='$(KEEP)' REPORT='$(REPORT)' BREAKDOWN='$(BREAKDOWN)' PROFILE='$(PROFILE)' \
	  $(TS) test/bench/bench.ts

# Some of it: make bench-scale ITEMS='recovery nodes' ROUNDS=3
bench-scale: build ## recovery, reads, many nodes and idling at scale: test/reports/scale.md (test/bench/scale)
	@ITEMS='$(ITEMS)' ROUNDS=$(ROUNDS) SETS=$(SETS) RECORDS=$(RECORDS) SECONDS=$(SECONDS) $(TS) test/bench/scale/run.ts

# Some of it: make bench-phase2 PARTS="rate window". With status 0 when every target is met.
bench-phase2: build ## measure the doorbell and phase two against bare loops (REPORT=1 writes test/reports/phase2.md)
	@ROUNDS=$(ROUNDS) MILLISECONDS=$(MILLISECONDS) PARTS="$(PARTS)" REPORT=$(REPORT) $(TS) test/bench/phase2/main.ts

# In turns with the same load without them: watching, the detector, consumers, clocks, verify, snapshots, restore points.
bench-costs: build ## measure what the optional parts cost while they are on (REPORT=1 writes test/reports/costs.md)
	@SESSIONS=$(SESSIONS) ROUNDS=$(ROUNDS) SECONDS=$(SECONDS) IDLE=$(IDLE) ABORTS=$(ABORTS) REPORT=$(REPORT) $(TS) test/bench/costs/main.ts

install-sql: build ## install or upgrade schema pglobalxact (PG* variables or DATABASE_URL)
	@$(NODE) dist/main.js install

uninstall-sql: build ## remove schema pglobalxact
	@$(NODE) dist/main.js uninstall

demo: build ## watch a distributed transaction survive crashes, on throw-away servers
	@$(TS) test/demo/demo.ts

up: build ## start a playground: a coordinator, nodes and the sidecar
	@$(TS) test/demo/playground.ts up

psql: node_modules ## open psql in the playground's coordinator
	@$(TS) test/demo/playground.ts psql

down: node_modules ## stop the playground and remove it
	@$(TS) test/demo/playground.ts down

clean: ## remove what was built and installed here
	@rm -rf dist node_modules test/versions/node_modules
