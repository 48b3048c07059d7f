"""Keys and tokens, by the forms that those who give them out have given them."""

from collections.abc import Sequence

from ai_agents.guardrails.base import PatternGuardrail
from ai_agents.guardrails.matching import No, Rule, Yes
from ai_agents.guardrails.patterns import regex

_TOKENS = (
    # Anthropic, OpenAI and those who took over their form.
    r"sk-[A-Za-z0-9_-]{20,}",
    # GitHub, GitLab, Slack, npm, Google, Stripe.
    r"gh[opsur]_[A-Za-z0-9]{30,}",
    r"github_pat_[A-Za-z0-9_]{50,}",
    r"glpat-[A-Za-z0-9_.-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"npm_[A-Za-z0-9]{36}",
    r"AIza[A-Za-z0-9_-]{35}",
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{20,}",
    # This service's own: API keys, the admin key that it makes itself.
    r"aia_[A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{43}",
    r"admin_[A-Za-z0-9_-]{43}",
    # JSON Web Tokens.
    r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{16,}",
)
_AWS = r"(?:AKIA|ASIA)[A-Z0-9]{16}\b"
# Lines may be written out as \n; the end may be missing.
_PEM = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z-]{1,20}: [^\n]{0,80}\n){0,3}[A-Za-z0-9+/=\s\\]*"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)


def _check_token(text: str, start: int, end: int) -> Yes | No:
    """Not the end of a longer word, and no words joined by hyphens."""
    if (start and (text[start - 1].isalnum() or text[start - 1] == "_")) or not any(map(str.isdigit, text[start:end])):
        return No(start + 1)
    return Yes(end)


def _check_aws(text: str, start: int, end: int) -> Yes | No:
    is_word = start > 0 and text[start - 1].isalnum()
    return No(start + 1) if is_word or not text[start:end].isupper() else Yes(end)


class Secrets(PatternGuardrail):
    """Finds keys and tokens of well-known forms."""

    def rules(self) -> Sequence[Rule]:
        """One for each form."""
        return [
            Rule(regex("|".join(_TOKENS), endless=True), _check_token),
            Rule(regex(_AWS), _check_aws),
            Rule(regex(_PEM, endless=True)),
        ]
