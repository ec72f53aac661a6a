"""Names in data lead to files beside it, and nowhere else."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import pytest

from cof_agent.images.named_file import NamedFileError, is_inside, named_file

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and names of POSIX")

NFC, NFD = (unicodedata.normalize(form, "größe/ångström é.png") for form in ("NFC", "NFD"))
MIXED = unicodedata.normalize("NFD", "größe/") + unicodedata.normalize("NFC", "ångström é.png")


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("stored", [NFC, NFD, MIXED], ids=["NFC", "NFD", "mixed"])
@pytest.mark.parametrize("named", [NFC, NFD, MIXED], ids=["NFC", "NFD", "mixed"])
def test_a_name_in_another_normalisation_is_found(stored: str, named: str, tmp_path: Path) -> None:
    made(tmp_path / stored)
    assert named_file(named, tmp_path) == tmp_path / stored
    assert named_file(named.replace("/", "\\"), tmp_path) == tmp_path / stored


def test_a_file_of_just_that_name_comes_first(tmp_path: Path) -> None:
    for name in (NFC, NFD, r"a\b.png", "a/b.png"):
        made(tmp_path / name)
        assert named_file(name, tmp_path) == tmp_path / name
    (tmp_path / r"a\b.png").unlink()
    assert named_file(r"a\b.png", tmp_path) == tmp_path / "a" / "b.png"


def test_folders_are_tried_in_order(tmp_path: Path) -> None:
    made(tmp_path / "images" / "b.png")
    assert named_file("b.png", tmp_path, ("", "images")) == tmp_path / "images" / "b.png"
    assert named_file("./images/../images/b.png", tmp_path) == tmp_path / "images" / ".." / "images" / "b.png"
    assert named_file(str(tmp_path / "images" / "b.png"), tmp_path) == tmp_path / "images" / "b.png"
    made(tmp_path / "b.png")
    assert named_file("b.png", tmp_path, ("", "images")) == tmp_path / "b.png"


OUTSIDE = ["../private.png", "{}/private.png", "/etc/passwd", "link.png", "linked/private.png", r"..\private.png",
           "sub/../../private.png", "sub/link.png", r"linked\private.png"]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    private = made(tmp_path / "private.png")
    made(root / "sub" / "a.png")
    (root / "link.png").symlink_to(private)
    (root / "sub" / "link.png").symlink_to("../link.png")
    (root / "linked").symlink_to(tmp_path)
    with pytest.raises(NamedFileError, match=re.escape(f"leads out of {root}")):
        named_file(name.format(tmp_path), root)


@pytest.mark.parametrize("name", ["", "no.png", "sub", "a\0b", "x" * 5000, "é.png", "pipe", r"C:\photos\a.png"])
def test_what_is_no_file_is_said(name: str, tmp_path: Path) -> None:
    made(tmp_path / "sub" / "a.png")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NamedFileError, match=r"is not a file in .* or .*images"):
        named_file(name, tmp_path, ("", "images"))


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ("hub/datasets--a--b/blobs/" + "ab" * 20, True),
        ("hub/datasets--a--b/blobs/an-etag", True),
        ("hub/datasets--c--d/blobs/" + "ab" * 32, True),
        ("hub/datasets--c--d/blobs/an-etag", False),
        ("hub/blobs/ab/" + "ab" * 32, True),
        ("hub/blobs/cd/" + "ab" * 32, False),
        ("other/blobs/ab/" + "ab" * 32, False),
        ("blobs/" + "ab" * 32, False),
        ("hub/datasets--a--b/refs/main", False),
    ],
)
def test_content_in_the_hubs_cache_counts_as_inside(target: str, inside: bool, tmp_path: Path) -> None:
    made(tmp_path / "hub" / "blobs" / ".huggingface-shared-blobs")
    snapshot = tmp_path / "hub" / "datasets--a--b" / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (snapshot / "photo.jpg").symlink_to(made(tmp_path / target))
    assert is_inside(snapshot / "photo.jpg", snapshot) is inside
