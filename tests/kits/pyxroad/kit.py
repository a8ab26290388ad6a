"""pyxroad calls a SOAP service through two Causeway servers. It knows the service only by the WSDL that it
finds at its own server.

usage: kit.py CAUSEWAY WORK_FOLDER
"""

import copy
import datetime
import logging
import os
import subprocess
import sys

from lxml import etree
from pilot import CONSUMER, CONSUMER_SERVER, OWNER, PROVIDER, SYSTEM, Pilot, check, finish, serve
from XRoad import DRACTransport, InMemoryCache, SqliteCache, Transport, XClient
from zeep.exceptions import Fault

# pyxroad logs every fault with its trace; they are checked here.
logging.getLogger("XRoad").setLevel(logging.CRITICAL)
causeway, work = sys.argv[1:3]
PORT = 9100
ENVELOPE = "{http://schemas.xmlsoap.org/soap/envelope/}"
XROAD = "{http://x-road.eu/xsd/xroad.xsd}"
PEOPLE = "{urn:kit:people}"
SERVER = f"http://{CONSUMER_SERVER}:8080"
SERVICE = "/".join([*PROVIDER, "findPerson", "v1"])
with open(os.path.join(os.path.dirname(__file__), "people.wsdl"), "rb") as file:
    WSDL = file.read()
REGISTER = [("Nguyễn Văn Hà", 1992), ("Nguyễn Văn Hà", 2004), ("Trần & Sons <Ltd>", 1987)]
# What the service was asked, as it came.
asked = []


def people(method, path, headers, body):
    if method == "GET":
        return (200, "text/xml; charset=UTF-8", WSDL) if path == "/people.wsdl" else (404, "text/plain", b"")
    request = etree.fromstring(body)
    asked.append((headers, request))
    wrapper = request.find(f"{ENVELOPE}Body/{PEOPLE}findPerson")
    name, year = wrapper.findtext(f"{PEOPLE}name"), wrapper.findtext(f"{PEOPLE}year")
    answer = etree.Element(f"{ENVELOPE}Envelope")
    if name == "nobody":
        fault = etree.SubElement(etree.SubElement(answer, f"{ENVELOPE}Body"), f"{ENVELOPE}Fault")
        etree.SubElement(fault, "faultcode").text = "p:Server.Closed"
        etree.SubElement(fault, "faultstring").text = "the register is closed to nobody"
    else:
        answer.append(copy.deepcopy(request.find(f"{ENVELOPE}Header")))
        wrapper = etree.SubElement(etree.SubElement(answer, f"{ENVELOPE}Body"), f"{PEOPLE}findPersonResponse")
        for found, born in REGISTER:
            if found == name and year in (None, str(born)):
                person = etree.SubElement(wrapper, f"{PEOPLE}person")
                etree.SubElement(person, f"{PEOPLE}name").text = found
                etree.SubElement(person, f"{PEOPLE}born").text = f"{born}-02-28"
        etree.SubElement(wrapper, f"{PEOPLE}asked").text = name
    octets = etree.tostring(answer, xml_declaration=True, encoding="UTF-8")
    return (500 if name == "nobody" else 200), "text/xml; charset=UTF-8", octets


def header(name):
    return asked[-1][1].findtext(f"{ENVELOPE}Header/{XROAD}{name}")


serve(PORT, people)
pilot = Pilot(causeway, os.path.join(work, "state"), {
    # The look-up is done in the name of the server's owner, whose information systems must be let in.
    "ministry": f"""
[[client]]
id = "{'/'.join(OWNER)}"
connection = "http"
""",
    "data-centre": f"""
[[client.description]]
type = "wsdl"
url = "http://{SYSTEM}:{PORT}/people.wsdl"
file = "people.wsdl"
service-url = "http://{SYSTEM}:{PORT}/people"
tls = "unchecked"
allow = [{{ local-group = "everybody" }}]
"""})
refreshed = subprocess.run(
    [causeway, "service", "refresh", "--accept", "--config", pilot.server_file("data-centre")],
    capture_output=True, text=True,
)
check("`causeway service refresh` takes the WSDL", refreshed.returncode == 0, refreshed.stdout + refreshed.stderr)
pilot.start()

client = XClient(ssu=SERVER, client="/".join(CONSUMER), service=SERVICE)
check("pyxroad finds the WSDL at /wsdl", "findPerson" in dir(client.service), dir(client.service))
address = client.service._binding_options["address"]
check("the provider's address is not in it", SYSTEM not in address and address.startswith("http://"), address)
first = client.id
answer = client.request(name="Nguyễn Văn Hà")
check("two persons are found", answer["person"] == [
    {"name": "Nguyễn Văn Hà", "born": datetime.date(1992, 2, 28)},
    {"name": "Nguyễn Văn Hà", "born": datetime.date(2004, 2, 28)},
], answer)
check("the service was asked under the id of the client", header("id") == first, header("id"))
check("in the name of its user", header("userId") == CONSUMER[-1], header("userId"))
check("with the protocol version as pyxroad writes it", header("protocolVersion") == "4.0", header("protocolVersion"))
check("and the SOAPAction of the WSDL",
      asked[-1][0].get("SOAPAction") == '"urn:kit:people#findPerson"', asked[-1][0].get("SOAPAction"))

answer = client.request(xroad_id="VN-2026/ß 1", name="Nguyễn Văn Hà", year=2004)
check("an id of the caller's own", header("id") == "VN-2026/ß 1" and len(answer["person"]) == 1, answer)
client.userId = "VN079200001234"
answer = client.request(xroad_id="kit-2", name="Trần & Sons <Ltd>")
check("a user of the caller's own, and text that has to be escaped",
      header("userId") == "VN079200001234" and answer["person"][0]["name"] == "Trần & Sons <Ltd>", answer)
answer = client.request(xroad_id="kit-3", name="Unknown")
check("an answer that is empty", not answer["person"] and answer["asked"] == "Unknown", answer)

for name, transport in [
    ("DRACTransport", DRACTransport(cache=InMemoryCache(timeout=60))),
    ("SqliteCache", Transport(cache=SqliteCache(path=os.path.join(work, "cache.db"), timeout=60))),
]:
    other = XClient(ssu=SERVER, client="/".join(CONSUMER), service=SERVICE, transport=transport)
    answer = other.request(xroad_id=f"kit-{name}", name="Nguyễn Văn Hà", year=1992)
    check(f"the same with {name}", len(answer["person"]) == 1 and header("id") == f"kit-{name}", answer)
    answer = other.request(xroad_id=f"kit-{name}-again", name="Nguyễn Văn Hà", year=1992)
    check(f"and again on the connection of {name}", len(answer["person"]) == 1, answer)


def fault_of(what, text, **arguments):
    try:
        answer = client.request(**arguments)
    except Fault as fault:
        check(f"{what} is a fault", text in str(fault), str(fault))
    else:
        check(f"{what} is a fault", False, answer)


fault_of("what the provider refuses", "the register is closed to nobody", xroad_id="kit-4", name="nobody")
stranger = XClient(ssu=SERVER, client="CW/GOV/1001/unknown", service=SERVICE)
before, client = len(asked), stranger
fault_of("a client that is not the server's", "CW/GOV/1001/unknown", xroad_id="kit-5", name="Unknown")
check("of which the provider hears nothing", len(asked) == before)
# zeep takes the fault in the place of a WSDL for a WSDL without services.
stranger = XClient(ssu=SERVER, client="/".join(CONSUMER), service="/".join([*PROVIDER, "noSuchService"]))
check("a service that is not there has no WSDL", not stranger.wsdl.services, stranger.wsdl.services)
finish()
