"""Which addresses a user's webhook may lead to."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.egress import SystemResolver, refusal


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("8.8.8.8", ""),
        ("172.15.255.255", ""),
        ("172.32.0.1", ""),
        ("2606:4700:4700::1111", ""),
        ("::ffff:8.8.8.8", ""),
        ("64:ff9b::8.8.8.8", ""),
        ("2002:0808:0808::1", ""),
        ("0.0.0.0", "unspecified"),  # noqa: S104  an address to refuse, nothing binds to it
        ("::", "unspecified"),
        ("0.1.2.3", "private"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("192.0.2.1", "private"),
        ("198.18.0.1", "private"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "private"),
        ("2001:db8::1", "private"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("ff02::1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("fec0::1", "reserved"),
        ("::127.0.0.1", "reserved"),
        ("64:ff9b:1::1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("2002:7f00:1::1", "loopback"),
        ("2002:c0a8:101::1", "private"),
    ],
)
def test_only_an_address_that_is_public_in_every_reading_is_let_through(address: str, word: str) -> None:
    assert refusal(address) == word


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_fares_the_same_however_ipv6_writes_it(address: object) -> None:
    assert refusal(f"::ffff:{address}") == refusal(f"64:ff9b::{address}") == refusal(str(address))


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=6, network="fc00::/7"))
def test_no_private_address_is_let_through(address: object) -> None:
    assert refusal(str(address))


@pytest.mark.parametrize("written", ["2130706433", "0x7f.1", "127.1", "localhost"])
def test_every_way_to_write_loopback_resolves_to_an_address_that_is_refused(written: str) -> None:
    found = asyncio.run(SystemResolver(threads=1)(written, 80))
    assert found
    assert {refusal(address) for address in found} == {"loopback"}
