"""A workflow's webhook of Microsoft Teams, and the parts of Adaptive Cards 1.4 that have no markup."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from receiver import Request, Service, answer

LARGEST = 28 * 1024


class Run(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="TextRun"):
    text: Annotated[str, Meta(min_length=1)]
    weight: Literal["default", "bolder"] = "default"
    size: Literal["default", "large"] = "default"
    color: Literal["default", "attention", "warning", "good"] = "default"
    isSubtle: bool = False  # noqa: N815  the name that the format gives it


class Rich(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="RichTextBlock"):
    inlines: Annotated[list[Run], Meta(min_length=1)]
    spacing: Literal["default", "none"] = "default"


class OpenUrl(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="Action.OpenUrl"):
    title: str
    url: Annotated[str, Meta(pattern="^https?://")]


class Card(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="AdaptiveCard"):
    schema: str = msgspec.field(name="$schema")
    version: Literal["1.4"]
    body: Annotated[list[Rich], Meta(min_length=1)]
    actions: Annotated[list[OpenUrl], Meta(max_length=6)]
    msteams: dict[str, str] = {}


class Attachment(msgspec.Struct, forbid_unknown_fields=True):
    contentType: Literal["application/vnd.microsoft.card.adaptive"]  # noqa: N815  the name that the format gives it
    content: Card
    contentUrl: None = None  # noqa: N815  the name that the format gives it


class Posted(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="message"):
    attachments: Annotated[list[Attachment], Meta(min_length=1, max_length=1)]


class TeamsService(Service):
    """`cards` are those that were posted."""

    def __init__(self, *faults: bytes) -> None:
        super().__init__(*faults)
        self.cards: list[Card] = []

    def judge(self, request: Request) -> bytes:
        _, _, body = request
        if len(body) > LARGEST:
            return self.refuse("too large", "413 Payload Too Large")
        try:
            posted = msgspec.json.decode(body, type=Posted)
        except msgspec.DecodeError as error:
            return self.refuse(str(error))
        card = posted.attachments[0].content
        self.cards.append(card)
        self.told.append((card.body[0].inlines[0].text, ""))
        return answer("202 Accepted")
