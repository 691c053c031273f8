"""Without keys only this machine is served, and no page of another origin."""

from __future__ import annotations

import httpx
import pytest
from server_fakes import House, served

from watchpost.server.pages.rendering import STATIC_PATH
from watchpost.server.safety import refuse_address


@pytest.fixture(scope="module")
def closed() -> House:
    """One for all that is refused, which leaves it as it was."""
    house = House()
    house.shelf.add_session("private")
    return house


@pytest.mark.parametrize(
    "host", ["localhost:8484", "LOCALHOST:8484", "127.0.0.1:8484", "127.8.9.1:8484", "[::1]:8484", "localhost.:8484"]
)
def test_a_host_that_names_this_machine_is_served(host: str) -> None:
    assert House().get("/healthz", host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8484",
        "evil.example",
        "localhost",
        "localhost:80",
        "localhost:9999",
        "127.0.0.1.evil.example:8484",
        "localhost.evil.example:8484",
        "evil.example@localhost:8484",
        "localhost:8484@evil.example:8484",
        "0.0.0.0:8484",
        "192.168.1.4:8484",
        "[::]:8484",
        "[::1:8484",
        "localhost:99999999",
        "localhost:x",
        "",
    ],
)
@pytest.mark.parametrize(
    "path", ["/", "/api/sessions", "/v1/traces", "/healthz", "/metrics", f"{STATIC_PATH}/css/frame.css"]
)
def test_another_host_is_refused_everywhere(closed: House, host: str, path: str) -> None:
    answer = closed.get(path, host=host)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert "private" not in answer.text


def test_our_own_origin_is_served() -> None:
    house = House()
    assert house.get("/", origin="http://localhost:8484").status_code == 200
    assert house.post("/v1/traces", origin="http://localhost:8484").status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:3000",
        "http://localhost",
        "https://localhost:8484",
        "http://127.0.0.1:8484",
        "http://localhost:8484.evil.example",
        "http://localhost:8484/",
        "null",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/sessions", "/v1/traces", "/v1/logs"])
def test_a_page_of_another_origin_is_refused(closed: House, origin: str, path: str) -> None:
    answer = closed.ask("POST", path, headers={"origin": origin, "content-type": "application/json"}, body=b"{}")
    assert answer.status_code == 403
    assert closed.door.taken == []
    assert "access-control-allow-origin" not in answer.headers


def test_no_preflight_is_granted() -> None:
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = House().ask("OPTIONS", "/v1/traces", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/sessions", "/v1/traces", f"{STATIC_PATH}/css/frame.css", "/metrics"]
)
def test_every_answer_carries_the_security_headers(path: str) -> None:
    headers = House().get(path).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types watchpost-pages"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_the_port_is_the_one_that_was_connected_to() -> None:
    with served(House()) as address:
        port = address.rpartition(":")[2]
        assert httpx.get(f"{address}/healthz", headers={"host": f"localhost:{port}"}).status_code == 200
        assert httpx.get(f"{address}/healthz", headers={"host": "localhost:8484"}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_loopback_addresses_are_listened_on(host: str) -> None:
    assert refuse_address(host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "10.0.0.1", "example.com", "", "*"])  # noqa: S104 # that it is refused is the claim
def test_other_addresses_are_refused_with_the_way_out(host: str) -> None:
    reason = refuse_address(host)
    assert reason is not None
    assert "API key" in reason
    assert "127.0.0.1" in reason
