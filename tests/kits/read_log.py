#!/usr/bin/env python3
"""Reads a Causeway message log, from docs/message-log.md alone.

usage: read_log.py FOLDER

Checks every checksum, that records have no gap, every leaf, every checkpoint and index section, and
prints one JSON object a line: the records, then the size and root of the tree. Exits with 1 and a word
on the standard error at the first thing that is wrong.
"""

import base64
import hashlib
import json
import os
import re
import struct
import sys
import zlib

NONE = 0xFFFFFFFF


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def sha512(data):
    return hashlib.sha512(data).digest()


def wrong(what):
    sys.exit(f"wrong: {what}")


def need(condition, what):
    if not condition:
        wrong(what)


class Fields:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(self.at + length <= len(self.data), "a field is cut off")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def long(self):
        length = self.number("I")
        return None if length == NONE else self.take(length)

    def text(self):
        length = self.number("H")
        return None if length == 0xFFFF else self.take(length).decode("utf-8")

    def rest(self):
        return self.take(len(self.data) - self.at)


class Tree:
    """The roots of complete subtrees, largest first."""

    def __init__(self, size, roots):
        need(len(roots) == bin(size).count("1"), "roots do not fit the size")
        self.size, self.roots = size, list(roots)

    def add(self, leaf):
        size = self.size
        while size & 1:
            leaf = sha256(b"\x01", self.roots.pop(), leaf)
            size >>= 1
        self.roots.append(leaf)
        self.size += 1

    def root(self):
        if not self.roots:
            return sha256()
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = sha256(b"\x01", left, root)
        return root


def checked(block, magic):
    return (
        block[:8] == magic
        and block[8:12] == struct.pack("<I", 1)
        and zlib.crc32(block[:12] + bytes(4) + block[16:]) == struct.unpack("<I", block[12:16])[0]
    )


def read_details(data):
    f = Fields(data)
    version = f.number("B")
    need(version in (1, 2), "version of details")
    details = {
        "side": ["consumer", "provider"][f.number("B")],
        "direction": ["request", "response"][f.number("B")],
        "body": ["none", "inline", "own file", "digest only", "switched off"][f.number("B")],
    }
    flags = f.number("B")
    details["flags"] = flags
    details["body_length"] = f.number("Q")
    details["body_digest"] = f.take(f.number("B")).hex()
    details["client"] = [f.text() for _ in range(4)]
    details["service"] = [f.text() for _ in range(6)]
    details["message_id"] = f.text()
    details["request_id"] = f.text()
    if version == 2:
        parts = [(f.number("Q"), f.number("Q"), f.take(f.number("B")).hex()) for _ in range(f.number("I"))]
        need(sum(part[0] for part in parts) == details["body_length"], "lengths of attachments")
        details["attachments"] = [dict(zip(("length", "kept", "digest"), part)) for part in parts]
    need(f.at == len(data), "details are too long")
    return details


def read_segment(folder, name, state):
    with open(os.path.join(folder, name), "rb") as file:
        data = file.read()
    header = data[:4096]
    need(len(header) == 4096 and checked(header, b"CWLOGSG1"), f"{name}: header")
    log, segment = header[16:32], header[32:48]
    number, size = struct.unpack("<QQ", header[48:64])
    count = struct.unpack("<I", header[80:84])[0]
    need(count <= 64, f"{name}: number of roots")
    tree = Tree(size, [header[84 + 32 * i : 116 + 32 * i] for i in range(count)])
    need(name == f"segment-{number:010d}.log", f"{name}: number")
    before = state["tree"]
    if before is not None:
        need(log == state["log"], f"{name}: other log")
        need(before.size == tree.size and before.roots == tree.roots, f"{name}: does not continue")
    trailer = data[-256:]
    sealed = len(data) >= 4096 + 256 and checked(trailer, b"CWLOGIX1")
    at, end = 4096, struct.unpack("<Q", trailer[56:64])[0] if sealed else len(data)
    signatures, entries = {}, []
    while at < end:
        head = data[at : at + 72]
        good = len(head) == 72 and head[:4] == b"CWFR"
        good = good and zlib.crc32(segment + head[:68]) == struct.unpack("<I", head[68:])[0]
        if good:
            kind, flags, _, length, crc, sequence, time = struct.unpack("<BBHIIQq", head[4:32])
            leaf, offset = head[32:64], struct.unpack("<I", head[64:68])[0]
            payload = data[at + 72 : at + 72 + length]
            good = offset == at and sequence == tree.size
            good = good and len(payload) == length and zlib.crc32(payload) == crc
        if not good:
            need(not sealed, f"{name}: frame at {at}")
            break
        f = Fields(payload)
        if kind == 2:
            digest, document, result = f.take(64), f.long(), f.long()
            need(digest == sha512(document), f"{name}: signature at {at}")
            signatures[at] = (digest, sha512(result or b""))
        elif kind == 1 and flags & 2:
            print(json.dumps({"sequence": sequence, "kind": "erased message", "time": time}))
        elif kind == 1:
            salt, signature = f.take(16), signatures[f.number("I")]
            details, message, chain = f.long(), f.long(), f.long()
            shown = read_details(details)
            if shown["body"] == "own file":
                expected, digest = f.number("Q"), f.take(32)
                with open(os.path.join(folder, "bodies", f"{sequence:020d}.body"), "rb") as body:
                    octets = body.read()
                need(len(octets) == expected and sha256(octets) == digest, f"body of record {sequence}")
            else:
                digest = sha256(f.rest())
            commitment = sha256(
                salt, sha256(details), sha256(message), digest, signature[0], signature[1], sha256(chain or b"")
            )
            print(json.dumps({"sequence": sequence, "kind": "message", "time": time, **shown}))
        elif kind == 3:
            commitment = sha256(payload)
            need(f.number("B") == 1, "version of a time-stamp")
            first, until = f.number("Q"), f.number("Q")
            f.long(), f.long()
            leaves = [(f.number("Q"), f.take(64))[0] for _ in range(f.number("I"))]
            shown = {"from": first, "until": until, "leaves": leaves}
            print(json.dumps({"sequence": sequence, "kind": "time-stamp", "time": time, **shown}))
        else:
            wrong(f"{name}: kind {kind} at {at}")
        if kind != 2:
            if not flags & 2:
                place = b"\x00\x01" + struct.pack("<BQq", kind, sequence, time)
                need(leaf == sha256(place, commitment), f"leaf of record {sequence}")
            entries.append((time, at, kind))
            tree.add(leaf)
        at += 72 + length
    if sealed:
        read_index(name, data, trailer, number, size, tree, entries)
    state.update(log=log, tree=tree, sealed=sealed)


def read_index(name, data, trailer, number, first, tree, entries):
    f = Fields(trailer[16:])
    need(f.number("Q") == number and f.number("Q") == first, f"{name}: trailer")
    need(f.number("Q") == len(entries), f"{name}: number of records")
    f.take(24)
    sections = []
    for _ in range(6):
        offset, length, crc, _ = f.number("Q"), f.number("Q"), f.number("I"), f.number("I")
        sections.append(data[offset : offset + length])
        need(zlib.crc32(sections[-1]) == crc, f"{name}: section {len(sections) - 1}")
    f.number("Q")
    need(f.take(32) == tree.root(), f"{name}: root")
    for place, (time, offset, kind) in enumerate(entries):
        entry = struct.unpack("<qIIIBBH", sections[0][24 * place : 24 * place + 24])
        need((entry[0], entry[1], entry[4]) == (time, offset, kind), f"{name}: index of record {first + place}")
    ids = [struct.unpack("<QI", sections[1][at : at + 12]) for at in range(0, len(sections[1]), 12)]
    need(ids == sorted(ids), f"{name}: message ids are not sorted")
    lines = sections[5].decode("utf-8").split("\n")
    need(int(lines[1]) == tree.size and base64.b64decode(lines[2]) == tree.root(), f"{name}: checkpoint")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"segment-\d{10}\.log", name))
    need(names, "no segments")
    state = {"log": None, "tree": None, "sealed": True}
    for name in names:
        need(state["sealed"], f"a segment before {name} is not sealed")
        read_segment(folder, name, state)
    print(json.dumps({"size": state["tree"].size, "root": state["tree"].root().hex()}))


if __name__ == "__main__":
    main()
