# make            list of targets
# Every target runs with Go alone unless it says what else it needs.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

build: ## the comfyc binary, here
	go build -trimpath -o comfyc ./cmd/comfyc

test: ## all tests
	go test ./...

race: ## all tests with the race detector (needs a C compiler)
	go test -race ./...

lint: ## vet, staticcheck, gofmt
	go vet ./...
	go run $(STATICCHECK) ./...
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt -w these files"; exit 1; }

example: ## render the first example on the built-in preview endpoint
	go run ./cmd/comfyc render examples/flux-dev/batch.yaml

bench: ## everything that is promised of speed and memory, against goals and peers (COMFYC_PEER_VENV), kept in bench/results
	go run ./bench/run

crash: ## kill -9 campaign: twenty kills of one batch, then KILLS (167) for SQLite, Postgres, and three machines; an hour or more
	go test -count=1 -v -run TestKillNine ./cmd/internal/cli -args -kills=20 -renders=200
	go test -count=1 -v -timeout 4h -run 'TestCrashCampaign|TestFrozenMachine' ./scheduler/lease -args -kills=$${KILLS:-167} -kills-per-batch=12

comfyui: ## the comfyui dialect and fused pixels on a real server, COMFYC_COMFYUI_URL; clears its history
	@test -n "$$COMFYC_COMFYUI_URL" || { echo "set COMFYC_COMFYUI_URL to a ComfyUI server of your own"; exit 2; }
	go test -count=1 -v -run RealComfyUI ./scheduler/dialect

sdk: ## the platforms' own clients against the emulator: COMFYC_SDK_PYTHON (with runpod, novita-gpus), COMFYC_SDK_NODE (node_modules with runpod-sdk)
	@test -n "$$COMFYC_SDK_PYTHON$$COMFYC_SDK_NODE" || { echo "set COMFYC_SDK_PYTHON or COMFYC_SDK_NODE"; exit 2; }
	go test -count=1 -v -run SDKReal ./scheduler/emulator

release: ## binaries for six platforms in dist/, with checksums, bill of materials and licences
	go run ./cmd/release -out dist

fuzz: ## each fuzz target for FUZZTIME (default 30s)
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$p || exit 1; done; done

sizes: ## file and function sizes against the house rules
	@find . -name '*.go' ! -name '*_test.go' -print0 | xargs -0 wc -l | sort -n | awk '$$2!="total"{n[NR]=$$1;f[NR]=$$2} END{print "files", NR-1, "median", n[int(NR/2)], "p90", n[int(NR*0.9)], "max", n[NR-1], f[NR-1]}'

.PHONY: help build test race lint example bench crash comfyui sdk release fuzz sizes
