"""Content encodings of request bodies, undone without ever making more than a given number of bytes of them, and JSON."""

from __future__ import annotations

import zlib

import msgspec
from backports import zstd

from watchpost.ingest.request import RefusedError

MAX_MEMBERS = 256
"""Gzip members or zstd frames in one body. Each costs a copy of what follows it, so that a body of nothing else would take minutes."""

ZSTD_WINDOW_LOG = 23
"""A zstd decoder holds its window beside its output; 8 MiB is what RFC 9659 lets a content encoding ask for."""


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a content-encoding without ever making more than `limit` bytes; `RefusedError` 413 beyond that, 400 if broken."""
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip":
            return _inflate(body, limit, 16 + zlib.MAX_WBITS)
        case "deflate":
            try:
                return _inflate(body, limit, zlib.MAX_WBITS)
            except RefusedError as error:
                if error.status != 400:
                    raise
                return _inflate(body, limit, -zlib.MAX_WBITS)
        case "zstd":
            return _unzstd(body, limit)
        case other:
            detail = f"{other} is not a known encoding; send identity, gzip, deflate or zstd"
            raise RefusedError(415, detail, "content-encoding")


def _inflate(body: bytes, limit: int, window: int) -> bytes:
    """Gzip may come in several members; each continues where the last one ended."""
    parts: list[bytes] = []
    room = limit
    rest = body
    try:
        while rest:
            if len(parts) == MAX_MEMBERS:
                raise _too_many()
            stream = zlib.decompressobj(window)
            parts.append(stream.decompress(rest, room + 1))
            room -= len(parts[-1])
            if room < 0:
                raise _too_large(limit)
            if not stream.eof:
                raise RefusedError(400, "the compressed body ends early", "body")
            rest = stream.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise RefusedError(400, f"the body cannot be decompressed: {error}", "body") from error
    return b"".join(parts)


def _unzstd(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    rest = body
    try:
        while rest:
            if len(parts) == MAX_MEMBERS:
                raise _too_many()
            stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG})
            parts.append(stream.decompress(rest, max_length=room + 1))
            room -= len(parts[-1])
            if room < 0:
                raise _too_large(limit)
            if not stream.eof:
                raise RefusedError(400, "the compressed body ends early", "body")
            rest = stream.unused_data
    except zstd.ZstdError as error:
        raise RefusedError(400, f"the body cannot be decompressed: {error}", "body") from error
    return b"".join(parts)


def _too_many() -> RefusedError:
    return RefusedError(400, f"the compressed body has more than {MAX_MEMBERS} members", "body")


def _too_large(limit: int) -> RefusedError:
    return RefusedError(413, f"the body decompresses to more than {limit} bytes", "body")


def json_value(body: bytes) -> object:
    """The JSON value that a body is; `RefusedError` 400 where it is none."""
    try:
        value: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(400, f"the body is no JSON: {error}", "body") from error
    except RecursionError as error:
        raise RefusedError(400, "the body nests too deep", "body") from error
    return value
