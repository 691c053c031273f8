"""The settings in force as people may see them: each with where it was set, and no secret among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from watchpost.alerting.channels import CHANNELS, Secret
from watchpost.detect.abandoned import AbandonedSettings
from watchpost.detect.catalogue import CATALOGUE
from watchpost.detect.run_time import RunTimeSettings
from watchpost.runtime.channels import channel_sections
from watchpost.runtime.settings import CONFIG_FILE, Settings

Origin = Literal["default", "file", "environment", "command line"]

IS_SET, IS_NOT_SET = "set", "not set"
"""All that is said of a secret."""

_SECRET_WORDS = frozenset({"key", "token", "secret", "secrets", "password", "dsn", "authorization"})
_ELSEWHERE = frozenset({"rules", "channels", "webhooks"})
_DETECTORS: Mapping[str, type[msgspec.Struct]] = {
    **{row.section: row.settings for row in CATALOGUE},
    "run_time": RunTimeSettings,
    "abandoned": AbandonedSettings,
}


class ShownSetting(msgspec.Struct, frozen=True):
    """One setting: its name as documented, its value as text, and where it was set. Of a `secret` only whether it is set is said."""

    name: str
    value: str
    origin: Origin
    secret: bool


class ShownChannel(msgspec.Struct, frozen=True):
    """One channel, and what is set of it."""

    name: str
    type: str
    settings: list[ShownSetting]


class SettingsShown(msgspec.Struct, frozen=True):
    """Everything in force, in the order of the documentation. `file` is the file that was looked for, and whether it `is_there`."""

    file: str
    is_there: bool
    settings: list[ShownSetting]
    channels: list[ShownChannel]

    def under(self, *sections: str) -> list[ShownSetting]:
        """Those of some sections."""
        return [each for each in self.settings if each.name.partition(".")[0] in sections]


def settings_shown(settings: Settings) -> SettingsShown:
    """The settings as they are in force. Reads the file and the environment once more, to say which of them a value comes from."""
    sources = _Sources()
    found: list[ShownSetting] = []
    for name in type(settings).model_fields:
        if name not in _ELSEWHERE:
            found += _walk(sources, (name,), _in_force(name, getattr(settings, name)))
    channels = []
    for name, section in sorted(channel_sections(settings).items()):
        place = "webhooks" if name in settings.webhooks else "channels"
        channels.append(ShownChannel(name, str(section.get("type", "")), _of_channel(sources, place, name, section)))
    return SettingsShown(str(CONFIG_FILE), CONFIG_FILE.is_file(), found, channels)


class _Sources:
    """What the file and the environment say, by nested names."""

    def __init__(self) -> None:
        self._file = TomlConfigSettingsSource(Settings, CONFIG_FILE)()
        self._environment = EnvSettingsSource(Settings)()

    def origin(self, path: tuple[str, ...], value: object, default: object = None) -> Origin:
        """Where a value comes from. Only what has no section can be given on the command line, where it beats all else."""
        origin: Origin
        found: tuple[tuple[Origin, object], ...] = (
            ("environment", _at(self._environment, path)),
            ("file", _at(self._file, path)),
        )
        origin, given = next((each for each in found if each[1] is not None), ("default", default))
        if len(path) == 1 and isinstance(value, str | int | Path) and str(given) != str(value):
            return "command line"
        return origin


def _at(tree: object, path: tuple[str, ...]) -> object:
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return None
        tree = tree[name]
    return tree


def _in_force(name: str, value: object) -> object:
    """The section of a detector with its defaults; anything else as it is."""
    if name in _DETECTORS and isinstance(value, dict):
        return msgspec.convert(value, _DETECTORS[name], strict=False)
    return value


def _walk(sources: _Sources, path: tuple[str, ...], value: object) -> Iterator[ShownSetting]:
    """Every setting below a name; what is a table of names that people choose is followed as far as it has sections."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _walk(sources, (*path, name), getattr(value, name))
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _walk(sources, (*path, name), getattr(value, name))
    elif isinstance(value, dict) and value and all(isinstance(each, BaseModel) for each in value.values()):
        for name, each in value.items():
            yield from _walk(sources, (*path, str(name)), each)
    else:
        default = Settings.model_fields[path[0]].default if len(path) == 1 else None
        yield _setting(sources, path, value, default)


def _setting(sources: _Sources, path: tuple[str, ...], value: object, default: object = None) -> ShownSetting:
    origin = sources.origin(path, value, default)
    if _is_secret(path[-1]):
        return ShownSetting(".".join(path), IS_SET if value else IS_NOT_SET, origin, secret=True)
    return ShownSetting(".".join(path), _text(value), origin, secret=False)


def _is_secret(name: str) -> bool:
    return bool(_SECRET_WORDS.intersection(name.lower().split("_")))


def _of_channel(sources: _Sources, place: str, name: str, section: Mapping[str, object]) -> list[ShownSetting]:
    kind = CHANNELS.get(str(section.get("type", "")))
    if kind is None:
        return []
    found = []
    for field in msgspec.structs.fields(kind.settings):
        path = (place, name, field.name)
        origin = sources.origin(path, section.get(field.name))
        is_secret = _is_secret(field.name) or "Secret" in str(field.type)
        given = section.get(field.name, None if isinstance(field.default, Secret) else field.default)
        text = (IS_SET if given else IS_NOT_SET) if is_secret else _text(given)
        found.append(ShownSetting(".".join(path), text, origin, secret=is_secret))
    return found


def _text(value: object) -> str:
    """A value on one line; of an address no user, password or parameter, for those may be secrets."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value == "" or value is msgspec.NODEFAULT:
        return ""
    if isinstance(value, str | Path):
        return _address(str(value)) if "://" in str(value) else str(value)
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return ", ".join(str(each) for each in value)
    return msgspec.json.encode(_open(value), enc_hook=str).decode()


def _open(value: object) -> object:
    """The same in lists and tables, without the secrets in it."""
    if isinstance(value, BaseModel | msgspec.Struct):
        value = msgspec.to_builtins(value, enc_hook=str) if isinstance(value, msgspec.Struct) else value.model_dump()
    if isinstance(value, dict):
        return {str(name): IS_SET if _is_secret(str(name)) else _open(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_open(each) for each in value]
    return _address(value) if isinstance(value, str) and "://" in value else value


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        place = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return IS_SET
    return f"{parts.scheme}://{place}{parts.path}"
