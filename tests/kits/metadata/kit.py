"""Asks a consumer's server for everything that `xrdinfo` asks for, and reads the answers.

`xrdinfo` reads some answers by their text and not by a parser; each thing it relies on is a check here:
the prefix `SOAP-ENV`, a boundary that begins with `xroad`, part headers written `content-type:text/xml`
without a space, the status 200 of SOAP faults, and two texts of errors.

usage: kit.py CAUSEWAY WORK_FOLDER
"""

import io
import json
import os
import re
import subprocess
import sys
import uuid
import zipfile
from urllib.parse import quote, urljoin

import requests
import yaml
from lxml import etree
from pilot import CONSUMER, CONSUMER_SERVER, NETWORK, OWNER, PROVIDER, SYSTEM, Pilot, check, finish, serve

causeway, work = sys.argv[1:3]
PORT = 9100
SERVER = f"http://{CONSUMER_SERVER}:8080"
NAMES = {
    "env": "http://schemas.xmlsoap.org/soap/envelope/",
    "xrd": "http://x-road.eu/xsd/xroad.xsd",
    "id": "http://x-road.eu/xsd/identifiers",
    "wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "soap": "http://schemas.xmlsoap.org/wsdl/soap/",
}
PARTS = ["xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode", "serviceVersion"]


def binding(name, version):
    version = f"<x:version>{version}</x:version>" if version else ""
    return f'<w:operation name="{name}"><s:operation soapAction=""/>{version}</w:operation>'


WSDL = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/"'
    ' xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:x="http://x-road.eu/xsd/xroad.xsd"'
    ' xmlns:t="urn:kit:cases" targetNamespace="urn:kit:cases"><w:binding name="b" type="t:p">'
    '<s:binding transport="http://schemas.xmlsoap.org/soap/http"/>'
    f'{binding("openCase", "v1")}{binding("openCase", "v2")}{binding("closeCase", None)}</w:binding>'
    '<w:service name="s"><w:port name="p" binding="t:b">'
    f'<s:address location="http://{SYSTEM}:{PORT}/cases"/></w:port></w:service></w:definitions>'
).encode()
OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "Visas", "version": "1"},
    "servers": [{"url": f"http://{SYSTEM}:{PORT}/visas"}],
    "paths": {
        "/visas": {"get": {"summary": "All visas", "responses": {"200": {"description": "ok"}}},
                   "post": {"summary": "A new visa", "responses": {"201": {"description": "made"}}}},
        "/visas/{id}": {"get": {"responses": {"200": {"description": "ok"}}}, "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]},
    },
}
ENDPOINTS = {("get", "/visas"), ("post", "/visas"), ("get", "/visas/{id}")}
# Where descriptions cannot be read while the kit sets this.
closed = set()


def system(method, path, headers, body):
    documents = {
        "/cases.wsdl": ("text/xml; charset=UTF-8", WSDL),
        "/visas.json": ("application/json", json.dumps(OPENAPI).encode()),
        "/visas.yaml": ("application/x-yaml", yaml.safe_dump(OPENAPI).encode()),
    }
    if path in closed or path not in documents:
        return 404, "text/plain", b"not here"
    return (200, *documents[path])


def identifier(parts):
    return "".join(f"<id:{name}>{part}</id:{name}>" for name, part in zip(PARTS, parts))


def soap(client, provider, code, body):
    """A metadata request over SOAP, and the root of the answer's envelope."""
    kind = "SUBSYSTEM" if len(client) == 4 else "MEMBER"
    envelope = (
        '<?xml version="1.0" encoding="utf-8"?>\n<SOAP-ENV:Envelope'
        f' xmlns:SOAP-ENV="{NAMES["env"]}" xmlns:xroad="{NAMES["xrd"]}" xmlns:id="{NAMES["id"]}">\n'
        f'<SOAP-ENV:Header><xroad:client id:objectType="{kind}">{identifier(client)}</xroad:client>'
        f'<xroad:service id:objectType="SERVICE">{identifier([*provider, code])}</xroad:service>'
        f"<xroad:id>{uuid.uuid4()}</xroad:id><xroad:protocolVersion>4.0</xroad:protocolVersion>"
        f"</SOAP-ENV:Header>\n<SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>\n"
    )
    answer = requests.post(SERVER, data=envelope.encode(), headers={"content-type": "text/xml"}, timeout=30)
    check(f"{code} over SOAP is answered with status 200", answer.status_code == 200, answer.text[:300])
    answer.encoding = "utf-8"
    found = re.search("<SOAP-ENV:Envelope.+</SOAP-ENV:Envelope>", answer.text, re.DOTALL)
    check("its envelope is found by the prefix SOAP-ENV", found is not None, answer.text[:500])
    return answer, etree.fromstring(found.group(0))


def services(root, code):
    """The identifiers in the answer of listMethods or allowedMethods."""
    return {
        tuple(service.findtext(f"id:{name}", "", NAMES) for name in PARTS)
        for service in root.findall(f".//xrd:{code}Response/xrd:service", NAMES)
    }


def rest(client, path, accept="application/json"):
    headers = {"X-Road-Client": "/".join(map(quote, client)), "accept": accept}
    return requests.get(f"{SERVER}/r1/{path}", headers=headers, timeout=30)


serve(PORT, system)
documents = "".join(
    f"""
[[client.description]]
type = "{kind}"
url = "http://{SYSTEM}:{PORT}/{file}"
file = "{file}"
tls = "unchecked"
{more}
"""
    for kind, file, more in [
        ("wsdl", "cases.wsdl", 'service = [{ code = "openCase", version = "v1", allow = [{ local-group = "everybody" }] }]'),
        ("openapi", "visas.json", 'code = "visas"\nallow = [{ local-group = "everybody", method = "GET" }]'),
        ("openapi", "visas.yaml", 'code = "old-visas"'),
    ]
)
pilot = Pilot(causeway, os.path.join(work, "state"), {
    "ministry": f"""
[[client]]
id = "{'/'.join(OWNER)}"
connection = "http"
""",
    "data-centre": documents})
refreshed = subprocess.run(
    [causeway, "service", "refresh", "--accept", "--config", pilot.server_file("data-centre")],
    capture_output=True, text=True,
)
check("`causeway service refresh` takes the documents", refreshed.returncode == 0, refreshed.stdout + refreshed.stderr)
pilot.start()

# Who takes part: from the server, and from where the configuration is published.
answer = requests.get(f"{SERVER}/verificationconf", timeout=30)
check("/verificationconf", answer.status_code == 200, answer.text[:200])
with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
    instance = archive.read("verificationconf/instance-identifier").decode()
    from_server = archive.read(f"verificationconf/{instance}/shared-params.xml")
check("the instance identifier stands in it, and nothing beside it", instance == "CW", repr(instance))
shared = etree.fromstring(from_server)
check("shared parameters name the instance without a namespace", shared.findtext("./instanceIdentifier") == "CW")
members, subsystems, registered = set(), set(), set()
for member in shared.findall("./member"):
    name = (member.findtext("./memberClass/code"), member.findtext("./memberCode"))
    members.add((*name, member.findtext("./name")))
    for subsystem in member.findall("./subsystem"):
        subsystems.add((*name, subsystem.findtext("./subsystemCode")))
        if shared.findall(f'./securityServer[client="{subsystem.get("id")}"]'):
            registered.add((*name, subsystem.findtext("./subsystemCode")))
check("members with their names", ("GOV", "1001", "Ministry of Transport") in members and len(members) == 3, members)
check("subsystems", {CONSUMER[1:], PROVIDER[1:]} <= subsystems, subsystems)
check("all of them at a security server", registered == subsystems, subsystems - registered)
servers = set()
for server in shared.findall("./securityServer"):
    owner = shared.find(f'./member[@id="{server.findtext("./owner")}"]')
    servers.add((owner.findtext("./memberCode"), server.findtext("./serverCode"), server.findtext("./address")))
check("security servers, by owner and address", ("1001", "ss1", CONSUMER_SERVER) in servers and len(servers) == 3, servers)

for port in (80, 8088):
    try:
        directory = requests.get(f"http://{NETWORK}.1:{port}/internalconf", timeout=30)
        break
    except requests.ConnectionError:
        continue
located = re.search("Content-location: (/.+/shared-params.xml)", directory.text, re.IGNORECASE)
check("the published directory locates shared parameters", located is not None, directory.text[:500])
published = requests.get(urljoin(directory.url, located.group(1)), timeout=30)
published.encoding = "utf-8"
check("and they tell of the same members", published.status_code == 200 and {
    (m.findtext("./memberClass/code"), m.findtext("./memberCode"), m.findtext("./name"))
    for m in etree.fromstring(published.content).findall("./member")} == members, published.text[:300])

# What they offer, over SOAP: asked by a subsystem and by the member itself.
every = {(*PROVIDER, *service) for service in
         [("openCase", "v1"), ("openCase", "v2"), ("closeCase", ""), ("query", "")]}
# A right is for all versions of a service (messages and transport 5.6).
for client, allowed in [(CONSUMER, {("openCase", "v1"), ("openCase", "v2"), ("query", "")}), (OWNER, set())]:
    _, root = soap(client, PROVIDER, "listMethods", "<xroad:listMethods/>")
    check(f"listMethods tells {'/'.join(client)} of every service", services(root, "listMethods") == every, etree.tostring(root))
    _, root = soap(client, PROVIDER, "allowedMethods", "<xroad:allowedMethods/>")
    check("allowedMethods of those that it may call",
          services(root, "allowedMethods") == {(*PROVIDER, *service) for service in allowed}, etree.tostring(root))
_, root = soap(CONSUMER, ("CW", "GOV", "404", "none"), "listMethods", "<xroad:listMethods/>")
check("a provider that is not there is a fault with a text", bool(root.findtext(".//faultstring")), etree.tostring(root))

for client, version in [(CONSUMER, "v1"), (OWNER, "v1"), (CONSUMER, None)]:
    code = "openCase" if version else "closeCase"
    named = f"<xroad:serviceVersion>{version}</xroad:serviceVersion>" if version else ""
    body = f"<xroad:getWsdl>\n<xroad:serviceCode>{code}</xroad:serviceCode>{named}</xroad:getWsdl>"
    answer, root = soap(client, PROVIDER, "getWsdl", body)
    check("getWsdl repeats the service",
          root.findtext(".//xrd:getWsdlResponse/xrd:serviceCode", None, NAMES) == code, etree.tostring(root))
    # The two parts, by their text: boundary, header of the message, header of the WSDL.
    found = re.search(
        r"--xroad.+content-type:text/xml.+</SOAP-ENV:Envelope>.+--xroad.+content-type:text/xml.*?\r\n\r\n(.+)\r\n--xroad",
        answer.text, re.DOTALL)
    check("the WSDL is found by the text of its part", found is not None, answer.text)
    wsdl = etree.fromstring(found.group(1).encode())
    operations = {(o.get("name"), o.findtext("./xrd:version", "", NAMES))
                  for o in wsdl.findall(".//wsdl:binding/wsdl:operation", NAMES)}
    check("with all its operations", operations == {service[4:] for service in every} - {("query", "")}, operations)
    check("and without the provider's address", SYSTEM.encode() not in etree.tostring(wsdl), etree.tostring(wsdl))

# What they offer, over REST.
provider = "/".join(PROVIDER)
everything = {"persons", "test", "private", "closed", "visas", "old-visas"}
for client, code, expected in [
    (CONSUMER, "listMethods", everything),
    (CONSUMER, "allowedMethods", {"persons", "test", "closed", "visas"}),
    (OWNER, "listMethods", everything),
    (OWNER, "allowedMethods", set()),
]:
    answer = rest(client, f"{provider}/{code}")
    told = answer.json()["service"]
    check(f"{code} over REST for {'/'.join(client)}", {s["service_code"] for s in told} == expected, answer.text)
    check("each with all parts of its name", {
        (s["xroad_instance"], s["member_class"], s["member_code"], s["subsystem_code"]) for s in told} <= {PROVIDER}, answer.text)
for code, load in [("visas", json.loads), ("old-visas", yaml.safe_load)]:
    answer = rest(CONSUMER, f"{provider}/getOpenAPI?serviceCode={code}")
    check(f"getOpenAPI of {code}", answer.status_code == 200, answer.text)
    document = load(answer.text)
    endpoints = {(verb, path) for path, item in document["paths"].items() for verb in item if verb != "parameters"}
    check("has every endpoint", endpoints == ENDPOINTS, endpoints)
    check("and not the provider's address", SYSTEM not in answer.text, answer.text)


def refused(what, path, text):
    answer = rest(CONSUMER, path)
    error = answer.json()
    check(f"{what}: an error with type, message and detail",
          400 <= answer.status_code < 600 and error["type"].startswith("server.") and error["detail"], answer.text)
    check(f"{what}: a text that clients look for", re.search(text, error["message"]) is not None, error["message"])


refused("a REST service without a description", f"{provider}/getOpenAPI?serviceCode=persons", "^Invalid service type: REST$")
closed.add("/visas.json")
refused("a description that cannot be read", f"{provider}/getOpenAPI?serviceCode=visas", "^Failed reading service description from")
refused("a provider that is not there", "CW/GOV/404/none/listMethods", ".")
finish()
