"""Addresses of object storage that are refused before anything is connected to, and what stands in for its keys."""

from __future__ import annotations

import sys

import pytest

from cof_agent.errors import ImageError, MissingExtraError
from cof_agent.images import ImageLimits, open_image


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://user:secret@bucket/photo.png", "does not name one object"),
        ("s3://secret@evil.example/photo.png", "does not name one object"),
        ("abfs://container@account.blob.evil.example/photo.png", "does not name one object"),
        ("s3://evil.example:8080/photo.png", "does not name one object"),
        ("s3://bucket", "does not name one object"),
        ("s3://bucket/", "does not name one object"),
        ("s3://bucket/directory/", "does not name one object"),
        ("s3:///photo.png", "does not name one object"),
        ("s3://arn:aws:s3:us-west-2:1:accesspoint/x/photo.png", "does not name one object"),
        ("s3://bucket/photo.png?endpoint_url=http://secret.example", "has a query"),
        ("gs://bucket/photo.png?x-goog-signature=secret", "has a query"),
        ("s3://bucket/../other/photo.png", r"'\.\.'"),
        ("az://bucket/a\nb.png", "control characters"),
        ("s3://bucket/photo.zip::file:///etc/passwd", "chain of addresses"),
        ("zip::s3://bucket/photo.zip", "chain of addresses"),
        ("simplecache::zip::s3://bucket/photo.zip", "chain of addresses"),
        ("zip://photo.png::s3://bucket/photo.zip", "scheme other than"),
        ("local:///etc/passwd", "scheme other than"),
        ("reference://bucket/photo.png", "scheme other than"),
    ],
)
def test_an_address_names_one_object_and_nothing_else(address: str, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        open_image(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("roots", "address"),
    [
        ((), "s3://bucket/photo.png"),
        (("/tmp",), "s3://bucket/photo.png"),
        (("s3://bucket/photos",), "s3://bucket/photos-of-others/photo.png"),
        (("s3://bucket/photos",), "gs://bucket/photos/photo.png"),
        (("s3://bucket/photos",), "s3://bucket/photos/../photo.png"),
    ],
)
def test_roots_hold_for_object_storage_too(roots: tuple[str, ...], address: str) -> None:
    with pytest.raises(ImageError, match=r"may not be read: allow|'\.\.'"):
        open_image(address, limits=ImageLimits(roots=roots))


def test_an_address_among_the_roots_allows_no_file() -> None:
    with pytest.raises(ImageError, match="may not be read"):
        open_image(__file__, limits=ImageLimits(roots=("s3://bucket",)))


@pytest.mark.parametrize(
    ("address", "package", "remedy"),
    [
        ("s3://bucket/photo.png", "s3fs", r'pip install "cof-agent\[remote\]"$'),
        ("gs://bucket/photo.png", "gcsfs", r'pip install "cof-agent\[remote\]" gcsfs$'),
        ("az://bucket/photo.png", "adlfs", r'pip install "cof-agent\[remote\]" adlfs$'),
    ],
)
def test_a_missing_package_is_named(address: str, package: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=remedy):
        open_image(address)
