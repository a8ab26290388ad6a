"""What port 5577 of a security server gives its peers: the OCSP responses of its own certificates.

usage: ocsp_relay.py ADDRESS FOLDER

For each NAME.der in the folder NAME.ocsp is its response; without one the answer is status 500.
"""

import hashlib
import http.server
import pathlib
import sys
import urllib.parse

address, folder = sys.argv[1], pathlib.Path(sys.argv[2])


class Relay(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("cert", [])
        known = {hashlib.sha1(file.read_bytes()).hexdigest(): file for file in folder.glob("*.der")}
        body = b""
        for name in wanted:
            response = known[name].with_suffix(".ocsp") if name in known else None
            if response is None or not response.exists():
                self.send_error(500)
                return
            body += b"--kit\r\nContent-Type: application/ocsp-response\r\n\r\n" + response.read_bytes() + b"\r\n"
        body += b"--kit--\r\n"
        self.send_response(200)
        self.send_header("Content-Type", 'multipart/related; type="application/ocsp-response"; boundary=kit')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer((address, 5577), Relay).serve_forever()
