#!/usr/bin/env bash
# 200 rounds of `kill -9` under load (CAUSEWAY_KILL_ROUNDS chooses another number).
set -euo pipefail
export CAUSEWAY_KILL_ROUNDS=${CAUSEWAY_KILL_ROUNDS:-200}
cargo test --release --quiet -p causeway --test federation -- kill --nocapture
