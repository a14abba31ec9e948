// Package checks is the module that proves what the library promises, with more
// than luck. Its packages:
//
//   - explore runs the programs of scenarios in every schedule with a bounded number
//     of preemptions, and in random ones; instrument and sched are what it needs.
//   - model compares the hub with a sequential reference, through random and fuzzed
//     programs, and checks recorded histories for linearizability.
//   - churn stresses the hub with the race detector, and soaks it without.
//   - mutate puts bugs into the library and tells which of these finds each.
//
// docs/proof.md says what was found and what each method cannot see.
package checks
