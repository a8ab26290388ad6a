"""What kits in Python share: a pilot federation whose servers' files are changed as an operator would,
calls over HTTP, and checks that are counted.

Nothing of Causeway is used but its program and its interfaces.
"""

import atexit
import http.client
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Loopback addresses of the kits, which meet neither a pilot that is up nor the tests.
NETWORK = "127.0.60"
CONSUMER_SERVER = f"{NETWORK}.11"
SYSTEM = f"{NETWORK}.40"
OWNER = ("CW", "GOV", "1001")
CONSUMER = ("CW", "GOV", "1001", "permits")
PROVIDER = ("CW", "NDC", "2001", "population")
START_SECONDS = 120

counted = {"ok": 0, "skipped": 0}
# Folders of logs, whose ends are shown when a check fails.
logs = []


def check(what, good, detail=""):
    """Counts what is as it must be; the first that is not ends the kit."""
    if not good:
        for folder in logs:
            for name in sorted(os.listdir(folder)):
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    print(f"-- {name}", *file.readlines()[-8:], sep="\n", flush=True)
        sys.exit(f"FAILED: {what} {detail}")
    counted["ok"] += 1
    print(f"ok: {what}", flush=True)


def told(what, why):
    """What the outside program cannot do, and why."""
    counted["skipped"] += 1
    print(f"NOT SHOWN: {what}: {why}", flush=True)


def finish():
    print(f"{counted['ok']} passed, 0 failed, {counted['skipped']} not shown")


class Pilot:
    """A pilot federation with more in the files of its servers.

    `more` has, by the name of a server, the TOML to append: behind the server's last client."""

    def __init__(self, causeway, folder, more):
        self.causeway, self.folder = causeway, folder
        logs.append(os.path.join(folder, "logs"))
        self._run("--once")
        for server, text in more.items():
            with open(os.path.join(folder, server, "server.toml"), "a", encoding="utf-8") as file:
                file.write(text)

    def _command(self, *more):
        return [self.causeway, "up", "--state", self.folder, "--network", NETWORK, *more]

    def _run(self, *more):
        done = subprocess.run(self._command(*more), capture_output=True, text=True, timeout=2 * START_SECONDS)
        if done.returncode:
            sys.exit(f"FAILED: the pilot federation\n{done.stdout}{done.stderr}")

    def server_file(self, server):
        return os.path.join(self.folder, server, "server.toml")

    def start(self):
        self.process = subprocess.Popen(
            self._command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        atexit.register(self.stop)
        clock = threading.Timer(START_SECONDS, self.process.kill)
        clock.start()
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "keeps running" in line:
                clock.cancel()
                # What it still says must not fill the pipe.
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return self
        sys.exit("FAILED: the pilot federation does not start\n" + "".join(lines))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def call(method, path, body=None, headers=None, host=CONSUMER_SERVER, port=8080):
    """One request over HTTP, and the whole answer."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def serve(port, answer):
    """An information system. `answer` gets the method, the path, the headers and the body, and gives the
    status, the content type and the body of the answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            length = self.headers.get("Content-Length")
            if length is not None:
                body = self.rfile.read(int(length))
            else:
                body = b"".join(self.chunks())
            status, content_type, octets = answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        do_GET = do_POST = handle_any

        def chunks(self):
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((SYSTEM, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
