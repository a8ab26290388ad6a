#!/usr/bin/env bash
# The OpenSSL command line as a peer of a pilot federation. `s_client` calls port 5500 with right and wrong
# certificates and with old versions and suites; `s_server` is a provider's server that is not what it should
# be; `ocsp`, `ts` and `cms` judge the pilot authority and port 5577.
#
# Needs: openssl 3.x, curl, python3, addresses 127.0.61.x (CAUSEWAY_KIT_NETWORK names others); CAUSEWAY names
# a binary other than the release build.
# May not: reach the network, or write outside a folder of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
for program in openssl curl python3; do
    command -v "$program" >/dev/null || { echo "SKIPPED: $program is not installed"; exit 77; }
done
case $(openssl version) in
    "OpenSSL 3."*) ;;
    *) echo "SKIPPED: the kit is for OpenSSL 3.x, this is $(openssl version)"; exit 77 ;;
esac
. tests/kits/tls/pilot.sh
start_pilot

enrol right auth rsa:2048
enrol curve auth P-384
enrol other auth P-256
enrol revoked auth P-256
enrol stranger auth P-256
enrol signing sign P-256
self_signed nobody "/C=CW/CN=right"
# Names of others, but not their keys: what a certificate says counts for nothing.
openssl x509 -in "$pilot/registry/ministry-authentication.pem" -out "$work/ministry.pem"
register 9001 20 right right curve revoked
register 9002 21 other other

# ---- s_client against port 5500

# ask NAME ARGUMENTS...: a handshake and a small request that is no message; the outcome is in NAME.txt.
ask() {
    local name=$1; shift
    printf 'GET / HTTP/1.1\r\nHost: kit\r\nConnection: close\r\n\r\n' |
        timeout 20 openssl s_client -connect "$network.11:5500" -ign_eof "$@" >"$work/$name.txt" 2>&1 || true
}
# admitted NAME EXPECTED ARGUMENTS...: the request is answered, with what is expected in the transcript.
admitted() {
    local name=$1 expected=$2; shift 2
    ask "$name" "$@"
    grep -aq '^HTTP/1.1 ' "$work/$name.txt" || { cat "$work/$name.txt"; fail "s_client: $name is not admitted"; }
    grep -aq -- "$expected" "$work/$name.txt" || { cat "$work/$name.txt"; fail "s_client: $name: no $expected"; }
    ok "s_client: $name is admitted"
}
# refused NAME ALERT ARGUMENTS...: no octet of HTTP is answered, and this alert says why.
refused() {
    local name=$1 alert=$2; shift 2
    ask "$name" "$@"
    ! grep -aq '^HTTP/1.1 ' "$work/$name.txt" || { cat "$work/$name.txt"; fail "s_client: $name is admitted"; }
    grep -aq "alert number $alert" "$work/$name.txt" || { cat "$work/$name.txt"; fail "s_client: $name: no alert $alert"; }
    ok "s_client: $name is refused"
}
with() { printf -- '-cert %s -key %s' "$work/$1.pem" "$work/${2:-$1}.key"; }

eventually 60 eval 'ask first $(with right); grep -aq "^HTTP/1.1" "$work/first.txt"' || fail "the registration does not arrive"
admitted tls13 'New, TLSv1.3' $(with right)
for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
    admitted "$suite" "Cipher is $suite" $(with right) -tls1_3 -ciphersuites "$suite"
done
for suite in ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-CHACHA20-POLY1305; do
    admitted "$suite" "Cipher is $suite" $(with right) -tls1_2 -cipher "$suite"
done
admitted key-on-a-curve 'New, TLSv1.3' $(with curve)
admitted key-on-a-curve-tls12 'New, TLSv1.2' $(with curve) -tls1_2
admitted with-a-chain 'New, TLSv1.3' $(with right) -cert_chain "$pilot/registry/ca.pem"
for group in P-256 P-384 P-521 X25519; do
    admitted "group-$group" 'New, TLSv1.3' $(with right) -groups "$group"
done

# The alerts: 116 certificate required, 49 access denied, 40 handshake failure, 70 protocol version.
refused no-certificate 116
refused no-certificate-tls12 '\(40\|116\)' -tls1_2
refused unregistered 49 $(with stranger)
refused unregistered-tls12 49 $(with stranger) -tls1_2
refused self-signed 49 $(with nobody)
refused cbc-only 40 $(with right) -tls1_2 -cipher ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA256:ECDHE-ECDSA-AES256-SHA384
refused rsa-key-exchange 40 $(with right) -tls1_2 -cipher AES256-GCM-SHA384:AES128-GCM-SHA256
refused no-encryption 40 $(with right) -tls1_2 -cipher NULL-SHA256:@SECLEVEL=0
refused tls11 '\(40\|70\)' $(with right) -tls1_1 -cipher 'ALL:@SECLEVEL=0'
refused tls10 '\(40\|70\)' $(with right) -tls1 -cipher 'ALL:@SECLEVEL=0'
refused sha1-signatures '\(40\|47\)' $(with right) -tls1_2 -sigalgs RSA+SHA1 -cipher 'ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0'

# A renegotiation that the client asks for is not done.
{ printf 'R\n'; sleep 3; } | timeout 20 openssl s_client -connect "$network.11:5500" $(with right) -tls1_2 >"$work/renegotiation.txt" 2>&1 || true
grep -aq RENEGOTIATING "$work/renegotiation.txt" && grep -aqE 'no renegotiation|alert|error' "$work/renegotiation.txt" ||
    { cat "$work/renegotiation.txt"; fail "s_client: renegotiation"; }
ok "s_client: a renegotiation is refused"

# What was resumed must not have lost the certificate: a second connection of a session is as admitted as the first.
ask resumed-first $(with right) -sess_out "$work/session"
if [ -s "$work/session" ]; then
    admitted resumed 'HTTP/1.1' $(with right) -sess_in "$work/session"
fi
still_good "after s_client"

# ---- ocsp, ts and cms against the pilot authority and port 5577

curl -sSf "http://$network.2:8888/ca.pem" -o "$work/ca.pem"
curl -sSf "http://$network.2:8888/tsa.pem" -o "$work/tsa.pem"
curl -sSf "http://$network.2:8888/ocsp.pem" -o "$work/responder.pem"
serial=$(openssl x509 -in "$work/revoked.pem" -noout -serial | cut -d= -f2)
curl -sSf -X POST -o /dev/null -H "Authorization: Bearer $(cat "$pilot/authority/operator-token")" \
    "http://$network.2:8888/revoke?serial=$serial&reason=1"
mkdir "$work/relay"
for name in right curve other revoked signing stranger; do
    expected=good
    [ $name = revoked ] && expected=revoked
    openssl ocsp -issuer "$work/ca.pem" -cert "$work/$name.pem" -url "http://$network.2:8888/ocsp" -CAfile "$work/ca.pem" \
        -respout "$work/relay/$name.ocsp" >"$work/ocsp.txt" 2>&1 || { cat "$work/ocsp.txt"; fail "ocsp: $name"; }
    grep -q "Response verify OK" "$work/ocsp.txt" && grep -q ": $expected" "$work/ocsp.txt" ||
        { cat "$work/ocsp.txt"; fail "ocsp: $name is not $expected"; }
    openssl x509 -in "$work/$name.pem" -outform DER -out "$work/relay/$name.der"
done
openssl ocsp -issuer "$work/ca.pem" -serial 0x0123456789 -url "http://$network.2:8888/ocsp" -CAfile "$work/ca.pem" \
    >"$work/ocsp.txt" 2>&1 || true
grep -Eq ': unknown|unauthorized' "$work/ocsp.txt" || { cat "$work/ocsp.txt"; fail "ocsp: a serial that nobody was given"; }
ok "ocsp: good, revoked, and a serial that nobody was given"

# Port 5577 gives the response of the server's own certificate; its only part is cut out here.
openssl x509 -in "$work/ministry.pem" -outform DER -out "$work/ministry.der"
hash=$(openssl dgst -sha1 -r "$work/ministry.der" | cut -d' ' -f1)
curl -sSf "http://$network.11:5577/?cert=$hash" -o "$work/relayed.bin"
python3 - "$work/relayed.bin" "$work/relayed.ocsp" <<'END'
import sys
text = open(sys.argv[1], "rb").read()
body = text.split(b"\r\n\r\n", 1)[1]
open(sys.argv[2], "wb").write(body[: body.rindex(b"\r\n--")])
END
openssl ocsp -respin "$work/relayed.ocsp" -issuer "$work/ca.pem" -cert "$work/ministry.pem" -CAfile "$work/ca.pem" \
    >"$work/ocsp.txt" 2>&1 || { cat "$work/ocsp.txt"; fail "ocsp: the response on port 5577"; }
grep -q 'Response verify OK' "$work/ocsp.txt" && grep -q ': good' "$work/ocsp.txt" || { cat "$work/ocsp.txt"; fail "ocsp: 5577"; }
ok "ocsp: the response on port 5577 is good"

echo "what is stamped" >"$work/stamped.txt"
openssl ts -query -data "$work/stamped.txt" -sha256 -cert -out "$work/stamp.tsq" 2>/dev/null
curl -sSf -H 'Content-Type: application/timestamp-query' --data-binary @"$work/stamp.tsq" "http://$network.2:8888/tsa" -o "$work/stamp.tsr"
openssl ts -verify -queryfile "$work/stamp.tsq" -in "$work/stamp.tsr" -CAfile "$work/ca.pem" -untrusted "$work/tsa.pem" >"$work/ts.txt" 2>&1 ||
    { cat "$work/ts.txt"; fail "ts -verify"; }
echo "something else" >"$work/else.txt"
! openssl ts -verify -data "$work/else.txt" -in "$work/stamp.tsr" -CAfile "$work/ca.pem" -untrusted "$work/tsa.pem" >/dev/null 2>&1 ||
    fail "ts -verify takes the stamp for something else"
openssl ts -reply -in "$work/stamp.tsr" -token_out -out "$work/stamp.token" 2>/dev/null
openssl cms -verify -inform DER -in "$work/stamp.token" -CAfile "$work/ca.pem" -certfile "$work/tsa.pem" -purpose timestampsign \
    -out "$work/tstinfo.der" >"$work/cms.txt" 2>&1 || { cat "$work/cms.txt"; fail "cms -verify"; }
openssl asn1parse -inform DER -in "$work/tstinfo.der" >"$work/asn1.txt"
grep -qi "$(openssl dgst -sha256 -r "$work/stamped.txt" | cut -d' ' -f1)" "$work/asn1.txt" || fail "cms: the digest is not in the token"
ok "ts and cms: a stamp of the authority is good"

# ---- s_server as a provider's server that is not what it should be

background "$work/relay.txt" python3 tests/kits/tls/ocsp_relay.py "$network.20" "$work/relay"
eventually 20 curl -s -o /dev/null "http://$network.20:5577/" || fail "the relay does not start"

# provider NAME EXPECTED ARGUMENTS...: a call to the server says EXPECTED, and no octet of the message arrives;
# or, where it is ARRIVES, the request is there.
provider() {
    local name=$1 expected=$2 code server; shift 2
    background "$work/$name.txt" openssl s_server -accept "$network.20:5500" -Verify 3 "$@"
    server=$last
    eventually 20 grep -q ACCEPT "$work/$name.txt" || { cat "$work/$name.txt"; fail "s_server does not start: $name"; }
    curl -s -m 30 -o "$work/$name.body" -D "$work/$name.head" -H 'X-Road-Client: CW/GOV/1001/permits' \
        "http://$network.11:8080/r1/CW/GOV/9001/right/$name" &
    local call=$!
    if [ "$expected" = ARRIVES ]; then
        eventually 20 grep -aq '^POST ' "$work/$name.txt" || { cat "$work/$name.txt" "$work/$name.body"; fail "s_server: $name: no request"; }
        grep -aq 'subject=.*CN = ss1' "$work/$name.txt" || { cat "$work/$name.txt"; fail "s_server: $name: no client certificate"; }
        kill "$server"
        wait "$call" || true
        expected=server.clientproxy.network_error
    else
        wait "$call" || fail "s_server: $name: no answer"
        kill "$server"
        ! grep -aq '^POST ' "$work/$name.txt" || fail "s_server: $name was sent the message"
    fi
    wait "$server" 2>/dev/null || true
    code=$(sed -n 's/^x-road-error: *\([^\r]*\)\r*$/\1/Ip' "$work/$name.head")
    case $code in
        $expected*) ok "s_server: $name: $code" ;;
        *) cat "$work/$name.head" "$work/$name.body"; fail "s_server: $name: $code instead of $expected" ;;
    esac
}
auth=server.clientproxy.ssl_authentication_failed
provider right ARRIVES $(with right)
provider key-on-a-curve ARRIVES $(with curve)
provider tls12-where-tls13-is-demanded server.clientproxy.access_denied.node_class_policy $(with right) -tls1_2
provider self-signed "$auth" $(with nobody)
provider unregistered "$auth" $(with stranger)
provider of-another-server "$auth" $(with other)
# With it the server sends the root too, for which there is no OCSP response.
provider with-the-root "$auth" $(with right) -CAfile "$work/ca.pem"
provider revoked "$auth" $(with revoked)
provider signing-certificate "$auth" $(with signing)
provider cbc-only "$auth" $(with right) -tls1_2 -cipher ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA256
provider tls11 "$auth" $(with right) -tls1_1 -cipher 'ALL:@SECLEVEL=0'
still_good "after s_server"
echo "openssl: $shown shown"
