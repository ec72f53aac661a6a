"""Images out of object storage: s3fs against a server on this machine that speaks as much of S3 as that takes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images import ImageLimits, open_image
from tests.support.object_storage import SECRET, ObjectStorage, StoredObject
from tests.support.patience import PATIENCE

pytest.importorskip("s3fs", reason="the extra remote is not installed")

LIMITS = ImageLimits(http_seconds=PATIENCE)
PHOTO = Image.linear_gradient("L").resize((64, 48)).convert("RGB")


def encoded() -> bytes:
    buffer = io.BytesIO()
    PHOTO.save(buffer, "PNG")
    return buffer.getvalue()


PNG = encoded()


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStorage]:
    import s3fs

    with pytest.MonkeyPatch.context() as patch:
        storage = ObjectStorage()
        for key, value in storage.environment.items():
            patch.setenv(key, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield storage
        s3fs.S3FileSystem.clear_instance_cache()
        storage.close()


@pytest.fixture
def storage(running: ObjectStorage) -> ObjectStorage:
    running.asked.clear()
    running.objects = {"bucket/photos/one.png": StoredObject(PNG)}
    return running


def refused(address: str, message: str, limits: ImageLimits = LIMITS) -> str:
    with pytest.raises(ImageError, match=message) as caught:
        open_image(address, limits=limits)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_an_object_is_an_image_like_others(storage: ObjectStorage) -> None:
    source = open_image("s3://bucket/photos/one.png", limits=LIMITS)
    assert (source.ref.size, source.data, source.source) == (PHOTO.size, PNG, "s3://bucket/photos/one.png")
    assert source.overview(PHOTO.size).tobytes() == PHOTO.tobytes()
    assert [method for method, _, _ in storage.asked] == ["HEAD", "GET"]
    assert all("Credential=AKIDEXAMPLE/" in signed for _, _, signed in storage.asked)


@pytest.mark.parametrize("key", ["a b+ü%20.png", "a::b.png", "*.png", "a//b#c.png", "[1].png"])
def test_a_key_is_taken_as_it_is(key: str, storage: ObjectStorage) -> None:
    storage.objects[f"bucket/{key}"] = StoredObject(PNG)
    assert open_image(f"s3://bucket/{key}", limits=LIMITS).ref.size == PHOTO.size


def test_a_root_in_object_storage_allows_what_is_below_it(storage: ObjectStorage) -> None:
    limits = replace(LIMITS, roots=("s3://bucket/photos/",))
    assert open_image("s3://bucket/photos/one.png", limits=limits).ref.size == PHOTO.size


def test_size_is_checked_before_and_while_it_is_read(storage: ObjectStorage) -> None:
    small = replace(LIMITS, max_bytes=len(PNG) - 1)
    refused("s3://bucket/photos/one.png", "is larger than", small)
    assert [method for method, _, _ in storage.asked] == ["HEAD"]
    storage.objects["bucket/liar.png"] = StoredObject(PNG, claimed=len(PNG) - 1)
    refused("s3://bucket/liar.png", "is larger than", small)
    storage.objects["bucket/cut.png"] = StoredObject(PNG, claimed=len(PNG) + 9)
    refused("s3://bucket/cut.png", "ended after")


def test_what_cannot_be_read_says_why(storage: ObjectStorage) -> None:
    storage.objects["bucket/empty.png"] = StoredObject(b"")
    storage.objects["bucket/secret.png"] = StoredObject(b"", status=403, code="AccessDenied")
    storage.objects["bucket/page.png"] = StoredObject(b"<html></html>")
    refused("s3://bucket/none.png", "does not exist: check the bucket and the key")
    refused("s3://bucket/empty.png", "is empty")
    refused("s3://bucket/secret.png", "may not be read .*check the keys")
    refused("s3://bucket/page.png", "not an image|rather than an image")


def test_a_slow_server_is_not_waited_for_longer_than_the_limit(storage: ObjectStorage) -> None:
    storage.objects["bucket/slow.png"] = StoredObject(PNG, dripping=True)
    refused("s3://bucket/slow.png", r"did not answer in full within 0\.3 s", replace(LIMITS, http_seconds=0.3))
    assert open_image("s3://bucket/photos/one.png", limits=LIMITS).ref.size == PHOTO.size
