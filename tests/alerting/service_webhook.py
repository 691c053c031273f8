"""A receiver of signed webhooks that drops what it has seen, by the reference library of Standard Webhooks."""

from __future__ import annotations

import base64

import msgspec
from receiver import Request, Service, answer
from standardwebhooks import Webhook as Reference
from standardwebhooks import WebhookVerificationError

SECRET = f"whsec_{base64.b64encode(b'n' * 32).decode()}"
LARGEST = 1 << 20


class WebhookService(Service):
    """`data` is what each message held, by its id."""

    def __init__(self, *faults: bytes) -> None:
        super().__init__(*faults)
        self.data: dict[str, dict[str, object]] = {}

    def judge(self, request: Request) -> bytes:
        _, headers, body = request
        try:
            Reference(SECRET).verify(body, headers)
        except WebhookVerificationError as error:
            return self.refuse(str(error), "401 Unauthorized")
        if len(body) > LARGEST:
            return self.refuse("too large", "413 Payload Too Large")
        said = msgspec.json.decode(body, type=dict[str, object])
        data = said["data"]
        assert isinstance(data, dict)
        self.data[headers["webhook-id"]] = data
        self.told.append((headers["webhook-id"], str(said["type"])))
        return answer("204 No Content")
