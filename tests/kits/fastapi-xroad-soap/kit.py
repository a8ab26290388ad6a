"""Calls the provider of provider.py through two Causeway servers and checks every answer.

usage: kit.py CAUSEWAY WORK_FOLDER
"""

import atexit
import base64
import email.parser
import email.policy
import hashlib
import os
import subprocess
import sys
import time
import uuid

from lxml import etree
from pilot import CONSUMER, PROVIDER, SYSTEM, Pilot, call, check, finish

causeway, work = sys.argv[1:3]
PORT = 9100
URL = f"http://{SYSTEM}:{PORT}/documents"
ENVELOPE = "{http://schemas.xmlsoap.org/soap/envelope/}"
XROAD = "{http://x-road.eu/xsd/xroad.xsd}"
# As the library writes it in its WSDL.
VERSION = "v1"
SERVICES = ["greetPerson", "measureFiles", "issueFiles"]


def start_provider():
    script = os.path.join(os.path.dirname(__file__), "provider.py")
    provider = subprocess.Popen([sys.executable, script, SYSTEM, str(PORT)])
    atexit.register(provider.kill)
    for _ in range(600):
        try:
            return call("GET", "/documents?wsdl", host=SYSTEM, port=PORT)
        except OSError:
            time.sleep(0.1)
    sys.exit("FAILED: the provider does not start")


def identifier(parts, *service):
    names = ["xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode", "serviceVersion"]
    values = [*parts, *service]
    return "".join(f"<iden:{name}>{value}</iden:{name}>" for name, value in zip(names, values))


def envelope(service, body, message_id):
    # The library reads the namespaces of the envelope with a pattern that finds none behind an XML declaration.
    return (
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xro="http://x-road.eu/xsd/xroad.xsd" xmlns:iden="http://x-road.eu/xsd/identifiers">'
        f'<soapenv:Header><xro:client iden:objectType="SUBSYSTEM">{identifier(CONSUMER)}</xro:client>'
        f'<xro:service iden:objectType="SERVICE">{identifier(PROVIDER, service, VERSION)}</xro:service>'
        f"<xro:userId>VN079200001234</xro:userId><xro:id>{message_id}</xro:id>"
        "<xro:protocolVersion>4.0</xro:protocolVersion></soapenv:Header>"
        f"<soapenv:Body><{service}>{body}</{service}></soapenv:Body></soapenv:Envelope>"
    ).encode()


class Message:
    """An answer, taken apart by Python's own reader of MIME."""

    def __init__(self, answer, message_id, octets):
        self.content_type = answer.headers.get("Content-Type", "")
        head = f"MIME-Version: 1.0\r\nContent-Type: {self.content_type}\r\n\r\n".encode()
        mail = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.body)
        if mail.is_multipart():
            parts = [part for part in mail.walk() if not part.is_multipart()]
            self.defects = [defect for part in mail.walk() for defect in part.defects]
            self.root, self.attachments = parts[0].get_payload(decode=True), parts[1:]
        else:
            self.root, self.attachments, self.defects = answer.body, [], []
        self.tree = etree.fromstring(self.root)
        self.fault = self.tree.find(f".//{ENVELOPE}Fault")
        if self.fault is None:
            check("the answer has the id of the request",
                  self.tree.findtext(f"{ENVELOPE}Header/{XROAD}id") == message_id)
            stamp = self.tree.find(f"{ENVELOPE}Header/{XROAD}requestHash")
            check("and the hash of the request", stamp is not None and base64.b64decode(stamp.text)
                  == hashlib.new(stamp.get("algorithmId").rsplit("#")[-1], octets).digest())

    def texts(self, name):
        return [element.text for element in self.tree.iter(name)]


def ask(service, body, files=(), encoding="binary", action=None):
    message_id = uuid.uuid4().hex
    octets = envelope(service, body, message_id)
    headers = {"SOAPAction": f'"{action or service}"', "Content-Type": "text/xml; charset=UTF-8"}
    request = octets
    if files:
        boundary = "kit-" + uuid.uuid4().hex
        headers["Content-Type"] = f'multipart/related; type="text/xml"; start="<root>"; boundary="{boundary}"'
        pieces = [b"Content-Type: text/xml; charset=UTF-8\r\nContent-ID: <root>\r\n\r\n" + octets]
        for cid, name, content in files:
            head = (
                f"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: {encoding}\r\n"
                f"Content-ID: <{cid}>\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n"
            )
            pieces.append(head.encode() + (base64.encodebytes(content) if encoding == "base64" else content))
        request = b"".join(f"\r\n--{boundary}\r\n".encode() + piece for piece in pieces)
        request = request[2:] + f"\r\n--{boundary}--\r\n".encode()
    answer = call("POST", "/", request, headers)
    check(f"{service} is answered with status 200", answer.status == 200, f"{answer.status} {answer.body[:500]}")
    return Message(answer, message_id, octets)


def measured(files, encoding):
    # The library cuts white space off the ends of attachments, so none of these ends with it.
    references = "".join(f"<file>cid:{cid}</file>" for cid, _, _ in files)
    got = ask("measureFiles", references, files, encoding)
    check("no fault", got.fault is None, got.root)
    expected = [
        f"{name} {len(content)} sha3-512={base64.b64encode(hashlib.sha3_512(content).digest()).decode()}"
        for _, name, content in files
    ]
    check(f"{len(files)} attachments in {encoding} reach the provider octet for octet",
          got.texts("measure") == expected, f"{got.root} {expected}")


pilot = Pilot(causeway, os.path.join(work, "state"), {
    "data-centre": f"""
[[client.description]]
type = "wsdl"
url = "{URL}?wsdl"
file = "documents.wsdl"
service-url = "{URL}"
tls = "unchecked"
allow = [{{ local-group = "everybody" }}]
"""})
wsdl = start_provider()
check("the provider tells its WSDL", wsdl.status == 200 and b"definitions" in wsdl.body, wsdl.body[:200])
refreshed = subprocess.run(
    [causeway, "service", "refresh", "--accept", "--config", pilot.server_file("data-centre")],
    capture_output=True, text=True,
)
check("`causeway service refresh` takes the WSDL", refreshed.returncode == 0, refreshed.stdout + refreshed.stderr)
pilot.start()

# Without attachments.
got = ask("greetPerson", "<person>Lê Thị Ánh</person><times>2</times>")
check("no fault", got.fault is None, got.root)
check("the answer is that of the provider", got.texts("greeting") == ["Xin chào Xin chào Lê Thị Ánh"], got.root)
check("the provider read who asks", got.texts("caller") == ["/".join(CONSUMER)], got.root)
got = ask("greetPerson", "<person>An</person><times>1</times>", action="https://documents.example.org/#greetPerson")
check("SOAPAction travels as it is", got.texts("greeting") == ["Xin chào An"], got.root)

# With attachments in the request.
binary = bytes(range(256)) * 40
measured([("one@kit", "one.bin", binary)], "binary")
measured([("one@kit", "one.txt", b"a line\r\n--not a boundary\r\nend"), ("two@kit", "two.bin", binary)], "binary")
measured([("one@kit", "one.bin", binary), ("two@kit", "two.txt", b"text"), ("three@kit", "three.bin", binary)],
         "base64")

# With attachments in the answer: one lies beside the message, several lie in a multipart of their own.
for number in (1, 2, 5):
    got = ask("issueFiles", f"<number>{number}</number>")
    check("no fault", got.fault is None, got.root)
    check("the answer is a multipart without defects",
          got.content_type.startswith("multipart/related") and not got.defects, f"{got.content_type} {got.defects}")
    names = [part.get_filename() for part in got.attachments]
    check(f"{number} attachments come back", names == [f"permit-{n}.txt" for n in range(number)], names)
    contents = [part.get_payload(decode=True) for part in got.attachments]
    check("each as the provider made it",
          contents == [f"permit {n}\r\n".encode() * 1000 for n in range(number)], contents)
    cids = [f"cid:{part['Content-ID'].strip('<>')}" for part in got.attachments]
    check("and under the name that the message gives it", got.texts("file") == cids, f"{got.texts('file')} {cids}")

# Faults: those with status 500 come back as they are. For faults of the client the library answers with
# status 400, which the protocol does not take for an answer (messages and transport, 2.9).
got = ask("greetPerson", "<person>everybody</person><times>1</times>")
check("a fault of the provider comes back as it is", got.fault is not None
      and (got.fault.findtext("faultcode"), got.fault.findtext("faultstring")) == ("Server", "out of breath"), got.root)
for body in ["<person>nobody</person><times>1</times>", "<nonsense/>"]:
    got = ask("greetPerson", body)
    check("a fault with status 400 is no answer of a provider", got.fault is not None
          and got.fault.findtext("faultcode") == "server.serverproxy.service_failed.http_error", got.root)
got = ask("greetStranger", "<person>An</person>")
check("a service that the WSDL does not have is refused by the server before it",
      got.fault is not None and got.fault.findtext("faultcode") == "server.serverproxy.unknown_service", got.root)

# What the servers tell of it.
listed = call("POST", "/", envelope("listMethods", "", uuid.uuid4().hex), {"Content-Type": "text/xml"})
codes = [element.text for element in etree.fromstring(listed.body).iter("{http://x-road.eu/xsd/identifiers}serviceCode")]
check("listMethods tells the services of the WSDL", set(SERVICES) <= set(codes), codes)
finish()
