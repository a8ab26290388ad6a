#!/usr/bin/env bash
# A registry whose process is killed a thousand times in the course of a random life: after each kill its
# instance is that of the last acknowledged command, or of the one that was under way.
#
# Needs: nothing but this workspace. CAUSEWAY_KILLS and CAUSEWAY_SEED ask for another life.
# May not: touch anything but a temporary folder.
set -eu
cd "$(dirname "$0")/../.."
export CAUSEWAY_KILLS=${CAUSEWAY_KILLS:-1000} CAUSEWAY_SEED=${CAUSEWAY_SEED:-$(date +%s)}
echo "seed $CAUSEWAY_SEED"
cargo test -q -p causeway-registry --lib a_killed_registry -- --nocapture 2>&1 | grep -v '^acknowledged' | tee /dev/stderr |
    grep -q 'test result: ok. 1 passed'
