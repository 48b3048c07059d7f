"""Hosts of addresses."""

import pytest

from ai_agents.core.hosts import is_host


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "example.com.",
        "a",
        "my_service",
        "localhost",
        "b\u00fccher.example",
        "127.0.0.1",
        "::1",
        "::ffff:1.2.3.4",
    ],
)
def test_names_and_whole_addresses_are_hosts(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "", ".", "a..b", "-", "-a", "a-", "*", "%31", "a%00b", "a b", "x" * 64, "x." * 130 + "example",
        "127.1", "0x7f.1", "0x", "1.1.1.1.1", "256.256.256.256", "999999999999", "v1.x:",
        "::1%lo", "::1%25lo", "fe80::1%", "1::2::3", "\u00ad", "\uff0e.example", "\ud800",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_cannot_be_looked_up_is_no_host(host: str) -> None:
    assert not is_host(host)
