# make            list of targets
# Every target runs with Go alone unless it says what else it needs.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

build: ## the comfyc binary, here, as quickly as it goes; `go run ./cmd/release -only native` builds it as a release
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

schemathesis: ## schemathesis over /openapi.json of a running service; minutes
	COMFYC_SCHEMATHESIS=1 go test -count=1 -v -timeout 40m -run TestSchemathesis ./cmd/internal/service

comfy-cli: ## comfy-cli on a pool's native face: COMFYC_PEER_VENV is a virtual environment that has it
	go test -count=1 -v -run TestComfyCLI ./cmd/internal/service

release: ## binaries for six platforms in dist/, with checksums, bill of materials and licences
	go run ./cmd/release -out dist

fuzz: ## each fuzz target for FUZZTIME (default 30s)
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$p || exit 1; done; done

sizes: ## file and function sizes and comments, by package, against the house rules
	go run ./bench/sizes

.PHONY: help build test race lint example bench crash comfyui sdk schemathesis comfy-cli release fuzz sizes
