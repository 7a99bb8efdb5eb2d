# Every command of the project. `make` alone lists them.
# Numbers can be set on the command line: make fuzz FUZZTIME=5m

FUZZTIME      ?= 20s
STRESSTIME    ?= 30s
# A stress test that hangs is a finding: it must end with the stacks of all
# goroutines, so the limit is generous but there is one.
STRESSTIMEOUT ?= 1h
TESTTIMEOUT   ?= 10m
COVERLEAST    ?= 90
COVERPROFILE  ?= cover.out
BENCH         ?= .
DEMOFLAGS     ?=
TESTFLAGS     ?=
BENCHFLAGS    ?=

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --no-print-directory

# A go.work above the clone must not change what is tested.
export GOWORK := off

# Runs a command once Go and a C compiler are known to work, with CC set to it.
SETUP := sh '$(CURDIR)/internal/setup/cc.sh'
# Runs a command once the servers that tests start are known to be here.
SERVERS := sh '$(CURDIR)/internal/setup/servers.sh'
# Runs a command once a browser in which tests look at a page is known to be here.
BROWSER := sh '$(CURDIR)/internal/setup/browser.sh'
# Runs a command in every module of the repository.
EACH  := sh '$(CURDIR)/internal/setup/each.sh'
# Tools are pinned in a module of their own, so that users of Lido never see
# them among their dependencies.
TOOL  := go tool -modfile='$(CURDIR)/internal/tools/go.mod'

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'Numbers to set: FUZZTIME=$(FUZZTIME) STRESSTIME=$(STRESSTIME) COVERLEAST=$(COVERLEAST) BENCH=$(BENCH) DEMOFLAGS TESTFLAGS BENCHFLAGS'

.PHONY: setup
setup: ## look for Go, a C compiler, servers and a browser for tests; install what is missing if that is possible
	@$(SETUP) $(SERVERS) $(BROWSER)

.PHONY: demo
demo: ## the five strategies under the same load on a SQLite file
	@$(SETUP) go run ./examples/ledger $(DEMOFLAGS)

.PHONY: test
test: ## all tests of all modules; what is missing here fails instead of being skipped
	@LIDO_STRICT=1 $(SETUP) $(SERVERS) $(BROWSER) $(EACH) go test -timeout $(TESTTIMEOUT) $(TESTFLAGS) ./...

.PHONY: check
CHECKS := fmt-check tidy-check vet lint test race cover
check: ## what continuous integration runs: all of the checks below, test, race, cover
	@$(SETUP) $(SERVERS) $(BROWSER) # first, so that what is missing is told before anything is downloaded
	@for step in $(CHECKS); do \
		start=$$SECONDS; \
		$(MAKE) $$step || { echo "check: $$step FAILED after $$((SECONDS - start))s"; exit 1; }; \
		echo "check: $$step ok, $$((SECONDS - start))s"; \
	done; \
	echo "check: all ok, $${SECONDS}s"

.PHONY: race
race: ## the tests under the race detector
	@LIDO_STRICT=1 $(SETUP) $(SERVERS) go test -race -timeout $(TESTTIMEOUT) $(TESTFLAGS) ./...

.PHONY: stress
stress: ## every TestStress… for STRESSTIME each, under the race detector
	@LIDO_STRESS=$(STRESSTIME) LIDO_STRICT=1 $(SETUP) $(SERVERS) \
		go test -race -count=1 -run '^TestStress' -timeout $(STRESSTIMEOUT) $(TESTFLAGS) ./...

.PHONY: fuzz
fuzz: ## every Fuzz… for FUZZTIME each
	@$(SETUP) sh internal/setup/fuzz.sh $(FUZZTIME)

.PHONY: cover
cover: ## statement coverage; fails if pool, strategies or manage is under COVERLEAST per cent
	@LIDO_STRICT=1 $(SETUP) $(SERVERS) sh internal/setup/cover.sh $(COVERLEAST) $(COVERPROFILE)
	@echo 'cover: which lines: go tool cover -html=$(COVERPROFILE)'

.PHONY: bench
bench: ## the benchmarks that stand beside the code; BENCH is a pattern
	@$(SETUP) go test -run '^$$' -bench '$(BENCH)' -benchmem $(BENCHFLAGS) ./...

ROWS ?= .
.PHONY: bench-sql
bench-sql: ## what an *sql.DB of Lido's costs beside database/sql, on real servers, or the rows in ROWS, a pattern such as MariaDB/prepared: minutes
	@LIDO_BENCH_SQL='$(ROWS)' LIDO_STRICT=1 $(SETUP) $(SERVERS) go test -count=1 -run '^TestSQLTable$$' -timeout $(STRESSTIMEOUT) $(BENCHFLAGS) -v ./bench

RESULTS ?= all
.PHONY: bench-results
bench-results: ## bench/results/*.json of lidobench again, or those in RESULTS, with colons between them: ten minutes on a quiet machine
	@LIDO_BENCH_RESULTS='$(RESULTS)' LIDO_STRICT=1 $(SETUP) $(SERVERS) go test -count=1 -run '^TestResults$$' -timeout $(STRESSTIMEOUT) -v ./bench

.PHONY: pictures
pictures: ## docs/pictures, from bench/results; measures nothing
	@mkdir -p docs/pictures
	@LIDO_PICTURES='$(CURDIR)/docs/pictures' LIDO_STRICT=1 $(BROWSER) go test -C bench/browser -count=1 -run '^TestPictures$$' .

# OUT, a file, is relative to where make runs; so are those in VERSUSFLAGS. VITESS= leaves
# smartconnpool out, which is 600 MB of modules and minutes of building the first time.
VERSUSFLAGS ?=
VITESS      ?= 1
VERSUS       = $(SETUP) go build -C bench/versus -o versus $(if $(VITESS),-modfile=testdata/vitess/go.mod -overlay=testdata/vitess/overlay.json) . && \
	bench/versus/versus -commit "$$(git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)" $(if $(OUT),-out '$(OUT)')

.PHONY: bench-versus
bench-versus: HTML ?= bench-versus.html
bench-versus: ## Lido against its peers, as ratios and as a page in HTML or bench-versus.html: a quarter of an hour; OUT=file.json keeps the ratios
	@$(VERSUS) -workloads all -html '$(HTML)' $(VERSUSFLAGS)

.PHONY: bench-versus-quick
bench-versus-quick: OUT ?= bench-versus.json
bench-versus-quick: ## the same in less than a minute, into OUT or bench-versus.json
	@$(VERSUS) -quick $(VERSUSFLAGS)

.PHONY: figure
figure: ## docs/versus.svg and docs/versus.md, from bench/results/versus.json; measures nothing
	@go run -C bench/versus . -draw '$(CURDIR)/bench/results/versus.json' \
		-figure '$(CURDIR)/docs/versus.svg' -markdown '$(CURDIR)/docs/versus.md' >/dev/null

.PHONY: echarts
echarts: ## the charts of lidobench's page again, from the npm registry; nothing else needs node
	@sh bench/internal/page/vendor/build.sh

.PHONY: fmt-check
fmt-check: ## is everything formatted as gofmt does?
	@bad=$$("$$(go env GOROOT)/bin/gofmt" -l .); \
	[ -z "$$bad" ] || { echo "not formatted, run gofmt -w on:"; echo "$$bad"; exit 1; }

.PHONY: tidy-check
tidy-check: ## does every go.mod say exactly what the code needs?
	@$(EACH) go mod tidy -diff
	@cd internal/tools && go mod tidy -diff

.PHONY: vet
vet: ## go vet in every module
	@$(SETUP) $(EACH) go vet ./...

.PHONY: lint
lint: ## staticcheck in every module; what is off, and why, is in staticcheck.conf
	@$(SETUP) $(EACH) $(TOOL) staticcheck ./...
