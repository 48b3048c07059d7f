"""The providers and their models."""

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model, field_validator
from pydantic_settings import BaseSettings

from ai_agents.context.catalogue import ModelFacts
from ai_agents.providers.specs import PROVIDER_TYPES, ProviderSpec, ProviderType
from app.settings.provider_files import read_prices, read_providers
from app.settings.values import ApiKey, JsonOrFile, ModelName, OllamaHost, ServerUrl, plain

_OPTIONS: dict[str, Any] = {"api_key": ApiKey | None, "base_url": ServerUrl | None}
_OF_OLLAMA: dict[str, Any] = {"base_url": OllamaHost | None}


def _of_provider(name: str, option: str, kind: ProviderType) -> str:
    if option == "api_key":
        return f"The key of the provider `{name}`, which it enables."
    return f"Where the provider `{name}` is, if not at `{kind.base_url}`."


def _fields_of_providers() -> dict[str, Any]:
    """A field for each variable of a built-in provider, under the variable's name in small letters."""
    return {
        variable.lower(): (
            (_OF_OLLAMA if name == "ollama" else _OPTIONS)[option],
            Field(None, validation_alias=variable, description=_of_provider(name, option, kind)),
        )
        for name, kind in PROVIDER_TYPES.items()
        for option, variable in kind.settings.items()
    }


if TYPE_CHECKING:
    _BuiltInProviders = BaseSettings
else:
    _BuiltInProviders = create_model("_BuiltInProviders", __base__=BaseSettings, **_fields_of_providers())


class ProviderSettings(_BuiltInProviders):
    """The [providers](providers.md) and their models."""

    default_model: ModelName | None = Field(
        None,
        description="For agents that name none. If it is not set, the model of the first of these providers that has "
        "a key or an address, otherwise `echo`.",
    )
    providers: JsonOrFile | None = Field(
        None, description="More providers, in a file: [how](providers.md#providers-in-a-file)."
    )
    prices: JsonOrFile | None = Field(
        None,
        description="Prices and windows of models, where they are unknown or wrong: "
        "[how](providers.md#prices-and-windows).",
    )
    echo_delay_s: float = Field(
        0.02,
        ge=0,
        le=10,
        allow_inf_nan=False,
        description="Seconds before each word of the provider `echo`, so that it streams.",
    )

    @field_validator("prices")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            read_prices(value)
        return value

    @field_validator("providers")
    @classmethod
    def _describes_providers(cls, value: str | None) -> str | None:
        if value is not None:
            read_providers(value)
        return value

    @property
    def provider_options(self) -> dict[str, dict[str, str | None]]:
        """The options of the built-in providers, by their names."""
        return {
            name: {option: plain(getattr(self, variable.lower())) for option, variable in kind.settings.items()}
            for name, kind in PROVIDER_TYPES.items()
        }

    @property
    def provider_specs(self) -> list[ProviderSpec]:
        """The providers in `providers`, with their keys."""
        return [] if self.providers is None else read_providers(self.providers)

    @property
    def model_facts(self) -> dict[str, ModelFacts]:
        """The facts of models in `prices`."""
        return {} if self.prices is None else read_prices(self.prices)
