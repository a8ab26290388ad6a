"""Starts a registry, sets an instance up over its interface, and has schemathesis ask everything.

usage: kit.py CAUSEWAY WORK_FOLDER
"""

import base64
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

causeway, work = sys.argv[1:3]
HOST = "127.0.61.1"
URL = f"https://{HOST}:4000/api/v1"
ROLES = ["XROAD_SECURITY_OFFICER", "XROAD_REGISTRATION_OFFICER", "XROAD_SYSTEM_ADMINISTRATOR"]
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "30")
# Left out, each with the reason.
LEFT_OUT = {
    "logoutToken": "it would take the signing keys away from all that comes after",
    "uploadTrustedAnchor": "it downloads from addresses in what is uploaded",
}
# What is asked of an answer. The kit's own key is always good, so nothing is said about others' here.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
trusting = ssl.create_default_context()
trusting.check_hostname = False
trusting.verify_mode = ssl.CERT_NONE


def ask(method, path, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method)
    request.add_header("Content-Type", "application/json")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, context=trusting) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def write(name, text):
    path = os.path.join(work, name)
    with open(path, "w") as file:
        file.write(text)
    return path


config = write(
    "registry.toml",
    f"""
[registry]
state = "state"
[listen]
http = "{HOST}:8880"
https = "off"
[management-services]
registration = "{HOST}:4001"
management = "{HOST}:4002"
[signing]
key = "P-256"
[administration]
listen = "{HOST}:4000"
users-file = "users.toml"
key-addresses = ["127.0.0.0/8"]
requests-per-second = 100000
requests-per-minute = 1000000
""",
)
roles = [word for role in ROLES for word in ("--role", role)]
users = os.path.join(work, "users.toml")
subprocess.run(
    [causeway, "user", "--file", users, "add", "xrd", *roles],
    input="Kit-2026-password\n", text=True, check=True, stdout=subprocess.DEVNULL,
)
log = open(os.path.join(work, "registry.log"), "w")
registry = subprocess.Popen([causeway, "registry", "--config", config], stdout=log, stderr=log)
try:
    basic = "Basic " + base64.b64encode(b"xrd:Kit-2026-password").decode()
    for _ in range(100):
        try:
            status, key = ask("POST", "/api-keys", ROLES, {"Authorization": basic})
            break
        except urllib.error.URLError:
            time.sleep(0.1)
    assert status == 200, (status, key)
    authorization = {"Authorization": f"X-Road-ApiKey token={key['key']}"}

    def must(wanted, method, path, body=None):
        status, answer = ask(method, path, body, authorization)
        assert status == wanted, (method, path, status, answer)

    must(200, "POST", "/initialization", {
        "instance_identifier": "DEV", "central_server_address": HOST, "software_token_pin": "Secret-1234",
    })
    must(200, "PUT", "/tokens/0/login", {"password": "Secret-1234"})
    for source in ("INTERNAL", "EXTERNAL"):
        must(200, "POST", f"/configuration-sources/{source}/signing-keys", {"key_label": "key", "token_id": "0"})
    must(201, "POST", "/member-classes", {"code": "COM", "description": "Commercial"})
    for code in ("1234", "4321"):
        must(201, "POST", "/members", {
            "member_id": {"member_class": "COM", "member_code": code}, "member_name": f"Member {code}",
        })
    must(201, "POST", "/subsystems", {
        "subsystem_id": {"member_class": "COM", "member_code": "1234", "subsystem_code": "MANAGEMENT"},
    })
    must(201, "POST", "/global-groups", {"code": "group", "description": "A group"})

    # The examples of path parameters lead to what exists, the generated values mostly to what does not.
    status, document = ask("GET", "/openapi.yaml")
    assert status == 200
    operations = sum(len(methods) for methods in document["paths"].values())
    schema = write("openapi.json", json.dumps(document))
    excluded = [word for name in LEFT_OUT for word in ("--exclude-operation-id", name)]
    for name, reason in LEFT_OUT.items():
        print(f"left out: {name}, {reason}")
    schemathesis = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    run = subprocess.run(
        [
            schemathesis, "run", schema, "--url", URL, "--tls-verify", "false", "--workers", "1",
            "--header", f"Authorization: {authorization['Authorization']}", "--checks", ",".join(CHECKS),
            "--max-examples", EXAMPLES, "--seed", "1", "--phases", "examples,coverage,fuzzing",
            "--continue-on-failure", "--request-timeout", "30", "--suppress-health-check", "all",
            "--warnings", "off", "--no-color", *excluded,
        ],
        cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    write("schemathesis.txt", run.stdout)
    if run.returncode:
        print(run.stdout[-20000:])
        raise SystemExit("schemathesis found something")
    summary = run.stdout[run.stdout.rfind("SUMMARY"):]
    print(re.sub(r"\n\s*\n", "\n", summary))
    print(f"schemathesis: {operations - len(LEFT_OUT)} of {operations} operations, no 5xx, no undocumented answer")
    assert registry.poll() is None, "the registry ended"
finally:
    registry.terminate()
    registry.wait()
