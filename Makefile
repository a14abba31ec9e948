# What takes longer than a change can wait for. .ci/run is what must hold before one
# lands; docs/proof.md says what each of these shows.

.PHONY: help torture

help:
	@echo "make torture   the proofs with big numbers, hours on two cores; Ctrl-C ends it"
	@echo ".ci/run        what must hold before a change lands, minutes"

# In the order in which they find most in the least time. -for is for each of the four
# numbers of processors; -timeout is for all of them together.
torture:
	go run ./internal/checks/mutate
	go run ./internal/checks/cmd/explore -bound 2 -budget 8m
	go run ./internal/checks/cmd/explore -random 200000
	go test ./internal/checks/model -timeout 30m -run TestModel -rapid.checks=100000 -rapid.steps=100
	go test ./internal/checks/model -timeout 30m -run TestLinearizable -histories 5000 -length 200
	go test -run '^$$' -fuzz FuzzProgram -fuzztime 10m ./internal/checks/model
	go test -race -timeout 30m ./internal/checks/churn -run Stress -for 2m30s -cpu 1,2,4,16
	go test -timeout 2h ./internal/checks/churn -run Soak -deliveries 1000000000
	GOARCH=386 go test -timeout 1h .
	GOARCH=386 go test -timeout 1h ./internal/checks/churn -deliveries 100000000
