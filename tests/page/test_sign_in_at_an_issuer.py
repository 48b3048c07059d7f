"""Signing in at an issuer of OpenID Connect."""

import re

import httpx
import pytest
from playwright.async_api import expect

from tests.conftest import fresh_sqlite
from tests.fakes.issuer import AUDIENCE
from tests.fakes.sign_in_issuer import CLIENT_ID, SignInIssuer
from tests.page.support.site import open_site
from tests.page.support.visits import Visits, check_accessible
from tests.support.shared import SharedDirectory


async def test_a_person_signs_in_at_the_issuer_and_stays_as_tokens_are_renewed(
    visit: Visits, shared_directory: SharedDirectory, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("issued")
    async with SignInIssuer(lasts_s=50) as issuer:
        settings = {
            "AI_AGENTS_OIDC_ISSUER": issuer.address,
            "AI_AGENTS_OIDC_AUDIENCE": AUDIENCE,
            "AI_AGENTS_OIDC_CLIENT_ID": CLIENT_ID,
        }
        async with open_site(directory, fresh_sqlite(shared_directory, directory), **settings) as site:
            async with httpx.AsyncClient(base_url=site.url) as client:
                policy = (await client.get("/")).headers["content-security-policy"]
                elsewhere = (await client.get("/docs")).headers["content-security-policy"]
            assert f"connect-src 'self' http://{issuer.server.host};" in policy
            assert "connect-src 'self';" in elsewhere

            visits = visit.at(site, also=issuer.server.url())
            page = await visits(None, "/search?q=hello")
            await check_accessible(page)
            await page.get_by_role("button", name="Sign in at").click()
            await expect(page.get_by_title(f"{issuer.address}|ann")).to_be_visible()
            assert re.fullmatch(re.escape(site.url) + r"/#/search\?q=hello", page.url)
            await expect(page).to_have_title(re.compile("Search"))

            # The token of this issuer ends within a minute, so it is renewed before it is used again.
            await page.reload()
            await expect(page.get_by_title(f"{issuer.address}|ann")).to_be_visible()
            assert issuer.renewals >= 1

            await page.goto(f"{site.url}/?code=stolen&state=a-strangers")
            await expect(page.get_by_title(f"{issuer.address}|ann")).to_be_visible()
            await page.get_by_role("button", name="Your account").click()
            await page.get_by_role("menuitem", name="Sign out").click()
            await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            # A load in the middle of a renewal loses its answer, and the refresh token is good once.
            visit.complaints[:] = [each for each in visit.complaints if "400" not in each]
            await page.close()
