"""Files are opened without waiting, and where there are roots, without passing a link that was put there meanwhile."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images import ImageLimits, open_image
from cof_agent.images.receiving.regular_file import SpecialFileError, open_regular, read_at_most, read_regular

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and special files of POSIX")


class Swapping:
    """A root that is looked at after the path below it was resolved, and before that is opened."""

    def __init__(self, root: Path, inside: Path, outside: Path) -> None:
        self.root, self.inside, self.outside = root, inside, outside

    def __fspath__(self) -> str:
        if not self.inside.is_symlink():
            self.inside.rename(self.inside.with_name("as it was"))
            self.inside.symlink_to(self.outside)
        return str(self.root)


@pytest.mark.parametrize("swapped", ["root/album/2026/photo.png", "root/album/2026", "root/album", "root"])
def test_what_becomes_a_link_between_check_and_open_leads_nowhere(swapped: str, tmp_path: Path) -> None:
    path = tmp_path / "root" / "album" / "2026" / "photo.png"
    private = tmp_path / "private" / "album" / "2026" / "photo.png"
    for place, colour in ((path, "white"), (private, "black")):
        place.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8), colour).save(place)
    outside = tmp_path / swapped.replace("root", "private", 1)
    root = Swapping(tmp_path / "root", tmp_path / swapped, outside)
    with pytest.raises(ImageError, match=r"photo\.png (was replaced by a symbolic link|is a symbolic link|may not)"):
        open_image(path, limits=ImageLimits(roots=(root,)))
    assert (tmp_path / swapped).is_symlink()  # or nothing was tried


def test_links_that_lead_below_a_root_are_followed(tmp_path: Path) -> None:
    (tmp_path / "releases" / "2").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "releases" / "2" / "photo.png")
    (tmp_path / "current").symlink_to("releases/2")
    (tmp_path / "latest.png").symlink_to("current/photo.png")
    for name in ("current/photo.png", "latest.png"):
        assert open_image(tmp_path / name, limits=ImageLimits(roots=(tmp_path,))).ref.size == (8, 8)


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.getuid() == 0, reason="root searches everything")
def test_directories_that_may_only_be_searched_can_be_passed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "home" / "photo.png")
    (tmp_path / "home").chmod(0o111)
    assert open_image(tmp_path / "home" / "photo.png", limits=ImageLimits(roots=(tmp_path,)))


SPECIAL = ["directory", "pipe", "socket", "/dev/null", "/dev/zero", "/dev/tty"]


@pytest.mark.parametrize("roots", [None, ("/",)], ids=["anywhere", "below a root"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_are_refused_and_never_wait(
    kind: str, roots: tuple[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "directory":
        (tmp_path / kind).mkdir()
    elif kind == "pipe":
        os.mkfifo(kind)
    elif kind == "socket":
        if sys.platform != "linux":
            pytest.skip("elsewhere only root makes a socket without listening on it")
        os.mknod(kind, stat.S_IFSOCK | 0o600)
    with pytest.raises(ImageError, match=r"is a (directory|socket|device or pipe): pass the path of an image file"):
        open_image(kind, limits=ImageLimits(roots=roots))
    with pytest.raises(SpecialFileError):
        read_regular(kind, links=roots is None)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_a_file_that_says_it_has_no_bytes_is_read(tmp_path: Path) -> None:
    assert b"Name:" in read_regular("/proc/self/status")
    with open_regular("/proc/self/status") as file:
        assert len(read_at_most(file, 20)) == 20
    with pytest.raises(ImageError, match="is not an image"):
        open_image("/proc/self/status")
    with pytest.raises(ImageError, match="larger than 20 bytes"):
        open_image("/proc/self/status", limits=ImageLimits(max_bytes=20))
