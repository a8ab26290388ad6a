#!/usr/bin/env bash
# The reference implementation of JAX-WS (Maven Central, com.sun.xml.ws:jaxws-rt 4.0.3) on both ends, with two
# servers between them: MTOM both ways with the header blocks as parameters, plain base64, attachments by SAAJ
# both ways, and faults of the provider and of a server.
#
# Needs: a JDK of 17 or later, Maven and its packages; loopback addresses 127.0.62.x.
# May not: keep anything but Maven's packages, or reach the provider but through both servers (its WSDL excepted).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/kits/support/java.sh
java_with jaxws Documents.java Kit.java
network=127.0.62
state=$work/state
provider=$network.40:9400
"$causeway" up --once --state "$state" --network "$network" >"$work/up.txt" 2>&1 || { cat "$work/up.txt"; exit 1; }
# Behind the server's last client, CW/NDC/2001/population.
for service in turn:documents enclosed:attachments; do
  cat >>"$state/data-centre/server.toml" <<TOML
[[client.service]]
type = "soap"
code = "${service%:*}"
url = "http://$provider/${service#*:}"
allow = [{ local-group = "everybody" }]
TOML
done
start_up "$state" "$network"
java_run Kit "http://$network.11:8080/" "$provider"
