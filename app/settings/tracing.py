"""Where traces are sent."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from app.settings.values import WITH_CONTENT, ContentCapture, Sampler, ServerUrl, TraceHeaders, plain

_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_SPEAKS = "http/protobuf"


class TracingSettings(BaseSettings):
    """Where [traces](operations.md#traces) are sent, by OpenTelemetry's own variables. Its SDK reads further ones."""

    otel_exporter_otlp_endpoint: ServerUrl | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="A collector's address, to which `/v1/traces` is added. If it is not set, there are no traces.",
    )
    otel_exporter_otlp_traces_endpoint: ServerUrl | None = Field(
        None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", description="The same, as the whole address."
    )
    otel_exporter_otlp_headers: TraceHeaders | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_HEADERS",
        description="Headers that are sent with them, as `name=value` with commas: a token, for one.",
    )
    otel_exporter_otlp_protocol: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL",
        description=f"`{_SPEAKS}`: there is no other way.",
    )
    otel_service_name: str | None = Field(
        None,
        validation_alias="OTEL_SERVICE_NAME",
        description="What the processes are called in traces. If it is not set, `ai-agents`, and `ai-agents-worker`.",
    )
    otel_traces_sampler: Sampler | None = Field(
        None,
        validation_alias="OTEL_TRACES_SAMPLER",
        description="Which traces are sent. If it is not set, all of them; with `parentbased_…` clients decide.",
    )
    otel_traces_sampler_arg: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        validation_alias="OTEL_TRACES_SAMPLER_ARG",
        description="The share of traces that is sent, where the sampler has `traceidratio` in its name.",
    )
    otel_content: ContentCapture | None = Field(
        None,
        validation_alias=_CONTENT,
        description="Whether prompts, answers, arguments and results of tools are in traces. If it is not set, no.",
    )

    @model_validator(mode="after")
    def _speaks_http(self) -> Self:
        if self.traces_address is not None and self.otel_exporter_otlp_protocol not in (None, _SPEAKS):
            raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL should be {_SPEAKS}: traces are sent in no other way")
        return self

    @property
    def traces_address(self) -> str | None:
        """Where traces are sent; None where they are not."""
        return self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint

    @property
    def traces_have_content(self) -> bool:
        """Whether spans have what people and models said."""
        return self.otel_content in WITH_CONTENT

    def variables(self) -> dict[str, str]:
        """The variables of these settings that are set, with their values."""
        given = {field: plain(getattr(self, field)) for field in TracingSettings.model_fields}
        aliases = {name: str(field.validation_alias) for name, field in TracingSettings.model_fields.items()}
        return {aliases[name]: str(value) for name, value in given.items() if value is not None}
