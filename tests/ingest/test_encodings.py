"""Bodies are decompressed as they say, and never into more than the limit."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from otlp_messages import UNTIMED

from watchpost.ingest.encoding import MAX_MEMBERS, decompress
from watchpost.ingest.items import Limits
from watchpost.ingest.otlp import decode
from watchpost.ingest.request import OtlpRequest, RefusedError

MIB = 1024 * 1024
Compress = Callable[[bytes], bytes]


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


CODINGS: dict[str, tuple[str, Compress]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
}
EVERY = pytest.mark.parametrize("coding", CODINGS)


def refused(body: bytes, encoding: str, limit: int = MIB) -> tuple[int, str]:
    with pytest.raises(RefusedError) as caught:
        decompress(body, encoding, limit)
    return caught.value.status, caught.value.field


@EVERY
@given(data=st.binary(max_size=3000))
@UNTIMED
def test_what_was_compressed_is_what_is_read(coding: str, data: bytes) -> None:
    encoding, compress = CODINGS[coding]
    assert decompress(compress(data), encoding, 3000) == data


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_a_body_that_is_not_compressed_is_read_as_it_is(encoding: str) -> None:
    assert decompress(b"as it is", encoding, MIB) == b"as it is"


@pytest.mark.parametrize("encoding", ["GZIP", " gzip "])
def test_the_name_of_an_encoding_is_read_in_any_case(encoding: str) -> None:
    assert decompress(gzip.compress(b"data"), encoding, MIB) == b"data"


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "compress", "none"])
def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    assert refused(b"", encoding) == (415, "content-encoding")


def test_several_gzip_members_are_one_body() -> None:
    assert decompress(gzip.compress(b"one") + gzip.compress(b"two") + b"\0" * 20, "gzip", MIB) == b"onetwo"


def test_several_zstd_frames_are_one_body() -> None:
    assert decompress(zstd.compress(b"one") + zstd.compress(b"two"), "zstd", MIB) == b"onetwo"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_together_may_not_exceed_the_limit(coding: str) -> None:
    encoding, compress = CODINGS[coding]
    assert len(decompress(compress(b"x" * 50) * 2, encoding, 100)) == 100
    assert refused(compress(b"x" * 51) * 2, encoding, 100) == (413, "body")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_of_countless_members_is_refused(coding: str) -> None:
    encoding, compress = CODINGS[coding]
    assert decompress(compress(b"") * MAX_MEMBERS, encoding, MIB) == b""
    assert refused(compress(b"") * (MAX_MEMBERS + 1), encoding) == (400, "body")


@EVERY
@given(data=st.binary(min_size=1, max_size=300), cut=st.integers(1, 12))
@UNTIMED
def test_a_body_that_breaks_off_is_refused(coding: str, data: bytes, cut: int) -> None:
    encoding, compress = CODINGS[coding]
    body = compress(data)[:-cut]
    if body:
        assert refused(body, encoding) == (400, "body")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@given(body=st.binary(max_size=100))
@UNTIMED
def test_whatever_the_bytes_only_a_refusal_is_raised(encoding: str, body: bytes) -> None:
    refusal = None
    try:
        decompress(body, encoding, MIB)
    except RefusedError as error:
        refusal = error
    assert refusal is None or (refusal.status, refusal.field) in {(400, "body"), (413, "body")}


@EVERY
def test_a_body_may_be_as_large_as_the_limit_and_no_larger(coding: str) -> None:
    encoding, compress = CODINGS[coding]
    assert len(decompress(compress(bytes(5000)), encoding, 5000)) == 5000
    assert refused(compress(bytes(5001)), encoding, 5000) == (413, "body")


def bomb(coding: str) -> bytes:
    """One GiB of zeros."""
    if coding == "zstd":
        compressor = zstd.ZstdCompressor()
        return b"".join(compressor.compress(bytes(16 * MIB)) for _ in range(64)) + compressor.flush()
    windows = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS, "raw deflate": -zlib.MAX_WBITS}
    stream = zlib.compressobj(level=1, wbits=windows[coding])
    return b"".join(stream.compress(bytes(16 * MIB)) for _ in range(64)) + stream.flush()


@EVERY
def test_a_gigabyte_bomb_is_refused_within_the_limit(coding: str) -> None:
    body, limits = bomb(coding), Limits(decompressed_bytes=8 * MIB)
    request = OtlpRequest("traces", body, content_encoding=CODINGS[coding][0])
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError) as caught:
            decode(request, limits)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (caught.value.status, caught.value.field) == (413, "body")
    assert peak < 2 * (limits.decompressed_bytes + len(body)) + MIB


def test_a_zstd_frame_that_asks_for_a_window_beyond_eight_mebibytes_is_refused() -> None:
    wide = zstd.compress(bytes(64), options={zstd.CompressionParameter.window_log: 27})
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    streamed = compressor.compress(bytes(64)) + compressor.flush()
    assert decompress(wide, "zstd", MIB) == bytes(64)  # its size is known, so that it needs no window
    assert refused(streamed, "zstd") == (400, "body")
