"""Settings: `watchpost.toml`, then `WATCHPOST_*`, then the command line. Read once, checked, handed down in pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from watchpost.detect.catalogue import CATALOGUE

CONFIG_FILE = Path("watchpost.toml")

_Seconds = Annotated[float, Field(gt=0)]
_Mebibytes = Annotated[int, Field(ge=1)]
_Count = Annotated[int, Field(ge=1)]
_Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(ValueError):
    """Settings that cannot be used. The message names each one and what is wrong with it."""


DetectorSection = dict[str, object]
"""What `watchpost.detect.catalogue` reads into the settings of one detector."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IngestSettings(_Section):
    """What one request may hold, and who decodes it."""

    processes: Annotated[int, Field(ge=0)] = 1
    body_mib: _Mebibytes = 16
    decompressed_mib: _Mebibytes = 32
    items: _Count = 100_000
    attributes: _Count = 1024


class FlowSettings(_Section):
    """How the flow breathes and how much it holds."""

    batch_seconds: _Seconds = 0.5
    lag_mib: _Mebibytes = 256
    fold_mib: _Mebibytes = 256


class SessionSettings(_Section):
    """When a session counts as over."""

    quiet_seconds: _Seconds = 30
    idle_seconds: _Seconds = 600


class RedactionSection(_Section):
    """What is replaced by a pseudonym before anything is stored."""

    kinds: tuple[str, ...] | None = None
    patterns: dict[str, str] = {}
    fields: tuple[str, ...] = ()
    allowed_fields: tuple[str, ...] = ()
    id_formats: tuple[str, ...] = ()


_Share = Annotated[float, Field(ge=0, le=1)]


class PrecisionSection(_Section):
    """When a detector that people dismiss stops paging."""

    least: _Share = 0.5
    verdicts: _Count = 10
    kinds: dict[str, _Share] = {}


class WebhookSection(_Section):
    """Where a channel's notices go, and the secrets that sign them: the current one and, in a rotation, the one before."""

    url: str
    secrets: tuple[str, ...]
    allow_private: bool = False


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="WATCHPOST_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    data: Path = Path("watchpost-data")
    host: str = "127.0.0.1"
    port: _Port = 8484
    grpc_port: _Port = 4317
    telemetry: str = ""
    state: str = ""
    ingest: IngestSettings = IngestSettings()
    flow: FlowSettings = FlowSettings()
    session: SessionSettings = SessionSettings()
    loop: DetectorSection = {}
    hallucination: DetectorSection = {}
    context_drift: DetectorSection = {}
    budget: DetectorSection = {}
    retry_storm: DetectorSection = {}
    ping_pong: DetectorSection = {}
    stale_data: DetectorSection = {}
    invalid_output: DetectorSection = {}
    refusal: DetectorSection = {}
    empty_result: DetectorSection = {}
    unknown_tool: DetectorSection = {}
    latency: DetectorSection = {}
    schema_drift: DetectorSection = {}
    injection: DetectorSection = {}
    run_time: DetectorSection = {}
    sequences: tuple[dict[str, object], ...] = ()
    redaction: RedactionSection = RedactionSection()
    prices: tuple[dict[str, object], ...] = ()
    rules: tuple[dict[str, object], ...] = ()
    precision: PrecisionSection = PrecisionSection()
    webhooks: dict[str, WebhookSection] = {}

    @property
    def detectors(self) -> dict[str, DetectorSection]:
        """The section of every detector, by name."""
        return {row.section: getattr(self, row.section) for row in CATALOGUE}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line beats the environment, the environment beats the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, CONFIG_FILE)


def read_settings(**given: object) -> Settings:
    """Read all settings once; `given` are those of the command line. Raises `SettingsError`."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type] # pydantic checks them
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("; ".join(faults)) from error
    except ValueError as error:
        raise SettingsError(f"{CONFIG_FILE}: {error}") from error
