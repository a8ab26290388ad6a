"""signxml judges the signature of a container of a fresh federation.

What it does not look at, because the format keeps it where XML Signature does not: the hash chain from the
signed result to message and attachments (`sig-hashchain.xml`), the OCSP response, and the time-stamp. These
are judged by the kit `evidence`.

usage: kit.py CAUSEWAY WORK_FOLDER
"""

import base64
import dataclasses
import os
import sys
import zipfile

from cryptography import x509
from lxml import etree
from pilot import Pilot, check, finish, told
from signxml import CanonicalizationMethod, SignatureConfiguration, XMLVerifier
from signxml.exceptions import InvalidCertificate, InvalidDigest, InvalidInput, InvalidSignature
from signxml.xades import XAdESSignatureConfiguration, XAdESVerifier

causeway, work = sys.argv[1:3]
state = os.path.join(work, "state")
DS = "{http://www.w3.org/2000/09/xmldsig#}"
Pilot(causeway, state, {})
with zipfile.ZipFile(os.path.join(state, "evidence", "answer.asice")) as archive:
    entries = {name: archive.read(name) for name in archive.namelist()}
document = entries["META-INF/signatures.xml"]
root = etree.fromstring(document)
certificate = x509.load_der_x509_certificate(base64.b64decode(root.findtext(f".//{DS}X509Certificate")))

# The signature lies in `asic:XAdESSignatures`. It refers to a file of the container and to its properties;
# neither reference names a transform, so XML Signature canonicalizes with Canonical XML 1.0.
CONFIG = {
    "location": "./",
    "expect_references": 2,
    "default_reference_c14n_method": CanonicalizationMethod.CANONICAL_XML_1_0,
}
XADES = XAdESSignatureConfiguration(**CONFIG)


def verify(xml=document, files=entries, config=XADES, verifier=XAdESVerifier, **trust):
    """What the signature covers, by the URI of the reference; the URIs are paths in the container."""
    resolver = lambda uri: files[uri.removeprefix("/")]
    trust = trust or {"x509_cert": certificate}
    return verifier().verify(xml, expect_config=config, uri_resolver=resolver, **trust)


def refused(what, kinds, **arguments):
    try:
        verify(**arguments)
    except kinds as error:
        check(f"{what} is refused", True)
        return str(error)
    check(f"{what} is refused", False)


target = root.find(f".//{DS}Reference").get("URI").removeprefix("/")
covered = verify()
check("signxml verifies the signature as XAdES", len(covered) == 2)
check(f"it covers {target}", covered[0].signed_data == entries[target])
check("and the properties, with the digest of the signer's certificate",
      covered[1].signed_xml.tag.endswith("}SignedProperties"), covered[1].signed_xml.tag)
check("as plain XML Signature too", len(verify(config=SignatureConfiguration(**CONFIG), verifier=XMLVerifier)) == 2)
check("with the canonical form that it takes when nobody names one",
      len(verify(config=dataclasses.replace(
          XADES, default_reference_c14n_method=CanonicalizationMethod.CANONICAL_XML_1_1))) == 2)

refused(f"another {target}", InvalidDigest, files={**entries, target: entries[target] + b" "})
year = document.index(b"<xades:SigningTime>") + len(b"<xades:SigningTime>")
refused("another signing time", InvalidDigest, xml=document[:year] + b"1" + document[year + 1:])
value = root.find(f".//{DS}SignatureValue")
flipped = value.text.replace(value.text.strip()[0], "A" if value.text.strip()[0] != "A" else "B", 1)
refused("another signature value", InvalidSignature, xml=document.replace(value.text.encode(), flipped.encode()))
with open(os.path.join(state, "registry", "tsa.pem"), "rb") as file:
    other = x509.load_pem_x509_certificate(file.read())
refused("another certificate", (InvalidSignature, InvalidInput, InvalidDigest), x509_cert=other)

# What it refuses, and why.
reason = refused("the signature as if it had one reference", (InvalidInput, InvalidSignature),
                 config=dataclasses.replace(XADES, expect_references=1))
told("signxml with its own defaults", f"they expect one reference, and the format has two: {reason}")
try:
    XAdESVerifier().verify(document, expect_config=XADES, x509_cert=certificate)
except (InvalidInput, InvalidSignature) as error:
    told("signxml without a resolver", f"the reference is a path in the container, which signxml does not read: {error}")
else:
    check("a reference to a file needs the file", False)
try:
    verify(ca_pem_file=os.path.join(state, "registry", "ca.pem"))
except (InvalidCertificate, InvalidInput) as error:
    told("the path to the CA", "signxml wants the key usage digitalSignature of a signer; certificates for signing"
         f" messages have nonRepudiation alone, which is what tells them from those of servers: {error}")
else:
    check("the path to the CA", True)
finish()
