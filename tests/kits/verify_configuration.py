#!/usr/bin/env python3
"""Verifies a published global configuration without using any code of Causeway.

    verify_configuration.py ANCHOR [--at TIME] [--schemas FOLDER] [--save FOLDER]

Downloads the signed directory of every version from the plain HTTP address of a configuration
anchor, checks it as chapters 3, 4, 6 and 7 of the specification say (signed bytes, signature, expiry,
digests of the parts, what may stand where), and prints what it found as JSON. With a folder of the
X-Road schemas, and xmllint, every file is validated against the schema of its version. The exit
status is 0 if everything is good, 1 with a reason on standard error otherwise.

Needs Python 3 with the package `cryptography`.
"""

import argparse
import base64
import datetime
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

XROAD = "{http://x-road.eu/xsd/xroad.xsd}"
DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": hashlib.sha256,
    "http://www.w3.org/2001/04/xmldsig-more#sha384": hashlib.sha384,
    "http://www.w3.org/2001/04/xmlenc#sha512": hashlib.sha512,
}
HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


class Refused(Exception):
    """What was published is not good."""


def demand(condition, reason):
    if not condition:
        raise Refused(reason)


def get(url, expected=200, method="GET"):
    """The answer's body and headers; its status must be the expected one."""
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, body, headers = answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        status, body, headers = error.code, error.read(), error.headers
    demand(status == expected, f"{method} {url}: status {status}, not {expected}")
    return body, headers


def headers_of(block):
    """Header lines as a dictionary of lower-case names."""
    found = {}
    for line in block.split(b"\r\n"):
        name, colon, value = line.decode("utf-8").partition(":")
        demand(colon, f"not a header: {line!r}")
        demand(name.lower() not in found, f"header {name} stands there twice")
        found[name.lower()] = value.strip()
    return found


def boundary_of(content_type, kind):
    demand(content_type.startswith(kind), f"{content_type!r} is not {kind}")
    found = re.search(r"boundary=([A-Za-z0-9]{20})$", content_type)
    demand(found, f"no boundary of 20 letters and digits in {content_type!r}")
    return found.group(1).encode()


def between(document, start, end):
    """What stands between two byte strings that are there."""
    begin = document.find(start)
    demand(begin >= 0, f"{start!r} is missing")
    begin += len(start)
    finish = document.find(end, begin)
    demand(finish >= 0, f"{end!r} is missing")
    return document[begin:finish], document[finish + len(end):]


def verify_signature(uri, certificate, value, signed):
    key = certificate.public_key()
    rsa = re.fullmatch(r"http://www\.w3\.org/2001/04/xmldsig-more#rsa-(sha\d+)", uri)
    pss = re.fullmatch(r"http://www\.w3\.org/2007/05/xmldsig-more#(sha\d+)-rsa-MGF1", uri)
    ecdsa = re.fullmatch(r"http://www\.w3\.org/2001/04/xmldsig-more#ecdsa-(sha\d+)", uri)
    try:
        if rsa:
            key.verify(value, signed, padding.PKCS1v15(), HASHES[rsa.group(1)])
        elif pss:
            digest = HASHES[pss.group(1)]
            mode = padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
            key.verify(value, signed, mode, digest)
        elif ecdsa:
            key.verify(value, signed, ec.ECDSA(HASHES[ecdsa.group(1)]))
        else:
            raise Refused(f"unknown signature algorithm {uri}")
    except InvalidSignature:
        raise Refused("the signature does not verify") from None


def verify_directory(document, certificates, version, now):
    """The parts of a directory and its signature algorithm, after every check of chapter 4."""
    demand(b"\n" not in document.replace(b"\r\n", b""), "line ends other than CRLF")
    head, rest = between(document, b"", b"\r\n\r\n")
    outer = boundary_of(headers_of(head)["content-type"], "multipart/related")
    signed_part, rest = between(rest, b"--" + outer + b"\r\n", b"\r\n--" + outer + b"\r\n")
    signature_part, rest = between(rest, b"", b"\r\n--" + outer + b"--\r\n")
    demand(rest == b"", "something follows the last boundary")

    head, signed = between(signed_part, b"", b"\r\n\r\n")[0], signed_part.split(b"\r\n\r\n", 1)[1]
    inner = boundary_of(headers_of(head)["content-type"], "multipart/mixed")
    demand(signed.startswith(b"--" + inner + b"\r\n"), "signed bytes do not begin with the boundary")
    demand(signed.endswith(b"--" + inner + b"--\r\n"), "signed bytes do not end after the last boundary")

    head, value = signature_part.split(b"\r\n\r\n")
    headers = headers_of(head)
    demand(headers["content-type"] == "application/octet-stream", "type of the signature")
    demand(headers["content-transfer-encoding"] == "base64", "encoding of the signature")
    announced = re.fullmatch(r'(\S+); hash-algorithm-id="(\S+)"', headers["verification-certificate-hash"])
    demand(announced, "Verification-certificate-hash")
    digest = DIGESTS[announced.group(2)]
    wanted = base64.b64decode(announced.group(1), validate=True)
    fitting = [der for der in certificates if digest(der).digest() == wanted]
    demand(len(fitting) == 1, "the anchor has no certificate of the announced hash")
    algorithm = headers["signature-algorithm-id"]
    verify_signature(
        algorithm, x509.load_der_x509_certificate(fitting[0]), base64.b64decode(value, validate=True), signed
    )

    blocks = signed[: -len(b"--" + inner + b"--\r\n")].split(b"--" + inner + b"\r\n")[1:]
    first = headers_of(blocks[0].removesuffix(b"\r\n\r\n"))
    demand(first["version"] == str(version), f"version {first['version']}, not {version}")
    demand(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["expire-date"]), "form of the expiry")
    expires = datetime.datetime.fromisoformat(first["expire-date"].replace("Z", "+00:00"))
    demand(now <= expires, f"expired at {expires}")
    parts = []
    for block in blocks[1:]:
        head, body = block.split(b"\r\n\r\n")
        demand(body.endswith(b"\r\n"), "a digest does not stand on one line")
        headers = headers_of(head)
        demand(headers["content-type"] == "application/octet-stream", "type of a part")
        demand(headers["content-transfer-encoding"] == "base64", "encoding of a part")
        identifier = re.fullmatch(r"([A-Z-]+); instance='([^']+)'", headers["content-identifier"])
        demand(identifier, "Content-identifier")
        demand(re.fullmatch(rf"/V{version}/\d+/[a-z-]+\.xml", headers["content-location"]), "location")
        parts.append({
            "identifier": identifier.group(1),
            "instance": identifier.group(2),
            "location": headers["content-location"],
            "digest": (DIGESTS[headers["hash-algorithm-id"]], base64.b64decode(body[:-2], validate=True)),
        })
    return {"algorithm": algorithm, "expires": first["expire-date"], "parts": parts, "certificate": wanted}


def schema_of(schemas, identifier, version):
    """The schema of a part, if X-Road has one."""
    private = "v2" if version == 2 else "v3"
    return {
        "SHARED-PARAMETERS": schemas / "globalconf" / f"v{version}" / "shared-parameters.xsd",
        "PRIVATE-PARAMETERS": schemas / "globalconf" / private / "private-parameters.xsd",
        "FETCHINTERVAL": schemas / "ocsp-fetchinterval-conf.xsd",
        "NEXTUPDATE": schemas / "ocsp-nextupdate-conf.xsd",
        "MONITORING": schemas / "monitoring-conf.xsd",
    }.get(identifier)


def validate(content, schema):
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        file.write(content)
        file.flush()
        command = ["xmllint", "--noout", "--nonet", "--schema", str(schema), file.name]
        outcome = subprocess.run(command, capture_output=True, text=True)
    demand(outcome.returncode == 0, f"{schema}: {outcome.stderr}")


def verify_shared(content, version, instance):
    """What chapter 6 says beyond the schema."""
    root = ElementTree.fromstring(content)
    demand(root.tag == f"{XROAD}conf", "root of the shared parameters")
    demand(root.findtext("instanceIdentifier") == instance, "instance of the shared parameters")
    lengths = {len(base64.b64decode(element.text)) for element in root.iter("authCertHash")}
    demand(lengths <= {20 if version == 2 else 32}, f"authCertHash of {lengths} bytes in version {version}")
    demand(bool(root.findall("source")) == (version > 2), f"source in version {version}")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    demand(len(ids) == len(set(ids)), "ids that stand there twice")
    for server in root.findall("securityServer"):
        clients = [element.text for element in server.findall("client")]
        for reference in [server.findtext("owner"), *clients]:
            demand(reference in ids, f"{reference} refers to nothing")
        demand(server.findtext("owner") not in clients, "the owner is listed as a client")
    found = {"members": len(root.findall("member")), "servers": len(root.findall("securityServer"))}
    kinds = ("internalVerificationCert", "externalVerificationCert")
    found["certificates"] = {
        kind: [hashlib.sha512(base64.b64decode(e.text)).hexdigest() for e in root.iter(kind)] for kind in kinds
    }
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("anchor", type=pathlib.Path)
    parser.add_argument("--at", help="the time to judge by, in place of now")
    parser.add_argument("--schemas", type=pathlib.Path, help="folder of the X-Road schemas")
    parser.add_argument("--save", type=pathlib.Path, help="folder that gets the files")
    arguments = parser.parse_args()
    now = datetime.datetime.now(datetime.timezone.utc)
    if arguments.at:
        now = datetime.datetime.fromisoformat(arguments.at.replace("Z", "+00:00"))
    schemas = arguments.schemas if shutil.which("xmllint") else None

    anchor = ElementTree.parse(arguments.anchor).getroot()
    demand(anchor.tag == f"{XROAD}configurationAnchor", "root of the anchor")
    if schemas:
        validate(arguments.anchor.read_bytes(), schemas / "globalconf" / "v2" / "private-parameters.xsd")
    instance = anchor.findtext("instanceIdentifier")
    urls = [source.findtext("downloadURL") for source in anchor.findall("source")]
    demand(urls and urls[0].startswith("http://"), "the anchor does not list plain HTTP first")
    url = urls[0]
    internal = url.endswith("/internalconf")
    demand(internal or url.endswith("/externalconf"), f"address {url}")
    certificates = [
        base64.b64decode(element.text) for element in anchor.find("source").findall("verificationCert")
    ]

    validated = 0
    versions = {}
    for version in range(2, 7):
        document, headers = get(f"{url}?version={version}")
        demand("no-cache" in (headers["Cache-Control"] or ""), "the directory may be cached")
        directory = verify_directory(document, certificates, version, now)
        identifiers = [part["identifier"] for part in directory["parts"]]
        demand(len(identifiers) == len(set(identifiers)), "a part that stands there twice")
        demand("SHARED-PARAMETERS" in identifiers, "no shared parameters")
        if internal:
            demand("PRIVATE-PARAMETERS" in identifiers, "no private parameters")
        else:
            demand(identifiers == ["SHARED-PARAMETERS"], f"{identifiers} in an external configuration")
        found = {"algorithm": directory["algorithm"], "expires": directory["expires"], "parts": {}}
        found["signed_by"] = directory["certificate"].hex()
        for part in directory["parts"]:
            demand(part["instance"] == instance, f"instance {part['instance']}")
            content, _ = get(urllib.parse.urljoin(url, part["location"]))
            digest, expected = part["digest"]
            demand(digest(content).digest() == expected, f"digest of {part['location']}")
            schema = schema_of(schemas, part["identifier"], version) if schemas else None
            if schema:
                validate(content, schema)
                validated += 1
            if part["identifier"] == "SHARED-PARAMETERS":
                found.update(verify_shared(content, version, instance))
            found["parts"][part["identifier"]] = content.decode("utf-8")
            if arguments.save:
                file = arguments.save / f"V{version}" / part["location"].rsplit("/", 1)[1]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        versions[version] = found

    # Without a version, and for what is no version, there is version 2; other numbers are not found.
    for query in ["", "?version=", "?version=six"]:
        document, _ = get(url + query)
        verify_directory(document, certificates, 2, now)
    for query in ["?version=1", "?version=7", "?version=06"]:
        get(url + query, expected=404)
    for path in ["/", "/internalconf/x", "/V6/", "/V6/1/shared-params.xml", "/favicon.ico"]:
        get(urllib.parse.urljoin(url, path), expected=404)
    body, headers = get(url, method="HEAD")
    demand(body == b"" and int(headers["Content-Length"]) > 0, "answer to HEAD")

    print(json.dumps({"instance": instance, "urls": urls, "validated": validated, "versions": versions}))


if __name__ == "__main__":
    try:
        main()
    except Refused as refusal:
        sys.exit(str(refusal))
