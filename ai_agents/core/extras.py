"""Third-party packages that not every program needs. If one is missing, an error says what to install."""

from collections.abc import Mapping
from importlib.util import find_spec

from ai_agents.core.exceptions import PackageMissing

# By import name: what needs the package, and the requirement as pyproject.toml has it.
PACKAGES: Mapping[str, tuple[str, str]] = {
    "alembic": ("Migrating a database", "alembic>=1.20,<2"),
    "anthropic": ("The provider anthropic", "anthropic[aiohttp]>=2.12,<3"),
    "asyncpg": ("PostgreSQL", "asyncpg>=0.32,<1"),
    "celery": ("Running jobs in workers", "celery[redis]>=5.7,<6"),
    "cryptography": ("Encrypting the headers of tools", "cryptography>=45"),
    "httpx2": ("The provider ollama", "httpx2>=2.16,<3"),
    "joserfc": ("Taking the JWTs of an OpenID Connect issuer", "joserfc>=1.8,<2"),
    "mcp": ("Speaking MCP", "mcp>=2.3,<3"),
    "obstore": ("Keeping files in a bucket", "obstore>=0.12,<1"),
    "openai": ("The provider openai", "openai[aiohttp]>=3.54,<4"),
    "opentelemetry.exporter.otlp.proto.http": ("Sending traces", "opentelemetry-exporter-otlp-proto-http>=1.40,<2"),
    "pypdf": ("Reading PDF files", "pypdf>=7.1,<8"),
    "redis": ("Redis", "redis>=8.1,<9"),
    "starlette": ("Answering with sse_response", "fastapi>=0.165,<0.200"),
}


def is_installed(module: str) -> bool:
    """Whether the module can be imported. Does not import it, though the packages that it is in."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def require(module: str) -> None:
    """Call this before the import of one of `PACKAGES`. Raises `PackageMissing`."""
    if not is_installed(module):
        raise PackageMissing(missing(module))


def missing(module: str) -> str:
    """The sentence that says what to install."""
    needed_for, requirement = PACKAGES[module]
    return f'{needed_for} needs the package {module}, which is not installed: pip install "{requirement}".'
