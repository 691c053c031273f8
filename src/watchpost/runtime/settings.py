"""Settings: `watchpost.toml`, then `WATCHPOST_*`, then the command line. Read once, checked, handed down in pieces."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from watchpost.detect.catalogue import CATALOGUE
from watchpost.model.session import Outcome

CONFIG_FILE = Path("watchpost.toml")

_Seconds = Annotated[float, Field(gt=0)]
_Mebibytes = Annotated[int, Field(ge=1)]
_Count = Annotated[int, Field(ge=1)]
_Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(ValueError):
    """Settings that cannot be used. The message names each one and what is wrong with it."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no time zone of the IANA database, such as Europe/Berlin") from error
    return name


def _written_otherwise_now(given: object) -> None:
    """Refuse rules of a time before there were files of them: whoever has some must learn that they tell nobody any more."""
    if given is None:
        return
    raise ValueError(
        "rules are files of YAML now, named by alerting.rules, and alerting.routes says who is told: "
        'docs/rules.md shows under "Rules that stood in the settings" what to write instead'
    )


DetectorSection = dict[str, object]
"""What `watchpost.detect.catalogue` reads into the settings of one detector."""

ChannelSection = dict[str, object]
"""What `watchpost.alerting.channels` reads into the settings of one channel."""


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


class SuccessSection(_Section):
    """What counts as success of one workflow."""

    outcomes: tuple[Outcome, ...] = ("completed",)
    without: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    feedback: Literal["", "positive", "not_negative"] = ""
    score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    evaluator: str = ""


class SlaSection(_Section):
    """What one run of a workflow may take."""

    max_latency_seconds: Annotated[Decimal, Field(ge=0, le=10**9, decimal_places=6)] | None = None
    max_tokens_per_request: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    max_cost_usd: Annotated[Decimal, Field(ge=0, le=10**9, decimal_places=9)] | None = None


class SpendingSection(_Section):
    """By which clock days begin."""

    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of that name."""
        return ZoneInfo(self.timezone)


class RetentionSection(_Section):
    """What is kept of traces, and for how long after the end of the day, in UTC, on which it came."""

    enabled: bool = True
    hot_hours: Annotated[int, Field(ge=1, le=24 * 366)] = 24
    trace_days: Annotated[int, Field(ge=1, le=36_600)] = 7
    metrics_days: Annotated[int, Field(ge=1, le=36_600)] = 30
    share: _Share = 0.10
    shares: dict[str, _Share] = {}
    latency_quantile: Annotated[float, Field(ge=0, lt=1)] = 0.99

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.hot_hours > 24 * self.trace_days:
            raise ValueError("hot_hours must not be more than trace_days")
        return self


class AlertingSection(_Section):
    """Which rules are judged, how often, and who is told by which routes. Paths are taken from where the program is started."""

    rules: tuple[str, ...] = ()
    shipped_rules: bool = True
    routes: str = ""
    interval_seconds: Annotated[int, Field(ge=15, le=900, multiple_of=15)] = 15


class InboundSection(_Section):
    """The secrets by which those who send to Watchpost prove themselves; nobody is listened to without one."""

    slack_signing_secret: str = Field(default="", repr=False)
    pagerduty_secrets: tuple[str, ...] = Field(default=(), repr=False)
    alertmanager_token: str = Field(default="", repr=False)
    no_word_seconds: float = Field(default=9 * 3600, ge=0, allow_inf_nan=False)


class WebhookSection(_Section):
    """Where a channel's notices go, and the secrets that sign them: the current one and, in a rotation, the one before."""

    url: str = Field(repr=False)
    secrets: tuple[str, ...] = Field(repr=False)
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
    rephrased: DetectorSection = {}
    corrected: DetectorSection = {}
    escalated: DetectorSection = {}
    run_time: DetectorSection = {}
    abandoned: DetectorSection = {}
    sequences: tuple[dict[str, object], ...] = ()
    success: dict[str, SuccessSection] = {}
    sla: dict[str, SlaSection] = {}
    redaction: RedactionSection = RedactionSection()
    prices: tuple[dict[str, object], ...] = ()
    spending: SpendingSection = SpendingSection()
    rules: Annotated[None, BeforeValidator(_written_otherwise_now)] = None
    precision: PrecisionSection = PrecisionSection()
    retention: RetentionSection = RetentionSection()
    inbound: InboundSection = InboundSection()
    webhooks: dict[str, WebhookSection] = {}
    alerting: AlertingSection = AlertingSection()
    channels: dict[str, ChannelSection] = Field(default={}, repr=False)
    public_url: str = ""

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
