"""The memory store and the directory store."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cof_agent.images import ImageRef
from cof_agent.images import store as store_module
from cof_agent.images.store import DirectoryStore
from tests.support.patience import PATIENCE


def test_two_processes_write_and_read_one_directory(tmp_path: Path) -> None:
    script = f"""
        import hashlib, sys
        from cof_agent.errors import ImageError
        from cof_agent.images import ImageRef
        from cof_agent.images.store import DirectoryStore
        store = DirectoryStore({str(tmp_path)!r})
        sys.stdin.readline()
        for turn in range(5):
            for number in range(40):
                data = str(number).encode() * 40_000
                ref = ImageRef(hashlib.sha256(data).hexdigest(), "image/png", 1, 1)
                store.put(ref, data)
                if ref in store:
                    try:
                        assert store.get(ref) == data, "torn"
                    except ImageError as error:
                        assert "is not in" in str(error), error  # the other one pruned
            if sys.argv[1] == "prunes":
                store.prune([])
    """
    root = str(Path(store_module.__file__).parents[2])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), role],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        for role in ("keeps", "prunes")
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    assert errors == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*"))


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_killed_writer_leaves_nothing_that_is_read(tmp_path: Path) -> None:
    script = f"""
        import hashlib, os, signal
        from cof_agent.images import store
        from cof_agent.images import ImageRef
        def killed(source, target):
            os.kill(os.getpid(), signal.SIGKILL)
        store.os.replace = killed
        data = b"x" * 1000
        store.DirectoryStore({str(tmp_path)!r}).put(ImageRef(hashlib.sha256(data).hexdigest(), "image/png", 1, 1), data)
    """
    root = str(Path(store_module.__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": root},
        check=False,
        timeout=PATIENCE,
    )
    data = b"x" * 1000
    ref = ImageRef(hashlib.sha256(data).hexdigest(), "image/png", 1, 1)
    assert len(list(tmp_path.glob(".*.part"))) == 1
    store = DirectoryStore(tmp_path)
    assert ref not in store
    store.put(ref, data)
    assert store.get(ref) == data
