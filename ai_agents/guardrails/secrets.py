"""Keys and tokens in the forms that their issuers have given them."""

import re
from collections.abc import Sequence

from ai_agents.guardrails.base import PatternGuardrail
from ai_agents.guardrails.matching import Accepted, Continuation, Rejected, Rule, is_in_word
from ai_agents.guardrails.patterns import regex

_TOKENS = (
    # Anthropic, OpenAI and others that use the same form.
    r"sk-[A-Za-z0-9_-]{20,}",
    # GitHub, GitLab, Slack, npm, Google, Stripe.
    r"gh[opsur]_[A-Za-z0-9]{30,}",
    r"github_pat_[A-Za-z0-9_]{50,}",
    r"glpat-[A-Za-z0-9_.-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"npm_[A-Za-z0-9]{36}",
    r"AIza[A-Za-z0-9_-]{35}",
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{20,}",
    # Groq, xAI, Perplexity, Replicate.
    r"(?:gsk_|xai-|pplx-|r8_)[A-Za-z0-9]{30,}",
    # Vault, Google's OAuth, PyPI, Docker, Grafana, Postman, Figma, Slack's applications, Sentry.
    r"(?:hv[sb]\.|ya29\.|pypi-AgE|dckr_pat_|glsa_|pmak-|figd_|xapp-[0-9]-|sntry[su]_)[A-Za-z0-9_-]{24,}",
    # DigitalOcean, Databricks, Shopify, Sourcegraph, Pulumi.
    r"(?:do[opr]_v1_|dapi|shp(?:at|ca|pa|ss)_|sgp_(?:[0-9a-f]{16}_|local_)?|pul-)[0-9a-f]{32,}",
    # SendGrid, Notion, Linear, RubyGems.
    r"SG\.[A-Za-z0-9_-]{16,24}\.[A-Za-z0-9_-]{30,}",
    r"ntn_[0-9]{11}[A-Za-z0-9]{30,}",
    r"(?:lin_(?:api|oauth)_|rubygems_)[A-Za-z0-9]{30,}",
    # Webhooks of Slack and Discord, whose addresses are all that it takes to write; bots of Telegram.
    r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,}",
    r"discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/[0-9]{15,20}/[A-Za-z0-9_-]{40,}",
    r"(?:bot)?[0-9]{6,12}:AA[A-Za-z0-9_-]{30,}",
    # This service's own API keys, tokens, tickets and generated admin key.
    r"(?:ai[at]|tkt)_[A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{43}",
    r"admin_[A-Za-z0-9_-]{43}",
)
# Hugging Face's are random letters, at times without a digit.
_LETTERS = r"hf_[A-Za-z0-9]{34}"
# Base64: service accounts of 1Password, keys of Amazon Bedrock. They are far longer than a word.
_BASE64 = r"(?:ops_eyJ|ABSK)[A-Za-z0-9+/]{60,}"
# JSON Web Tokens: a header and claims, both of which begin with `{"`.
_JWT = r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}"
# A token has a digit among its first 128 characters. A header is at most 1000 characters long.
_TOKEN_KNOWN_BY, _LONGEST_HEADER = 128, 1000
# It may take one more character, because \b treats _ as a letter.
_AWS = r"(?:AKIA|ASIA)[A-Z0-9]{16}(?:\b|_)"
_PEM = r"----[- ]BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?(?:-----| ----)"

# These expressions run on folded text, which has no upper case.
_TOKEN_REST = re.compile(r"[a-z0-9_-]*")
_BASE64_REST = re.compile(r"[a-z0-9+/=]*")
_JWT_REST = re.compile(r"[a-z0-9_-]*(?:\.[a-z0-9_-]+)*")
_KEY_BORDER = re.compile(r"----[- ](begin|end) [a-z0-9 ]{0,40}private key(?: block)?(?:-----| ----)")
# A key's lines are longer than words, except its last line and a checksum. Quoting characters may stand between them:
# `> `, `\n" + "`.
_KEY_LINE = re.compile(r"[a-z0-9+/=]{24,}+")
_QUOTING = r"(?:\\[nrt]|[^a-z0-9]){0,40}+"
_HEADER = r"(?:proc-type|dek-info|version|comment|charset|hash|messageid|subject): (?:(?!\\[nr])[^\n]){0,200}+"
_IN_LINE = r"(?:\\[nrt]|[^a-z0-9\n]){0,20}+"
_SHORT_LINE = (
    rf"(?=[^a-z0-9\n\\]{{0,8}}(?:\\r)?(?:\n|\\n)){_IN_LINE}\n?+{_IN_LINE}[a-z0-9+/]{{1,63}}+={{0,2}}+(?=[\r\n\"'\\]|\Z)"
)
_KEY_BODY = re.compile(
    rf"[a-z0-9+/=]*+(?:(?:{_QUOTING}(?:{_HEADER}|{_KEY_LINE.pattern}))++(?:{_SHORT_LINE}){{0,2}}+)?+"
)
# The first line of a key starts within 1000 characters of its header, and a key ends within 16000.
_KEY_BEGINS, _KEY_ENDS = 1000, 16_000


def _check_token(text: str, start: int, end: int) -> Accepted | Rejected:
    """Rejects the end of a longer word, and words joined by hyphens."""
    end = min(end, start + _TOKEN_KNOWN_BY)
    return Accepted(end) if _has_digit(text, start, end) and not is_in_word(text, start) else Rejected(start + 1)


def _check_long(text: str, start: int, end: int) -> Accepted | Rejected:
    """Rejects the end of a longer word. No word is as long as these are."""
    return Rejected(start + 1) if is_in_word(text, start) else Accepted(min(end, start + _TOKEN_KNOWN_BY))


def _check_jwt(text: str, start: int, end: int) -> Accepted | Rejected:
    header_end = text.index(".", start, end)
    is_header = header_end - start <= _LONGEST_HEADER and _has_digit(text, start, header_end)
    return Accepted(header_end + len(".eyJ")) if is_header and not is_in_word(text, start) else Rejected(start + 1)


def _has_digit(text: str, start: int, end: int) -> bool:
    return any(map(str.isdigit, text[start:end]))


def _check_aws(text: str, start: int, end: int) -> Accepted | Rejected:
    """Rejects words: many begin with `asia`."""
    end -= text[end - 1] == "_"
    is_word = text.startswith("asia", start) and text[start:end].isalpha()
    return Rejected(start + 1) if is_word or is_in_word(text, start) else Accepted(end)


def _follow_token(text: str, at: int, is_final: bool) -> Continuation:
    end = _end(_TOKEN_REST, text, at)
    return Continuation(end, is_open=end == len(text) and not is_final)


def _follow_base64(text: str, at: int, is_final: bool) -> Continuation:
    end = _end(_BASE64_REST, text, at)
    return Continuation(end, is_open=end == len(text) and not is_final)


def _follow_jwt(text: str, at: int, is_final: bool) -> Continuation:
    end = _end(_JWT_REST, text, at)
    return Continuation(end, is_open=text[end : end + 2] in {"", "."} and not is_final)


def _follow_key(text: str, at: int, is_final: bool) -> Continuation:
    """Continues to the END line of the key or, if it is missing, as far as the text looks like a key."""
    for stop in (at + _KEY_BEGINS, at + _KEY_ENDS):
        border = _KEY_BORDER.search(text, at, stop)
        if border is not None:
            return Continuation(border.end() if border[1] == "end" else _end(_KEY_BODY, text, at, border.start()))
        if len(text) < stop and not is_final:
            return Continuation(at, is_open=True)
        if _KEY_LINE.search(text, at, at + _KEY_BEGINS) is None:
            return Continuation(_end(_KEY_BODY, text, at, stop))
    end = _end(_KEY_BODY, text, at, at + _KEY_ENDS)
    return Continuation(end, is_open=at + _KEY_ENDS - end < _KEY_BEGINS and not is_final)


def _end(pattern: re.Pattern[str], text: str, start: int, stop: int | None = None) -> int:
    """Where the match of a pattern ends that also matches the empty text."""
    found = pattern.match(text, start, len(text) if stop is None else stop)
    return start if found is None else found.end()


class Secrets(PatternGuardrail):
    """Finds keys and tokens in well-known forms."""

    def rules(self) -> Sequence[Rule]:
        """One rule for each form."""
        return [
            Rule(regex("|".join(_TOKENS), known_by=_TOKEN_KNOWN_BY), _check_token, _follow_token),
            Rule(regex(_LETTERS), _check_long, _follow_token),
            Rule(regex(_BASE64, known_by=_TOKEN_KNOWN_BY), _check_long, _follow_base64),
            Rule(regex(_JWT, known_by=_LONGEST_HEADER + 16), _check_jwt, _follow_jwt),
            Rule(regex(_AWS), _check_aws),
            Rule(regex(_PEM), follow=_follow_key),
        ]
