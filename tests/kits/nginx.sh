#!/usr/bin/env bash
# nginx as a TLS peer with client certificates: as the reverse proxy of an information system in front of port
# 8443, and as the HTTPS service of a provider, whose certificate is pinned. Real exchanges go through both.
#
# Needs: nginx 1.18 or later, openssl, curl, python3, addresses 127.0.61.x (CAUSEWAY_KIT_NETWORK names others);
# CAUSEWAY names a binary other than the release build.
# May not: use the system's nginx configuration, reach the network, or write outside a folder of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
for program in nginx openssl curl python3; do
    command -v "$program" >/dev/null || { echo "SKIPPED: $program is not installed"; exit 77; }
done
. tests/kits/tls/pilot.sh

# The first start makes the pilot; the second one runs it with the files as an operator would change them.
start_pilot
stop_pilot
self_signed system "/C=CW/CN=portal"
self_signed stranger "/C=CW/CN=portal"
self_signed provider "/C=CW/CN=registers"
self_signed other "/C=CW/CN=registers"
sed -i 's|"CW/GOV/1001/permits", |&"CW/GOV/1001/portal", |; s|"CW/NDC/2001/hub", |&"CW/NDC/2001/registers", |
    s|^code = "permits"|code = "portal"\n[[member.subsystem]]\n&|; s|^code = "hub"|code = "registers"\n[[member.subsystem]]\n&|' \
    "$pilot/registry/instance.toml"
cp "$work/system.pem" "$pilot/ministry/"
cat >>"$pilot/ministry/server.toml" <<END

[[client]]
id = "CW/GOV/1001/portal"
connection = "https"
certificates = ["system.pem"]
END
cp "$work/provider.pem" "$pilot/data-centre/"
cat >>"$pilot/data-centre/server.toml" <<END

[[client]]
id = "CW/NDC/2001/registers"
connection = "https"
certificates = ["provider.pem"]
END
for service in "pinned 9443" "other 9444"; do
    set -- $service
    cat >>"$pilot/data-centre/server.toml" <<END
[[client.service]]
code = "$1"
url = "https://$network.31:$2"
timeout-seconds = 20
allow = [{ client = "CW/GOV/1001/portal" }]
END
done
cat >>"$pilot/data-centre/server.toml" <<END
[[client.service]]
type = "soap"
code = "query"
url = "https://$network.31:9443/soap"
timeout-seconds = 20
allow = [{ client = "CW/GOV/1001/portal" }]
END

# The certificates that the two servers show to information systems, and to providers.
front_certificate=$(find "$pilot/ministry" -name internal.crt)
back_certificate=$(find "$pilot/data-centre" -name internal.crt)
mkdir "$work/nginx"
# nginx keeps TLS sessions by address, not by certificate: without its last line one server here would go on
# with the session, and so with the certificate, of another.
front() { cat <<END
    server { listen $network.30:$1; location / {
        proxy_pass https://$network.11:8443; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ssl_protocols $2;
        proxy_ssl_verify on; proxy_ssl_trusted_certificate $front_certificate; proxy_ssl_name $network.11;
        ${3:+proxy_ssl_certificate $work/$3.pem; proxy_ssl_certificate_key $work/$3.key;}
        proxy_ssl_session_reuse off;
    } }
END
}
back() { cat <<END
    server { listen $network.31:$1 ssl; ssl_certificate $work/$2.pem; ssl_certificate_key $work/$2.key;
        ssl_protocols TLSv1.2 TLSv1.3; ssl_verify_client optional_no_ca; ssl_verify_depth 0;
        if (\$ssl_client_fingerprint != "$fingerprint") { return 403; }
        location / { proxy_pass http://$network.22:9000; proxy_http_version 1.1; proxy_set_header Connection "";
            add_header X-Peer "\$ssl_protocol \$ssl_client_fingerprint"; }
    }
END
}
fingerprint=$(openssl x509 -in "$back_certificate" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g' | tr A-F a-f)
{
    cat <<END
daemon off; master_process off; pid $work/nginx/pid; error_log $work/nginx/error.log info;
events { worker_connections 256; }
http {
    access_log $work/nginx/access.log; client_max_body_size 0; proxy_request_buffering off;
    client_body_temp_path $work/nginx/b; proxy_temp_path $work/nginx/p; fastcgi_temp_path $work/nginx/f;
    uwsgi_temp_path $work/nginx/u; scgi_temp_path $work/nginx/s;
END
    front 8001 "TLSv1.3" system
    front 8002 "TLSv1.2" system
    front 8003 "TLSv1.3" ""
    front 8004 "TLSv1.3" stranger
    back 9443 provider
    back 9444 other
    echo "}"
} >"$work/nginx/nginx.conf"
background "$work/nginx/out.txt" nginx -c "$work/nginx/nginx.conf" -e stderr
nginx=$last
start_pilot
kill -0 "$nginx" || { cat "$work/nginx/out.txt"; fail "nginx does not start"; }

# call PORT SERVICE ARGUMENTS...: a call through nginx; the answer is in $work/answer, its head in $work/head.
call() {
    local port=$1 service=$2; shift 2
    status=$(curl -s -m 60 -o "$work/answer" -D "$work/head" -w '%{http_code}' -H 'X-Road-Client: CW/GOV/1001/portal' "$@" \
        "http://$network.30:$port/r1/CW/NDC/2001/registers/$service") || status=none
}
# answered WHAT STATUS: the last call had this status.
answered() {
    [ "$status" = "$2" ] || { cat "$work/head" "$work/answer" "$work/nginx/error.log"; fail "$1"; }
    ok "$1"
}
# told WHAT CODE: the last call was refused with this code.
told() {
    local code
    code=$(sed -n 's/^x-road-error: *\([^\r]*\)\r*$/\1/Ip' "$work/head")
    case $code in
        $2*) ok "$1: $code" ;;
        *) cat "$work/head" "$work/answer" "$work/nginx/error.log"; fail "$1: $code instead of $2" ;;
    esac
}

ready() { call 8001 pinned/vehicles/29A-123.45; [ "$status" = 200 ]; }
eventually 60 ready || true
answered "nginx in front of 8443 and behind the provider's server: GET" 200
grep -q VinFast "$work/answer" || fail "not the vehicle"
grep -qi "^x-peer: TLSv1.3 $fingerprint" "$work/head" || { cat "$work/head"; fail "the provider's system did not see our certificate"; }
ok "the provider's nginx saw the certificate of the server"
head -c 3000000 /dev/urandom >"$work/large"
for port in 8001 8002; do
    call $port pinned/echo -X POST -H 'Content-Type: application/octet-stream' --data-binary @"$work/large"
    answered "3 MB there and back, port $port" 200
    cmp -s "$work/large" "$work/answer" || fail "the body is another"
    call $port pinned/echo -X POST -H 'Content-Type: application/octet-stream' -H 'Transfer-Encoding: chunked' --data-binary @"$work/large"
    answered "3 MB in chunks, port $port" 200
    cmp -s "$work/large" "$work/answer" || fail "the body is another"
done
for _ in $(seq 50); do call 8001 pinned/vehicles/29A-123.45; [ "$status" = 200 ] || break; done
answered "fifty calls one after the other" 200

cat >"$work/query.xml" <<END
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xro="http://x-road.eu/xsd/xroad.xsd" xmlns:iden="http://x-road.eu/xsd/identifiers">
<soapenv:Header><xro:protocolVersion>4.0</xro:protocolVersion><xro:id>nginx-1</xro:id>
<xro:client iden:objectType="SUBSYSTEM"><iden:xRoadInstance>CW</iden:xRoadInstance><iden:memberClass>GOV</iden:memberClass><iden:memberCode>1001</iden:memberCode><iden:subsystemCode>portal</iden:subsystemCode></xro:client>
<xro:service iden:objectType="SERVICE"><iden:xRoadInstance>CW</iden:xRoadInstance><iden:memberClass>NDC</iden:memberClass><iden:memberCode>2001</iden:memberCode><iden:subsystemCode>registers</iden:subsystemCode><iden:serviceCode>query</iden:serviceCode></xro:service>
</soapenv:Header><soapenv:Body><q:query xmlns:q="urn:causeway:sample">29A-123.45</q:query></soapenv:Body></soapenv:Envelope>
END
status=$(curl -s -m 60 -o "$work/answer" -D "$work/head" -w '%{http_code}' -H 'Content-Type: text/xml' \
    --data-binary @"$work/query.xml" "http://$network.30:8001/")
answered "SOAP through both" 200
grep -q requestHash "$work/answer" && ! grep -qi '<faultcode' "$work/answer" || { cat "$work/answer"; fail "SOAP through both"; }
ok "the answer over SOAP is signed for"

call 8003 pinned/vehicles/29A-123.45
told "nginx without a certificate" server.clientproxy.ssl_authentication_failed
call 8004 pinned/vehicles/29A-123.45
told "nginx with the certificate of nobody" server.clientproxy.ssl_authentication_failed
curl -s -m 60 -o "$work/answer" -D "$work/head" -H 'X-Road-Client: CW/GOV/1001/portal' \
    "http://$network.11:8080/r1/CW/NDC/2001/registers/pinned/vehicles/29A-123.45"
told "around nginx, over HTTP" server.clientproxy.ssl_authentication_failed
seen=$(grep -c '"GET /vehicles' "$work/nginx/access.log")
call 8001 other/vehicles/29A-123.45
told "a provider's nginx whose certificate is not pinned" server.serverproxy.ssl_authentication_failed
[ "$(grep -c '"GET /vehicles' "$work/nginx/access.log")" = "$seen" ] || fail "that nginx was sent the request"
kill "$nginx"; wait "$nginx" 2>/dev/null || true
background "$work/nginx/out.txt" nginx -c "$work/nginx/nginx.conf" -e stderr
sleep 1
call 8001 pinned/vehicles/29A-123.45
answered "after nginx started again, the next call is good" 200
still_good "at the end"
echo "nginx: $shown shown"
