"""Handshakes that port 5500 must refuse, and some that it must take, made with tlslite-ng and by hand.

usage: handshakes.py HOST WORK_FOLDER (with right.pem, right.key, stranger.pem, stranger.key)

A case is refused when the server ends the connection, or says an alert, without an octet of HTTP. After every
case a good handshake with a request must be answered.
"""

import os
import socket
import struct
import sys
import threading
import time

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import ContentType
from tlslite.errors import TLSAbruptCloseError, TLSError, TLSRemoteAlert
from tlslite.messages import Certificate, CertificateVerify, Finished, Message

host, work = sys.argv[1:3]
REQUEST = b"GET / HTTP/1.1\r\nHost: kit\r\nConnection: close\r\n\r\n"
# A server that keeps a connection this long without a complete handshake is held up by it.
PATIENCE = 45
cases = 0


def credentials(name, key=None):
    chain = X509CertChain()
    with open(f"{work}/{name}.pem") as file:
        chain.parsePemList(file.read())
    with open(f"{work}/{key or name}.key") as file:
        return chain, parsePEMKey(file.read(), private=True)


RIGHT, STRANGER, NOT_ITS_KEY = credentials("right"), credentials("stranger"), credentials("right", "stranger")


def settings(version, **more):
    made = HandshakeSettings()
    made.minVersion = made.maxVersion = version
    # It would send a compressed certificate without having been asked for one.
    made.certificate_compression_send = []
    for name, value in more.items():
        setattr(made, name, value)
    return made


TLS12, TLS13 = settings((3, 3)), settings((3, 4))


def dial():
    made = socket.create_connection((host, 5500), timeout=PATIENCE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def ends(read):
    """What the server says until it ends the connection: octets, or the name of what happened."""
    said = b""
    try:
        while True:
            octets = read()
            if not octets:
                return said, "closed"
            said += bytes(octets)
    except TLSRemoteAlert as alert:
        return said, f"alert {alert}"
    except (TLSAbruptCloseError, ConnectionError):
        return said, "closed"
    except TLSError as error:
        return said, f"{type(error).__name__}: {error}"


def report(name, said, how):
    global cases
    if b"HTTP/1." in said:
        sys.exit(f"FAILED: {name}: the request was answered")
    good()
    cases += 1
    print(f"ok: {name}: {how}", flush=True)


def good(version=TLS13, who=RIGHT):
    """A good handshake and a request, which is no message, so the answer is a fault."""
    with dial() as stream:
        connection = TLSConnection(stream)
        connection.handshakeClientCert(*who, settings=version)
        connection.sendall(REQUEST)
        said, how = ends(lambda: connection.recv(4096))
        if not said.startswith(b"HTTP/1.1 200"):
            sys.exit(f"FAILED: a good handshake: {said[:200]!r}, {how}")


def raw(name, *pieces, pause=0.0, end=False):
    """Octets as they are; the server must end the connection."""
    with dial() as stream:
        try:
            for piece in pieces:
                stream.sendall(piece)
                time.sleep(pause)
            if end:
                stream.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            said, how = ends(lambda: stream.recv(4096))
        except TimeoutError:
            sys.exit(f"FAILED: {name}: the server waits for more than {PATIENCE} s")
    alerts = said[5:7] if said[:1] == b"\x15" and len(said) >= 7 else b""
    report(name, said, f"alert {alerts[1]}, {how}" if alerts else how)


def handshake(name, client, who=RIGHT, version=TLS12):
    """A handshake by a client that does something wrong; then a request that must not be answered."""
    with dial() as stream:
        connection = client(stream)
        said = b""
        try:
            if who is None:
                connection.handshakeClientCert(settings=version)
            else:
                connection.handshakeClientCert(*who, settings=version)
            connection.sendall(REQUEST)
            said, how = ends(lambda: connection.recv(4096))
        except TLSRemoteAlert as alert:
            how = f"alert {alert}"
        except TimeoutError:
            sys.exit(f"FAILED: {name}: the server waits for more than {PATIENCE} s")
        except (TLSError, ConnectionError) as error:
            how = f"closed ({type(error).__name__})"
    report(name, said, how)


def client_hello(version=TLS12):
    """The record with the first message of a client."""
    taken = bytearray()

    class Taken(Exception):
        pass

    class Tap:
        def send(self, octets):
            taken.extend(octets)
            return len(octets)

        def sendall(self, octets):
            taken.extend(octets)

        def recv(self, _):
            raise Taken

        def __getattr__(self, _):
            return lambda *_: None

    try:
        TLSConnection(Tap()).handshakeClientCert(*RIGHT, settings=version)
    except Taken:
        pass
    return bytes(taken)


def record(kind, body, version=b"\x03\x03"):
    return bytes([kind]) + version + struct.pack(">H", len(body)) + body


def in_records(body, size):
    return b"".join(record(22, body[at:at + size], b"\x03\x01") for at in range(0, len(body), size))


class Wrong(TLSConnection):
    """Changes or leaves out messages on their way to the server."""

    def change(self, message):
        return [message]

    def _sendMsg(self, message, *arguments, **more):
        for changed in self.change(message):
            yield from super()._sendMsg(changed, *arguments, **more)


def wrong(change):
    return type("Changed", (Wrong,), {"change": lambda self, message: change(message)})


def without(kind):
    return wrong(lambda message: [] if isinstance(message, kind) else [message])


def damaged(kind, field):
    def change(message):
        if isinstance(message, kind):
            value = bytearray(getattr(message, field))
            value[-1] ^= 1
            setattr(message, field, value)
        return [message]
    return wrong(change)


def twice(kind):
    return wrong(lambda message: [message, message] if isinstance(message, kind) else [message])


def instead(kind, *messages):
    return wrong(lambda message: list(messages) if isinstance(message, kind) else [message])


hello = client_hello()
body = hello[5:]

# The registration of our certificate takes a moment.
for _ in range(120):
    try:
        good()
        break
    except (TLSError, OSError):
        time.sleep(0.5)

# What must be taken, so that the refusals below have a reason.
for version in (TLS12, TLS13):
    good(version)
for size in (1, 7, 64):
    with dial() as stream:
        stream.sendall(in_records(body, size))
        if stream.recv(1) != b"\x16":
            sys.exit(f"FAILED: a hello in records of {size} octets")
    print(f"ok: a hello in records of {size} octets is answered")
with dial() as stream:
    for octet in hello:
        stream.sendall(bytes([octet]))
        time.sleep(0.005)
    if stream.recv(1) != b"\x16":
        sys.exit("FAILED: a hello octet by octet")
print("ok: a hello that comes octet by octet is answered")

# Who can TLS 1.3 and was made to say 1.2 must find it out: the server's random ends with the mark (RFC 8446
# §4.1.3). The older signal of clients (RFC 7507) is not looked at.
with dial() as stream:
    stream.sendall(client_hello(TLS12))
    answer = stream.recv(43)
    if answer[35:43] != b"DOWNGRD\x01":
        sys.exit(f"FAILED: no mark against a downgrade: {answer.hex()}")
print("ok: an answer over TLS 1.2 carries the mark against a downgrade")

# Octets that are no handshake.
raw("nothing at all, then the end", end=True)
raw("HTTP without TLS", REQUEST)
raw("noise", os.urandom(600), end=True)
raw("zeros", bytes(5000))
raw("an SSL 2 hello", bytes.fromhex("802e0100020015000000100100800300800700c0060040020080040080") + bytes(18))
for kind, what in ((20, "change of cipher"), (21, "alert of no level"), (23, "application data"), (24, "heartbeat"), (255, "unknown")):
    raw(f"first record is of type {kind} ({what})", record(kind, b"\xff\xff" if kind == 21 else body[:40]), end=True)
raw("record version 2.0", hello[:1] + b"\x02\x00" + hello[3:], end=True)
raw("an alert that ends all", record(21, b"\x02\x28"))
raw("a heartbeat that lies about its length", hello, record(24, b"\x01\x40\x00"), end=True)

# Lengths.
for length in (1, 4, 5, 6, len(hello) // 2, len(hello) - 1):
    raw(f"a hello cut at octet {length}", hello[:length], end=True)
raw("a record of 65,535 octets", hello[:3] + b"\xff\xff" + os.urandom(0xFFFF), end=True)
raw("a record of 18,433 octets", hello[:3] + struct.pack(">H", 18433) + bytes(18433), end=True)
raw("an empty record", record(22, b"", b"\x03\x01") * 4, end=True)
raw("two thousand empty records", record(22, b"", b"\x03\x01") * 2000, end=True)
raw("a hello of 16 MB by its own length", record(22, body[:1] + b"\xff\xff\xff" + body[4:], b"\x03\x01"), bytes(0), end=True)
raw("a hello of 16 MB, sent", *[record(22, (body[:1] + b"\xff\xff\xff" if n == 0 else b"") + bytes(16000), b"\x03\x01") for n in range(64)])
raw("a hello shorter than its length", record(22, body[:1] + struct.pack(">I", len(body) - 5)[1:] + body[4:], b"\x03\x01"), end=True)
session = 4 + 2 + 32
raw("a session id longer than the hello", record(22, body[:session] + b"\xff" + body[session + 1:], b"\x03\x01"), end=True)
suites = session + 1 + body[session]
raw("an odd list of suites", record(22, body[:suites] + b"\x00\x03" + body[suites + 2:], b"\x03\x01"), end=True)
raw("a list of suites past the end", record(22, body[:suites] + b"\xff\xfe" + body[suites + 2:], b"\x03\x01"), end=True)
methods = suites + 2 + struct.unpack(">H", body[suites:suites + 2])[0]
extensions = methods + 1 + body[methods]
raw("compression only", record(22, body[:methods] + b"\x01\x01" + body[extensions:], b"\x03\x01"), end=True)
raw("extensions past the end", record(22, body[:extensions] + b"\xff\xff" + body[extensions + 2:], b"\x03\x01"), end=True)


def hello_with(extra):
    whole = body[4:extensions] + struct.pack(">H", len(body) - extensions - 2 + len(extra)) + body[extensions + 2:] + extra
    return record(22, body[:1] + struct.pack(">I", len(whole))[1:] + whole, b"\x03\x01")


raw("an extension twice", hello_with(b"\x00\x0a\x00\x04\x00\x02\x00\x17" * 2), end=True)
raw("an extension with a lying length", hello_with(b"\xfe\xed\x00\x09abc"), end=True)

# Messages in the wrong place.
for kind, what in ((0, "hello request"), (2, "server's hello"), (11, "certificate"), (14, "hello done"), (16, "key exchange"),
                   (20, "finished"), (99, "unknown")):
    raw(f"first message is of type {kind} ({what})", record(22, bytes([kind]) + body[1:], b"\x03\x01"), end=True)
raw("two hellos", hello + hello, end=True)
raw("finished after the hello", hello + record(22, b"\x14\x00\x00\x0c" + bytes(12)), end=True)
raw("application data after the hello", hello + record(23, REQUEST), end=True)
raw("an alert that ends all, after the hello", hello, record(21, b"\x02\x50"))
for text in (b"\x03\x00", b"\x03\x01", b"\x03\x02"):
    raw(f"version 3.{text[1]} is the newest offered", record(22, body[:4] + text + body[6:], b"\x03\x01"), end=True)

# Certificates and proofs.
for version, title in ((TLS12, "TLS 1.2"), (TLS13, "TLS 1.3")):
    handshake(f"{title}: no certificate", TLSConnection, None, version)
    handshake(f"{title}: a certificate that is not registered", TLSConnection, STRANGER, version)
    handshake(f"{title}: a certificate with the key of another", TLSConnection, NOT_ITS_KEY, version)
    handshake(f"{title}: a certificate without proof", without(CertificateVerify), RIGHT, version)
    handshake(f"{title}: a damaged proof", damaged(CertificateVerify, "signature"), RIGHT, version)
    handshake(f"{title}: the proof twice", twice(CertificateVerify), RIGHT, version)
    handshake(f"{title}: no certificate message", without(Certificate), RIGHT, version)
    handshake(f"{title}: the certificate twice", twice(Certificate), RIGHT, version)
    handshake(f"{title}: a certificate that is noise", instead(Certificate, Message(ContentType.handshake, bytearray(
        b"\x0b\x00\x00\x26\x00\x00\x23\x00\x00\x20" + os.urandom(32)))), RIGHT, version)
    handshake(f"{title}: a certificate of 16 MB by its length", instead(Certificate, Message(
        ContentType.handshake, bytearray(b"\x0b\xff\xff\xff\xff\xff\xfc\xff\xff\xf9" + bytes(100)))), RIGHT, version)
    handshake(f"{title}: a damaged end", damaged(Finished, "verify_data"), RIGHT, version)
    handshake(f"{title}: no end", without(Finished), RIGHT, version)
    handshake(f"{title}: CBC or nothing", TLSConnection, RIGHT, settings((3, 3), cipherNames=["aes256", "aes128"]))
for version in ((3, 0), (3, 1), (3, 2)):
    handshake(f"version 3.{version[1]} only", TLSConnection, RIGHT, settings(version))
handshake("a compressed certificate that nobody asked for", TLSConnection, RIGHT, settings(
    (3, 4), certificate_compression_send=["zlib"]))
handshake("key exchange by RSA", TLSConnection, RIGHT, settings((3, 3), keyExchangeNames=["rsa"]))
handshake("signatures with SHA-1 only", TLSConnection, RIGHT, settings(
    (3, 3), rsaSigHashes=["sha1"], ecdsaSigHashes=["sha1"], rsaSchemes=["pkcs1"], more_sig_schemes=[]))

# A handshake within a connection.
with dial() as stream:
    connection = TLSConnection(stream)
    connection.handshakeClientCert(*RIGHT, settings=TLS12)
    for _ in connection._sendMsg(Message(ContentType.handshake, bytearray(body))):
        pass
    connection.sendall(REQUEST)
    said, how = ends(lambda: connection.recv(4096))
# A warning (no renegotiation) and an answer on the connection as it was would be right as well.
if b"HTTP/1." in said and b"200" not in said[:15]:
    sys.exit(f"FAILED: renegotiation: {said[:100]!r}")
report("renegotiation by the client", b"", how)

# Slow ones: many at once, none may hold the others up, and each is ended in the end.
slow = [dial() for _ in range(40)]
for number, stream in enumerate(slow):
    stream.sendall(hello[:number % len(hello)])
begun = time.monotonic()
good()
print(f"ok: 40 handshakes that stand still do not hold up a good one ({time.monotonic() - begun:.1f} s)", flush=True)
ended = []


def trickle(stream, more):
    """Sends an octet each second, for as long as the server takes it."""
    try:
        stream.settimeout(1)
        while time.monotonic() - begun < 3 * PATIENCE:
            try:
                if not stream.recv(100):
                    break
            except TimeoutError:
                if more:
                    stream.sendall(more[:1])
                    more = more[1:]
        else:
            return
    except OSError:
        pass
    ended.append(time.monotonic() - begun)


threads = [threading.Thread(target=trickle, args=(stream, hello[number:] if number % 2 else b"")) for number, stream in enumerate(slow)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if len(ended) != len(slow):
    sys.exit(f"FAILED: {len(slow) - len(ended)} of {len(slow)} slow handshakes are never ended")
print(f"ok: all of them are ended, the last after {max(ended):.0f} s")
good()
print(f"tlslite: {cases} wrong handshakes refused, a good one after each")
