#!/usr/bin/env bash
# A short run of the benchmark, to see that it works and that what it measures is right. Figures to be
# quoted need `tests/bench/run` on a quiet machine.
set -euo pipefail
tests/bench/run --rounds 2 --slice 1
