# A pilot federation with keys of the kit's own in it; read by kits with `.`, at the top of the repository.
#
# Gives: $work (a folder of its own), $network, $pilot (the state folder), $causeway, and the functions below.
# The federation ends with the kit.

network=${CAUSEWAY_KIT_NETWORK:-127.0.61}
causeway=${CAUSEWAY:-target/release/causeway}
work=$(mktemp -d)
pilot=$work/pilot
children=()
# A standard input that stays open and says nothing: programs that read one end with it.
mkfifo "$work/silence"
exec 9<>"$work/silence"
shown=0

fail() { echo "FAILED: $*"; exit 1; }
ok() { shown=$((shown + 1)); echo "ok: $*"; }

end() {
    for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
    wait 2>/dev/null || true
    [ -n "${CAUSEWAY_KIT_KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap end EXIT

# background OUTPUT COMMAND...: runs until the kit ends; its process id is in $last.
background() {
    local output=$1; shift
    "$@" >"$output" 2>&1 <&9 &
    last=$!
    children+=("$last")
}

# Waits until a command succeeds, for up to so many seconds.
eventually() {
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

# start_pilot: three servers, an authority, a registry. A slow machine may need a second start.
start_pilot() {
    [ -x "$causeway" ] || cargo build --release --quiet
    for _ in 1 2 3; do
        background "$work/up.txt" "$causeway" up --network "$network" --state "$pilot"
        up=$last
        : >>"$work/up.txt"
        while kill -0 "$up" 2>/dev/null; do
            grep -q 'keeps running' "$work/up.txt" && return
            sleep 0.2
        done
    done
    cat "$work/up.txt"
    fail "the pilot does not start"
}

# stop_pilot: ends it as Ctrl-C does; the state stays.
stop_pilot() {
    kill "$up"
    wait "$up" 2>/dev/null || true
}

# new_key NAME KIND SUBJECT: a key in PEM and a request; KIND is rsa:BITS, or the name of a curve.
new_key() {
    local kind=(-newkey "$2")
    case $2 in rsa:*) ;; *) kind=(-newkey ec -pkeyopt "ec_paramgen_curve:$2") ;; esac
    openssl req -new "${kind[@]}" -nodes -keyout "$work/$1.key" -subj "$3" -outform DER -out "$work/$1.csr" 2>/dev/null
}

# enrol NAME USAGE KIND: a key, and a certificate by the pilot's authority; USAGE is auth, sign or tls.
enrol() {
    new_key "$1" "$3" "/C=CW/O=Kit/serialNumber=CW\/kit\/GOV/CN=$1"
    curl -sSf -H "Authorization: Bearer $(cat "$pilot/authority/operator-token")" --data-binary @"$work/$1.csr" \
        "http://$network.2:8888/sign?usage=$2" -o "$work/$1.pem" || fail "no certificate for $1"
}

# self_signed NAME SUBJECT: a key with a certificate by nobody.
self_signed() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -out "$work/$1.pem" -days 30 -subj "$2" 2>/dev/null
}

# register MEMBER HOST SUBSYSTEM CERTIFICATE...: a member with a server that has these authentication certificates.
register() {
    local member=$1 host=$2 subsystem=$3 files= name
    shift 3
    for name in "$@"; do
        cp "$work/$name.pem" "$pilot/registry/"
        files="$files${files:+, }\"$name.pem\""
    done
    cat >>"$pilot/registry/instance.toml" <<END

[[member]]
class = "GOV"
code = "$member"
name = "Kit $member"
[[member.subsystem]]
code = "$subsystem"
[[security-server]]
owner = "CW/GOV/$member"
code = "kit$member"
class = "state"
address = "$network.$host"
authentication-certificates = [$files]
clients = ["CW/GOV/$member/$subsystem"]
END
}

# A good exchange between two servers of the pilot, both ways.
good_exchange() {
    curl -sf -m 20 -o /dev/null -H 'X-Road-Client: CW/NDC/2001/hub' \
        "http://$network.12:8080/r1/CW/GOV/1001/vehicles/vehicles/29A-123.45" &&
        curl -sf -m 20 -o /dev/null -H 'X-Road-Client: CW/GOV/1001/permits' \
            "http://$network.11:8080/r1/CW/NDC/2001/population/persons/079200001234"
}

# still_good WHY: the servers live and serve.
still_good() {
    kill -0 "$up" 2>/dev/null || { cat "$work/up.txt"; fail "$1: the pilot ended"; }
    good_exchange || fail "$1: no good exchange any more"
    grep -l "panicked" "$pilot"/logs/*.log && fail "$1: a server panicked"
    ok "$1: good exchanges still go through"
}
