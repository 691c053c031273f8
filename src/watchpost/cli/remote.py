"""A running Watchpost, spoken to by its address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import httpx
import msgspec

from watchpost.cli.exits import CommandError, Exit

Answer = TypeVar("Answer")

_DONE = (httpx.codes.OK, httpx.codes.ACCEPTED)
_EXITS = {httpx.codes.NOT_FOUND: Exit.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY: Exit.USAGE}


def connect(server: str, timeout_s: float) -> httpx.Client:
    """A client for `server`; raises `CommandError` where that is no http:// or https:// address."""
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL as error:
        raise CommandError(f"{server} is no address of a server: {error}", Exit.USAGE) from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise CommandError(f"{server} is no address of a server, such as http://127.0.0.1:8484", Exit.USAGE)
    return httpx.Client(base_url=url, timeout=timeout_s, follow_redirects=True, trust_env=False)


def get(client: httpx.Client, path: str, query: Mapping[str, str | list[str]], kind: type[Answer]) -> Answer:
    """What a server answers; raises `CommandError` where it does not, or not as this Watchpost does."""
    return _ask(client, client.build_request("GET", path, params=query), kind)


def post(client: httpx.Client, path: str, body: msgspec.Struct, kind: type[Answer]) -> Answer:
    """The same for something that is to be done, said in JSON."""
    headers = {"content-type": "application/json"}
    return _ask(client, client.build_request("POST", path, content=msgspec.json.encode(body), headers=headers), kind)


def delete(client: httpx.Client, path: str, query: Mapping[str, str], kind: type[Answer]) -> Answer:
    """The same for something that is to be over."""
    return _ask(client, client.build_request("DELETE", path, params=query), kind)


def _ask(client: httpx.Client, request: httpx.Request, kind: type[Answer]) -> Answer:
    try:
        response = client.send(request)
    except httpx.HTTPError as error:
        raise CommandError(f"{client.base_url} does not answer: {error}") from error
    if response.status_code in _EXITS:
        raise CommandError(_detail(response), _EXITS[httpx.codes(response.status_code)])
    if response.status_code not in _DONE:
        raise CommandError(f"{client.base_url} answered {response.status_code}: {_detail(response)}")
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError as error:
        raise CommandError(f"{client.base_url} does not answer as this Watchpost does: {error}") from error


def _detail(response: httpx.Response) -> str:
    try:
        problem: object = response.json()
    except ValueError:
        problem = None
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return str(detail or response.reason_phrase)
