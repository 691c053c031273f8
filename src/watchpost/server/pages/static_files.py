"""The style sheets, scripts and icons of pages: kept by browsers for good, and compressed once, when the server starts."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_SHRINKS = frozenset({".css", ".js", ".svg", ".json", ".txt"})
"""Endings of files that are text; others are compressed as they are."""


class KeptForGood(StaticFiles):
    """Files that a browser asks for once, because what changes them changes their address.

    Who takes gzip is given what was made of them beforehand, unless a range is asked for: that is one of the file itself. Both have the
    time and the tag of the file, the compressed one a weak one, so that either is confirmed by a 304.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory)
        self._packed = dict(_packed(directory))

    async def get_response(self, path: str, scope: Scope) -> Response:
        """See `StaticFiles`."""
        answer = await super().get_response(path, scope)
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        asked, packed = Headers(scope=scope), self._packed.get(path)
        if packed is None or not isinstance(answer, FileResponse) or "range" in asked:
            return answer
        if "gzip" not in asked.get("accept-encoding", ""):
            return answer
        headers = {
            **answer.headers,
            "content-encoding": "gzip",
            "content-length": str(len(packed)),
            "vary": "Accept-Encoding",
            "etag": f"W/{answer.headers['etag']}",
        }
        return Response(b"" if scope["method"] == "HEAD" else packed, headers=headers)


def _packed(directory: Path) -> Iterator[tuple[str, bytes]]:
    """The compressed bytes of each file of text below a folder, by its path from there, where they are fewer."""
    for file in sorted(directory.rglob("*")):
        if file.suffix in _SHRINKS and file.is_file():
            whole = file.read_bytes()
            packed = gzip.compress(whole, mtime=0)
            if len(packed) < len(whole):
                yield str(file.relative_to(directory)), packed
