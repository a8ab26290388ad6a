"""A provider as its maker would write it with fastapi-xroad-soap: three services, two with attachments.

usage: provider.py HOST PORT
"""

import sys
from typing import List

import uvicorn
from fastapi_xroad_soap import MessageBody, SoapService, XroadHeader
from fastapi_xroad_soap.elements import Integer, String, SwaRef
from fastapi_xroad_soap.faults import ClientFault

soap = SoapService(name="Documents", path="/documents", this_namespace="https://documents.example.org")


class greetPerson(MessageBody):
    person = String(tag="person")
    times = Integer(tag="times")


class greetPersonResponse(MessageBody):
    greeting = String(tag="greeting")
    caller = String(tag="caller")


class measureFiles(MessageBody):
    file: List[SwaRef.File] = SwaRef.Element(tag="file", max_occurs="unbounded")


class measureFilesResponse(MessageBody):
    measure: List[str] = String(tag="measure", max_occurs="unbounded")


class issueFiles(MessageBody):
    number = Integer(tag="number")


class issueFilesResponse(MessageBody):
    file: List[SwaRef.File] = SwaRef.Element(tag="file", max_occurs="unbounded")


@soap.action("greetPerson")
def greet(header: XroadHeader, body: greetPerson) -> greetPersonResponse:
    if body.person == "nobody":
        raise ClientFault("nobody is not to be greeted")
    if body.person == "everybody":
        raise RuntimeError("out of breath")
    client = header.client
    caller = "/".join([client.xroad_instance, client.member_class, client.member_code, client.subsystem_code])
    return greetPersonResponse(greeting=" ".join(["Xin chào"] * body.times + [body.person]), caller=caller)


@soap.action("measureFiles")
def measure(body: measureFiles) -> measureFilesResponse:
    return measureFilesResponse(measure=[f"{file.name} {file.size} {file.digest}" for file in body.file])


@soap.action("issueFiles")
def issue(body: issueFiles) -> issueFilesResponse:
    files = [
        SwaRef.File(name=f"permit-{number}.txt", content=f"permit {number}\r\n".encode() * 1000)
        for number in range(body.number)
    ]
    return issueFilesResponse(file=files)


uvicorn.run(soap, host=sys.argv[1], port=int(sys.argv[2]), log_level="warning")
