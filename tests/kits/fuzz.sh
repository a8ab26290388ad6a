#!/usr/bin/env bash
# Fuzzes every parser for a short time; `tests/fuzz/run SECONDS` goes on longer.
set -euo pipefail
command -v g++ >/dev/null || { echo "SKIPPED: no C++ compiler"; exit 77; }
tests/fuzz/run "${CAUSEWAY_FUZZ_SECONDS:-5}"
