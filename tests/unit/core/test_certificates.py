"""The certificates that requests to others are checked with."""

import ssl

import httpx2
import pytest

from ai_agents.core.certificates import trusted_certificates
from ai_agents.tools.outbound import Outbound


@pytest.mark.parametrize("trust_env", [True, False])
def test_a_server_must_show_a_certificate_for_its_name(trust_env: bool) -> None:
    context = trusted_certificates(trust_env=trust_env)

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.get_ca_certs()


async def test_further_connections_do_not_read_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    trusted_certificates(trust_env=False)
    monkeypatch.delattr(httpx2, "create_ssl_context")

    for _ in range(2):
        await Outbound().client(timeout_s=1, max_bytes=1, max_values=1).aclose()
