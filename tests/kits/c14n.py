#!/usr/bin/env python3
"""Compares canonical XML of Causeway with libxml2 and xmlsec on generated documents.

    c14n.py PROGRAM [COUNT] [SEED]

PROGRAM is `canonicalise` of the tests crate. Whole documents are canonicalised by lxml, subtrees by
xmlsec: it signs a reference to the subtree, and the digest that it writes is compared. Prints the number
of comparisons; the exit status is 1 when a form differs, 2 when a package is missing.

Needs Python 3 with `lxml`; subtrees need `xmlsec` too.
"""

import base64
import hashlib
import json
import random
import subprocess
import sys

try:
    from lxml import etree
except ImportError:
    print("python package lxml is missing", file=sys.stderr)
    sys.exit(2)
try:
    import xmlsec
except ImportError:
    xmlsec = None

INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
METHODS = [
    (INCLUSIVE, False, False),
    (INCLUSIVE + "#WithComments", False, True),
    (EXCLUSIVE, True, False),
    (EXCLUSIVE + "WithComments", True, True),
]
PREFIXES = ["", "a", "b", "c", "ds", "zz"]
# No URI has an ampersand: libxml2 writes it unescaped into the declaration, which is not even well-formed.
URIS = ["urn:one", "urn:two", "urn:three", "http://example.org/x"]
NAMES = ["e", "f", "Long-Name.1", "ü", "_x"]
TEXTS = ["text", " ", "\n", "\t", "&lt;", "&gt;", "&amp;", "&quot;", "&#13;", "&#xA;", "\r\n", "\r", "é", "語",
         "<![CDATA[<&>]]>", "<![CDATA[]]>", "]]&gt;", "&#x1F600;", "'", '"']
VALUES = ["v", "", " lead", "&quot;", "&lt;", "&amp;", ">", "&#9;", "&#10;", "&#13;", "\n", "\t", "\r\n", "é", "x  y"]
MISC = ["<!-- c -->", "<!---->", "<?pi?>", "<?pi  data ?>", "<!--é\r\n-->"]


class Generator:
    """Writes one random document as text; every element gets an `Id`."""

    def __init__(self, rng):
        self.rng = rng
        self.ids = 0

    def document(self):
        rng = self.rng
        parts = ['<?xml version="1.0" encoding="UTF-8"?>'] if rng.random() < 0.5 else []
        parts += [rng.choice(MISC) + rng.choice(["", "\n"]) for _ in range(rng.randrange(3))]
        parts.append(self.element({}, 0))
        parts += [rng.choice(["", "\n"]) + rng.choice(MISC) for _ in range(rng.randrange(3))]
        return "".join(parts)

    def element(self, scope, depth):
        rng = self.rng
        declared = {}
        for prefix in rng.sample(PREFIXES, rng.choice([0, 0, 1, 1, 2, 3])):
            if prefix == "" and rng.random() < 0.3:
                declared[prefix] = ""
            else:
                declared[prefix] = rng.choice(URIS)
        scope = {**scope, **declared}
        usable = [prefix for prefix, uri in scope.items() if prefix and uri]
        prefix = rng.choice(usable + [""])
        name = (prefix + ":" if prefix else "") + rng.choice(NAMES)
        attributes = [f'xmlns{":" + p if p else ""}="{u}"' for p, u in declared.items()]
        self.ids += 1
        attributes.append(f'Id="i{self.ids}"')
        seen = {("", "Id")}
        for _ in range(rng.choice([0, 0, 1, 2, 3, 4])):
            prefix = rng.choice(usable + ["", "", "xml"])
            local = rng.choice(["lang", "base", "space"]) if prefix == "xml" else rng.choice(NAMES + ["A", "z"])
            key = (scope.get(prefix, prefix) if prefix else "", local)
            if key in seen:
                continue
            seen.add(key)
            value = "preserve" if key == ("xml", "space") else rng.choice(VALUES) + rng.choice(VALUES)
            value = "http://example.org/" if key == ("xml", "base") else value
            value = "et" if key == ("xml", "lang") else value
            attributes.append(f'{prefix + ":" if prefix else ""}{local}="{value}"')
        rng.shuffle(attributes)
        start = name + "".join(rng.choice([" ", "  ", "\n"]) + attribute for attribute in attributes)
        children = []
        if depth < 5:
            for _ in range(rng.randrange(5 - depth)):
                roll = rng.random()
                if roll < 0.5:
                    children.append(self.element(scope, depth + 1))
                elif roll < 0.85:
                    children.append(rng.choice(TEXTS) + rng.choice(TEXTS))
                else:
                    children.append(rng.choice(MISC))
        if not children and rng.random() < 0.5:
            return f"<{start}/>"
        return f'<{start}>{"".join(children)}</{name}>'


def whole(xml, exclusive, comments, prefixes):
    """The canonical form of a document by libxml2."""
    tree = etree.ElementTree(etree.fromstring(xml, etree.XMLParser(resolve_entities=False)))
    import io
    out = io.BytesIO()
    tree.write_c14n(out, exclusive=exclusive, with_comments=comments, inclusive_ns_prefixes=prefixes or None)
    return out.getvalue()


def subtree_digest(xml, ident, method, prefixes):
    """SHA-256 of the canonical subtree, as xmlsec writes it into a reference."""
    root = etree.fromstring(xml, etree.XMLParser(resolve_entities=False))
    target = [element for element in root.iter(etree.Element) if element.get("Id") == ident][0]
    signature = etree.fromstring(
        f'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{INCLUSIVE}"/>'
        f'<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/>'
        f'<ds:Reference URI="#{ident}"><ds:Transforms><ds:Transform Algorithm="{method}">'
        + (f'<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="{" ".join(prefixes)}"/>' if prefixes else "")
        + '</ds:Transform></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference>'
        f'</ds:SignedInfo><ds:SignatureValue/></ds:Signature>'
    )
    root.append(signature)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, b"key")
    context.register_id(target, "Id")
    context.sign(signature)
    value = signature.find(".//{http://www.w3.org/2000/09/xmldsig#}DigestValue").text
    return base64.b64decode(value)


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    rng = random.Random(seed)
    requests, checks = [], []
    for _ in range(count):
        generator = Generator(rng)
        xml = generator.document().encode()
        try:
            root = etree.fromstring(xml)
        except etree.XMLSyntaxError as error:
            sys.exit(f"the generator wrote what libxml2 refuses: {error}\n{xml.decode()}")
        method, exclusive, comments = rng.choice(METHODS)
        prefixes = rng.sample(["a", "b", "ds", "unknown"], rng.randrange(3)) if exclusive else []
        # libxml2 takes the default namespace of a list as "#default" only from xmlsec.
        inner = [element.get("Id") for element in root.iter(etree.Element) if element is not root]
        requests.append({"xml": base64.b64encode(xml).decode(), "method": method, "prefixes": prefixes, "id": None})
        checks.append((xml, requests[-1], hashlib.sha256(whole(xml, exclusive, comments, prefixes)).digest()))
        if xmlsec and inner:
            ident = rng.choice(inner)
            # With a same-document reference by name xmlsec leaves comments out of the node set.
            method = EXCLUSIVE if exclusive else INCLUSIVE
            if exclusive and rng.random() < 0.3:
                prefixes = prefixes + ["#default"]
            request = {**requests[-1], "id": ident, "method": method, "prefixes": prefixes}
            requests.append(request)
            checks.append((xml, request, subtree_digest(xml, ident, method, prefixes)))
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    answers = subprocess.run([program], input=lines, capture_output=True, text=True, check=True).stdout.split("\n")
    differ = 0
    for (xml, request, expected), answer in zip(checks, answers, strict=False):
        octets = b"" if answer.startswith("!") else base64.b64decode(answer)
        if answer.startswith("!") or hashlib.sha256(octets).digest() != expected:
            differ += 1
            if differ <= 3:
                print(f"DIFFERS {request['method']} {request['prefixes']} {request['id']}\n{xml.decode()}\n"
                      f"ours: {octets.decode() or answer}\n", file=sys.stderr)
    whole_count = sum(1 for _, request, _ in checks if request["id"] is None)
    note = "" if xmlsec else " (python package xmlsec is missing, no subtrees)"
    print(f"{whole_count} documents, {len(checks) - whole_count} subtrees, {differ} differ{note}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
