"""Judges one evidence container without any code of Causeway: lxml for canonical XML, openssl for keys,
certificates, OCSP and time-stamps, xmlsec1 for the whole signature, pydigidoc for reading the container.

usage: evidence.py CONTAINER STATE_FOLDER WORK_FOLDER
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile

container, state, work = sys.argv[1:4]
DS = "{http://www.w3.org/2000/09/xmldsig#}"
XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
HC = "{http://cyber.ee/hashchain}"
DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
checks = skipped = 0


def check(what, good, detail=""):
    global checks
    if not good:
        sys.exit(f"FAILED: {what} {detail}")
    checks += 1
    print(f"ok: {what}")


def skip(what, why):
    global skipped
    skipped += 1
    print(f"SKIPPED: {what}: {why}")


def run(*command, **more):
    return subprocess.run(command, capture_output=True, **more)


def digest(uri, data):
    return hashlib.new(DIGESTS[uri], data).digest()


try:
    from lxml import etree
except ImportError:
    print("SKIPPED: python3-lxml is not installed")
    sys.exit(77)

entries = {}
with zipfile.ZipFile(container) as archive:
    check("the zip is whole", archive.testzip() is None)
    names = archive.namelist()
    check("mimetype comes first and is not compressed",
          names[0] == "mimetype" and archive.infolist()[0].compress_type == zipfile.ZIP_STORED)
    for name in names:
        entries["/" + name] = archive.read(name)
check("mimetype", entries["/mimetype"] == b"application/vnd.etsi.asic-e+zip")

signature_bytes = entries["/META-INF/signatures.xml"]
document = etree.fromstring(signature_bytes)
signed_info = document.find(f".//{DS}SignedInfo")
properties = document.find(f".//{XADES}SignedProperties")
reference, to_properties = signed_info.findall(f"{DS}Reference")


def value(element):
    return base64.b64decode("".join(element.findtext(f"{DS}DigestValue").split()))


def algorithm(element):
    return element.find(f"{DS}DigestMethod").get("Algorithm")


canonical = etree.tostring(properties, method="c14n", exclusive=False, with_comments=False)
check("digest of the signed properties", value(to_properties) == digest(algorithm(to_properties), canonical))
target = reference.get("URI")
check(f"digest of {target}", value(reference) == digest(algorithm(reference), entries[target]))


def der(tag, *parts):
    body = b"".join(parts)
    length = len(body)
    if length < 128:
        head = bytes([length])
    else:
        octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
        head = bytes([0x80 | len(octets)]) + octets
    return bytes([tag]) + head + body


def follow(result_name, chain_name):
    """Computes the hash chain from the files up, and compares it with the result."""
    result = etree.fromstring(entries[result_name])
    chain = etree.fromstring(entries[chain_name])
    default = chain.find(f"{HC}DefaultDigestMethod").get("Algorithm")
    steps = {step.get("id"): step for step in chain.findall(f"{HC}HashStep")}
    covered = set()

    def of_step(step):
        items = []
        for child in step:
            uri = default
            if child.tag == f"{HC}HashValue":
                item = value(child)
            elif child.tag == f"{HC}StepRef":
                item = of_step(steps[child.get("URI").split("#")[1]])
            else:
                item = digest(default, entries[child.get("URI")])
                check(f"{chain_name} holds the digest of {child.get('URI')}", item == value(child))
                covered.add(child.get("URI"))
            items.append(der(0x30, der(0x04, item), der(0x0C, uri.encode()), der(0x30)))
        return digest(default, der(0x30, *items))

    top = of_step(steps[result.get("URI").split("#")[1]])
    check(f"{chain_name} leads to {result_name}", top == value(result))
    return covered


covered = {target}
if target == "/sig-hashchainresult.xml":
    covered = follow("/sig-hashchainresult.xml", "/sig-hashchain.xml")
parts = {name for name in entries if name == "/message.xml" or name.startswith("/attachment")}
check("every part is covered by the signature", parts <= covered, f"{parts} {covered}")

certificate = base64.b64decode("".join(document.findtext(f".//{DS}X509Certificate").split()))
ocsp = base64.b64decode("".join(document.findtext(f".//{XADES}EncapsulatedOCSPValue").split()))


def write(name, data):
    path = os.path.join(work, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


ca = os.path.join(state, "registry", "ca.pem")
responder = os.path.join(state, "registry", "ocsp.pem")
tsa = os.path.join(state, "registry", "tsa.pem")
signer_der = write("signer.der", certificate)
signer = os.path.join(work, "signer.pem")
run("openssl", "x509", "-inform", "DER", "-in", signer_der, "-out", signer, check=True)
key = write("signer.pub", run("openssl", "x509", "-in", signer, "-noout", "-pubkey", check=True).stdout)

method = signed_info.find(f"{DS}SignatureMethod").get("Algorithm")
raw = base64.b64decode("".join(document.findtext(f".//{DS}SignatureValue").split()))
if "ecdsa" in method:
    def integer(octets):
        octets = octets.lstrip(b"\0") or b"\0"
        return der(0x02, (b"\0" if octets[0] & 0x80 else b"") + octets)
    raw = der(0x30, integer(raw[:len(raw) // 2]), integer(raw[len(raw) // 2:]))
octets = etree.tostring(signed_info, method="c14n", exclusive=False, with_comments=False)
verified = run("openssl", "dgst", f"-sha{method[-3:]}", "-verify", key, "-signature", write("value", raw),
               write("signed-info", octets))
check("openssl dgst verifies the signature value", b"Verified OK" in verified.stdout, verified.stderr)
path = run("openssl", "verify", "-CAfile", ca, signer)
check("openssl verify finds the path of the signer", path.returncode == 0, path.stderr)
status = run("openssl", "ocsp", "-respin", write("ocsp.der", ocsp), "-issuer", ca, "-cert", signer, "-no_nonce",
             "-CAfile", ca, "-VAfile", responder)
check("openssl ocsp finds the signer's certificate good",
      b": good" in status.stdout and b"OK" in status.stderr, status.stderr + status.stdout)

inside = document.find(f".//{XADES}EncapsulatedTimeStamp")
if inside is not None:
    token = base64.b64decode("".join(inside.text.split()))
    stamped = base64.b64decode("".join(document.findtext(f".//{DS}SignatureValue").split()))
else:
    token = entries["/META-INF/timestamp.tst"]
    stamped = entries["/ts-hashchainresult.xml"]
    check("the time-stamp chain covers the signature",
          "/META-INF/signatures.xml" in follow("/ts-hashchainresult.xml", "/ts-hashchain.xml"))
stamp = run("openssl", "ts", "-verify", "-data", write("stamped", stamped), "-in", write("token", token), "-token_in",
            "-CAfile", ca, "-untrusted", tsa)
check("openssl ts verifies the time-stamp", stamp.returncode == 0, stamp.stderr)

# xmlsec1 resolves "/message.xml" as a file of the root folder, so it gets a root folder of its own.
if shutil.which("xmlsec1") and shutil.which("unshare") and os.geteuid() == 0:
    root = os.path.join(work, "root")
    for folder in ("usr", "lib", "lib64", "etc", "bin"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    for name, data in entries.items():
        target_path = os.path.join(root, name[1:])
        os.makedirs(os.path.dirname(target_path), exist_ok=True)
        with open(target_path, "wb") as file:
            file.write(data)
    shutil.copy(signer, os.path.join(root, "signer.pem"))
    shutil.copy(ca, os.path.join(root, "ca.pem"))
    script = "set -e; for f in usr lib lib64 etc bin; do [ -d /$f ] && mount --bind /$f $0/$f; done; exec chroot $0 " \
        "xmlsec1 --verify --enabled-reference-uris empty,same-doc,local,remote --trusted-pem /ca.pem --pubkey-cert-pem /signer.pem " \
        "--id-attr:Id http://uri.etsi.org/01903/v1.3.2#:SignedProperties /META-INF/signatures.xml"
    judged = run("unshare", "--mount", "sh", "-c", script, root)
    if b"mount" in judged.stderr or b"unshare" in judged.stderr:
        skip("xmlsec1 --verify", judged.stderr.decode(errors="replace").strip())
    else:
        check("xmlsec1 --verify", judged.returncode == 0, judged.stderr + judged.stdout)
else:
    skip("xmlsec1 --verify", "xmlsec1, unshare or root is missing")

try:
    import pydigidoc  # libdigidocpp
except ImportError:
    skip("pydigidoc reads the container", "pydigidoc is not installed")
else:
    try:
        pydigidoc.initialize()
        opened = pydigidoc.Container.open(container)
        names = [file.file_name() for file in opened.data_files()]
    except Exception as error:  # whatever it says is the verdict
        sys.exit(f"FAILED: pydigidoc reads the container: {error}")
    check("pydigidoc reads the container", "message.xml" in names, str(names))

print(f"{checks} passed, 0 failed, {skipped} skipped")
