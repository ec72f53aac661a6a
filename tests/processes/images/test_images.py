"""Opening, showing and refusing images. Sources over HTTP are in test_fetch."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cof_agent.errors import ImageError
from cof_agent.images import open_image
from cof_agent.images.codecs import decoding as pixels
from tests.support.conversations import photo
from tests.support.patience import PATIENCE


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "a photo ü%41.png"
    photo().save(path)
    return path


def test_between_pillows_limits_there_is_neither_noise_nor_an_error() -> None:
    script = """
        import io, warnings
        from PIL import Image
        before = Image.MAX_IMAGE_PIXELS
        buffer = io.BytesIO()
        Image.new("1", (10_000, 9_500)).save(buffer, "PNG")
        from cof_agent.images.geometry import Box
        from cof_agent.images import open_image
        source = open_image(buffer.getvalue())
        assert source.region(Box(0, 0, 10_000, 9_400), (100, 94)).size == (100, 94)
        assert Image.MAX_IMAGE_PIXELS == before
    """
    run_python(script, "-W", "error")


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_no_permission(png: Path) -> None:
    png.chmod(0)
    if os.access(png, os.R_OK):  # root reads everything
        run_as_nobody(png)
    else:
        with pytest.raises(ImageError, match="may not be read: check the permissions"):
            open_image(png)


def run_as_nobody(path: Path) -> None:
    script = f"""
        import os
        os.chmod({str(path.parent)!r}, 0o755)
        from cof_agent.errors import ImageError
        from cof_agent.images import open_image
        from PIL import Image; Image.init()
        os.setuid(65534)
        try:
            open_image({str(path)!r})
        except ImageError as error:
            assert "may not be read: check the permissions" in str(error), error
        else:
            raise SystemExit("it was read")
    """
    run_python(script)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_opens_images() -> None:
    run_python("""
        import os, signal
        from PIL import Image
        from cof_agent.images import open_image
        open_image(Image.new("L", (9, 9))).overview((3, 3))
        child = os.fork()
        if child == 0:
            signal.alarm(200)
            open_image(Image.new("L", (9, 8))).overview((3, 3))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """)


def test_importing_is_light() -> None:
    run_python("""
        import sys
        import cof_agent.images.opening, cof_agent.images.store
        heavy = {"httpx", "httpcore", "langgraph", "langchain_core", "torch", "numpy"} & set(sys.modules)
        assert not heavy, heavy
    """)


def run_python(script: str, *options: str) -> None:
    root = str(Path(pixels.__file__).parents[3])
    result = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
