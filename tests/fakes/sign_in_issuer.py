"""An issuer at which people sign in: authorization code with PKCE, refresh tokens, and answers to any page."""

import asyncio
import hashlib
import secrets
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson

from tests.fakes.http_server import Asked, redirect, reply
from tests.fakes.issuer import Issuer, encode

CLIENT_ID = "the-page"
_ANY_ORIGIN = "access-control-allow-origin: *\r\n"


class SignInIssuer(Issuer):
    """Signs in `person` at once, without a question. Its access tokens are good for `lasts_s` seconds."""

    def __init__(self, *, lasts_s: float = 300) -> None:
        super().__init__()
        self.person = "ann"
        self.lasts_s = lasts_s
        self.renewals = 0
        self._codes: dict[str, dict[str, str]] = {}
        self._refreshes: set[str] = set()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.server.on("/authorize", self._authorize)
        self.server.on("/token", self._give)
        return self

    async def _discover(self, _asked: Asked, writer: asyncio.StreamWriter) -> None:
        document = {
            "issuer": self.address,
            "jwks_uri": self.server.url("/keys"),
            "authorization_endpoint": self.server.url("/authorize"),
            "token_endpoint": self.server.url("/token"),
        }
        writer.write(_answer(document))

    async def _authorize(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        question = dict(parse_qsl(urlsplit(asked.target).query))
        assert question["response_type"] == "code"
        assert question["client_id"] == CLIENT_ID
        assert question["code_challenge_method"] == "S256"
        assert "openid" in question["scope"].split()
        code = secrets.token_urlsafe()
        self._codes[code] = question
        answer = urlencode({"code": code, "state": question["state"], "iss": self.address})
        writer.write(redirect(f"{question['redirect_uri']}?{answer}"))

    async def _give(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        form = dict(parse_qsl(asked.body.decode()))
        if form["grant_type"] == "refresh_token":
            good, nonce = form["refresh_token"] in self._refreshes, None
            self._refreshes.discard(form["refresh_token"])
            self.renewals += 1
        else:
            question = self._codes.pop(form["code"], {})
            challenge = encode(hashlib.sha256(form["code_verifier"].encode()).digest())
            good = (challenge, form["redirect_uri"]) == (question.get("code_challenge"), question.get("redirect_uri"))
            nonce = question.get("nonce")
        if not good or form["client_id"] != CLIENT_ID:
            writer.write(_answer({"error": "invalid_grant"}, status="400 Bad Request"))
            return
        refresh = secrets.token_urlsafe()
        self._refreshes.add(refresh)
        tokens = {
            "access_token": self.jwt(self.person, lasts_s=self.lasts_s, jti=secrets.token_urlsafe()),
            "id_token": self.jwt(self.person, aud=CLIENT_ID, nonce=nonce),
            "refresh_token": refresh,
            "token_type": "Bearer",
        }
        writer.write(_answer(tokens))


def _answer(value: object, *, status: str = "200 OK") -> bytes:
    return reply(orjson.dumps(value), status=status, kind="application/json", more=_ANY_ORIGIN)
