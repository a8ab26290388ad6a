#!/usr/bin/env bash
# A body of 5 GB in a request and one in an answer, through two servers whose memory must not grow.
#
# Needs: curl, 6 GB of disk below TMPDIR, addresses 127.0.8.x, a minute; CAUSEWAY_LARGE_BYTES chooses another
# size. May not: touch anything outside its own folder.
set -eu
cd "$(dirname "$0")/../.."
command -v curl >/dev/null || { echo "SKIPPED: curl is not installed"; exit 77; }
bytes=${CAUSEWAY_LARGE_BYTES:-5368709120}
causeway=${CAUSEWAY:-target/release/causeway}
[ -x "$causeway" ] || cargo build --release -q
work=$(mktemp -d)
"$causeway" up --network 127.0.8 --state "$work/pilot" >"$work/up.txt" 2>&1 &
pilot=$!
trap 'kill "$pilot" 2>/dev/null; wait; rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
for try in $(seq 150); do
    grep -q 'Ctrl-C stops' "$work/up.txt" && break
    kill -0 "$pilot" 2>/dev/null || { cat "$work/up.txt"; fail "the pilot"; }
    sleep 0.2
done

server() { pgrep -f "server --config $work/pilot/$1/" | head -n 1; }
resident() { awk '/VmRSS/ { print $2 }' "/proc/$1/status"; }
# Prints the most that a process holds until the file is gone.
watch() { while [ -e "$work/on" ]; do resident "$1"; sleep 0.1; done | sort -n | tail -n 1; }
consumer=$(server ministry) provider=$(server data-centre)
before_consumer=$(resident "$consumer") before_provider=$(resident "$provider")
touch "$work/on"
watch "$consumer" >"$work/consumer" & first=$!
watch "$provider" >"$work/provider" & second=$!

service=http://127.0.8.11:8080/r1/CW/NDC/2001/population/test
client='X-Road-Client: CW/GOV/1001/permits'
answer=$(head -c "$bytes" /dev/zero | curl -sS -T - -X POST -H "$client" -H 'Content-Type: application/octet-stream' \
    -w ' status %{http_code}, %{time_total} s' "$service/sink")
echo "request: $answer"
case $answer in *"$bytes"*"status 200"*) ;; *) fail "the service did not get all octets" ;; esac
answer=$(curl -sS -o /dev/null -H "$client" -w '%{size_download} status %{http_code}, %{time_total} s' \
    "$service/bytes/$bytes")
echo "answer: $answer"
case $answer in "$bytes status 200"*) ;; *) fail "the client did not get all octets" ;; esac

rm "$work/on"
wait "$first" "$second"
for side in consumer provider; do
    before=before_$side
    grown=$(($(cat "$work/$side") - ${!before}))
    echo "$side: ${!before} KiB before, $grown KiB more at most"
    [ "$grown" -le 16384 ] || fail "the memory of the $side's server grew by $grown KiB"
done
