#!/usr/bin/env bash
# Encrypted archives, read by GnuPG: keys made by gpg are used by `causeway log archive`, and what comes
# out is decrypted and its signature checked by gpg; the zips inside are one chain.
#
# Needs: gpg 2.2 or later, python3, addresses 127.0.9.x; or, in CAUSEWAY_LOG_FOLDER, a message log that has
# time-stamps.
# May not: touch the caller's key ring, or the network.
set -eu
cd "$(dirname "$0")/../.."

for program in gpg python3; do
    command -v "$program" >/dev/null || { echo "SKIPPED: $program is not installed"; exit 77; }
done
causeway=${CAUSEWAY:-target/release/causeway}
[ -x "$causeway" ] || cargo build --release -q
work=$(mktemp -d)
export GNUPGHOME=$work/gnupg
mkdir -m 700 "$GNUPGHOME"
pilot=
trap '[ -z "$pilot" ] || kill "$pilot" 2>/dev/null; wait; gpgconf --kill all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
gpg() { command gpg --batch --quiet --no-tty "$@"; }

log=${CAUSEWAY_LOG_FOLDER:-}
if [ -z "$log" ]; then
    "$causeway" up --network 127.0.9 --state "$work/pilot" >"$work/up.txt" 2>&1 &
    pilot=$!
    # The first regular time-stamps come after a minute; what follows works on the log of a running server.
    for try in $(seq 60); do
        sleep 5
        kill -0 "$pilot" 2>/dev/null || { cat "$work/up.txt"; fail "the pilot"; }
        log=$(find "$work/pilot" -type d -name messagelog | sort | head -n 1)
        [ -n "$log" ] || continue
        "$causeway" log archive --log "$log" --to "$work/first" >>"$work/first.txt" 2>/dev/null || true
        [ -s "$work/first.txt" ] && break
    done
    [ -s "$work/first.txt" ] || { cat "$work/up.txt"; fail "no record got its time-stamp"; }
    configuration=$(find "$work/pilot" -type d -name globalconf | sort | head -n 1)
    "$causeway" verify --previous - --configuration "$configuration" $(cat "$work/first.txt") >"$work/verify.txt" ||
        { cat "$work/verify.txt"; fail "archives of the pilot"; }
    echo "ok: $(grep -c '  ok   .*asice' "$work/verify.txt") containers in archives of a running server are valid"
fi

# Keys as GnuPG makes them: of both kinds that are in use, and one with an expiry.
for key in "rsa3072 member" "future-default auditor"; do
    set -- $key
    gpg --passphrase '' --quick-generate-key "$2 <$2@example.org>" "$1" default 2y
    if [ "$1" = rsa3072 ]; then
        gpg --passphrase '' --quick-add-key "$(gpg --list-keys --with-colons "$2" | awk -F: '/^fpr/{print $10; exit}')" rsa3072 encr 2y
    fi
    gpg --export --armor "$2" >"$work/$2.asc"
done
gpg --passphrase '' --quick-generate-key "server <server@example.org>" ed25519 sign never
(umask 077; gpg --export-secret-keys --armor server >"$work/server.asc")

member=$("$causeway" log list --log "$log" --json --limit 1 2>/dev/null |
    python3 -c 'import json,sys; r = json.loads(sys.stdin.readline()); i = r["client"] if r["side"] == "consumer" else "/".join(r["service"].split("/")[:4]); print("/".join(i.split("/")[:3]))')

# check NAME FOLDER READER ARGUMENTS: archives with the arguments; the reader, and nobody else, decrypts.
check() {
    name=$1 reader=$2; shift 2
    out=$work/$name
    "$causeway" log archive --log "$log" --to "$out" "$@" >"$work/files.txt" 2>"$work/errors.txt" ||
        { cat "$work/errors.txt"; fail "$name: log archive"; }
    [ -s "$work/files.txt" ] || fail "$name: no archives"
    mkdir "$out/plain"
    while read -r file; do
        case $file in *.zip.gpg) ;; *) fail "$name: $file is not encrypted" ;; esac
        status=$(command gpg --batch --no-tty --status-fd 1 --output "$out/plain/$(basename "$file" .gpg)" --decrypt "$file" 2>"$work/gpg.txt") ||
            { cat "$work/gpg.txt"; fail "$name: gpg does not decrypt"; }
        echo "$status" | grep -q GOODSIG || fail "$name: no good signature: $status"
        echo "$status" | grep -q DECRYPTION_OKAY || fail "$name: $status"
        # DECRYPTION_INFO: integrity protection 2 or an AEAD mode, cipher 9 is AES-256.
        echo "$status" | grep -Eq 'DECRYPTION_INFO [0-9]+ 9' || fail "$name: not AES-256: $status"
        for id in $(echo "$status" | awk '/ENC_TO/{print $3}'); do
            gpg --list-keys --with-colons "$id" | grep -q "uid.*$reader" || fail "$name: encrypted to another key"
        done
    done <"$work/files.txt"
    "$causeway" verify --chain-only "$out"/plain/*.zip >"$work/verify.txt" || { cat "$work/verify.txt"; fail "$name: the chain"; }
    echo "ok: $name: $(wc -l <"$work/files.txt") archives read by $reader"
}
check default auditor --signing-key "$work/server.asc" --default-key "$work/auditor.asc"

# By member: its own archives are for it, the others for the auditor.
"$causeway" log archive --log "$log" --to "$work/grouped" --grouping member --signing-key "$work/server.asc" \
    --default-key "$work/auditor.asc" --member-key "$member=$work/member.asc" >"$work/files.txt" 2>/dev/null
part=$(echo "$member" | tr / _)
while read -r file; do
    case $file in *"mlog-$part-"*) reader=member ;; *) reader=auditor ;; esac
    status=$(command gpg --batch --no-tty --status-fd 1 --output /dev/null --yes --decrypt "$file" 2>/dev/null) || fail "$file"
    id=$(echo "$status" | awk '/ENC_TO/{print $3; exit}')
    gpg --list-keys --with-colons "$id" | grep -q "uid.*$reader" || fail "$file is not for $reader"
done <"$work/files.txt"
grep -q "mlog-$part-" "$work/files.txt" || fail "no archive of $member"
echo "ok: archives of $member are for its key, the rest for the default"

# A key that the server makes itself is one that GnuPG takes.
"$causeway" log archive --log "$log" --to "$work/own" --signing-key "$work/own.asc" >"$work/files.txt" 2>/dev/null
gpg --import "$work/own.asc"
while read -r file; do
    gpg --output /dev/null --yes --decrypt "$file" 2>"$work/gpg.txt" || { cat "$work/gpg.txt"; fail "own key"; }
done <"$work/files.txt"
echo "ok: archives for the server's own key"
