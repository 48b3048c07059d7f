"""What is said of the connections that a process may have."""

import pytest

from app.descriptors import DescriptorShares
from app.serving.server import _are_too_few
from app.settings import Settings


@pytest.mark.parametrize(
    "asked, shares, told",
    [
        ({}, 8900, False),
        ({}, 60, True),
        ({"max_connections": 9000}, 8900, True),
        ({"max_upstream_connections": 9000}, 8900, True),
        ({"max_connections": 50, "max_upstream_connections": 50}, 50, False),
    ],
)
def test_few_connections_are_told_where_more_were_asked_for(asked: dict[str, int], shares: int, told: bool) -> None:
    settings = Settings(_env_file=None, **asked)  # type: ignore[arg-type]  # pydantic-settings reads them

    assert _are_too_few(DescriptorShares(20_000, shares, shares, 100), settings) is told
