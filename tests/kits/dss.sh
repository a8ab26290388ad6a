#!/usr/bin/env bash
# EU DSS (Maven Central, eu.europa.ec.joinup.sd-dss 6.2) judges the containers of a fresh federation, with the
# federation's own certification service, OCSP responder and time-stamping authority as trusted: signatures of
# one part and with a hash chain, time-stamps inside the signature and of a batch. What DSS remarks is named with the
# reason that lies in the format; a new remark, or a change that it does not notice, fails.
#
# Needs: a JDK of 17 or later, Maven and its packages (33 MB), curl; loopback addresses 127.0.62.x.
# May not: keep anything but Maven's packages, or reach the network for certificates or revocation.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/kits/support/java.sh
java_with dss Judge.java
network=127.0.62
state=$work/state
start_up "$state" "$network"
# At once, so that they share time-stamps.
calls=()
for i in $(seq 12); do
  curl --silent --fail --noproxy '*' --max-time 60 --output /dev/null -H 'X-Road-Client: CW/GOV/1001/permits' \
    "http://$network.11:8080/r1/CW/NDC/2001/population/persons/079200001234" &
  calls+=($!)
done
for call in "${calls[@]}"; do wait "$call"; done
# What is left out waits for its time-stamp: both messages of the twelve calls are waited for, and a few more.
containers=0
for _ in $(seq 100); do
  rm -rf "$work/containers"
  "$causeway" log export --log "$state/ministry/state/messagelog" --to "$work/containers" >/dev/null 2>&1 || true
  containers=$(find "$work/containers" -name '*.asice' 2>/dev/null | wc -l)
  [ "$containers" -ge 30 ] && break
  sleep 1
done
[ "$containers" -ge 30 ] || { echo "FAILED: only $containers containers got their time-stamp"; exit 1; }
stop_up
java_run Judge "$state/registry/ca.pem,$state/registry/tsa.pem,$state/registry/ocsp.pem" "$work"/containers/*.asice
