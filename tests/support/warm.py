"""Processes that have imported torch and the recipes before they start: forks of one server for each worker."""

from __future__ import annotations

import json
import multiprocessing
import os
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from tests.support.held import run, stop_at_lines, stop_at_rename
from tests.support.patience import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "tests.support.warm",
        "training.sft",
        "training.grpo",
        "training.tiny_pretrain.__main__",
        "cof_agent.cli.app",
        "cof_agent.policies.qwen.chat",
        "cof_agent.integrations.langgraph",
        "rapidocr",
    ]
)


class WarmProcess:
    """A command, as `tests.support.held.run` takes it, in a process of its own that writes to the file `said`.

    It comes no further than `tests.support.held` says of the place `before`, and `lines`. `env`: its whole environment,
    in place of that of the server, as far as what is already imported has not read it.
    """

    def __init__(
        self,
        words: Sequence[str | Path],
        said: Path,
        *,
        before: str | None = None,
        lines: int | None = None,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._said = said
        _sign_of(said).unlink(missing_ok=True)
        given = ([str(word) for word in words], said, before, lines, cwd, None if env is None else dict(env))
        self._process: BaseProcess = FORKS.Process(target=_carry_out, args=given)
        self._process.start()

    def wait(self) -> int:
        """The exit code, negative for a signal."""
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, f"it did not end within {PATIENCE:g} seconds: {self.said}"
        return self._process.exitcode

    def wait_beside(self, other: int) -> int:
        """`wait`, but it is killed as soon as the file with the number `other` has an end or anything to read."""
        if self._process.sentinel not in wait([self._process.sentinel, other], PATIENCE):
            self._process.kill()
        return self.wait()

    def kill_when(self, reached: Callable[[], bool]) -> None:
        """Kill it with SIGKILL as soon as `reached` is true. It fails if the process ends before."""

        def still_runs() -> bool:
            assert self._process.exitcode is None, f"it ended before it could be killed: {self.said}"
            return True

        try:
            wait_until(lambda: still_runs() and reached())
        finally:
            self._process.kill()
            self._process.join(PATIENCE)

    @property
    def is_held(self) -> bool:
        """Whether it has come to where it stops before something is renamed."""
        return _sign_of(self._said).exists()

    @property
    def said(self) -> str:
        """On standard output and standard error so far."""
        return self._said.read_text(encoding="utf-8", errors="replace") if self._said.exists() else ""


@contextmanager
def warm_python(path: Path) -> Iterator[None]:
    """An executable at `path` that does what Python does with `-m`, `-c` or a file, in warm processes."""
    folder = path.with_name(f"{path.name}.said")
    folder.mkdir()

    class Asked(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            words, cwd, env = json.loads(self.rfile.readline())
            with NamedTemporaryFile(dir=folder, delete=False) as said:
                process = WarmProcess([str(path), *words], Path(said.name), cwd=Path(cwd), env=env)
            code = process.wait_beside(self.connection.fileno())
            with suppress(BrokenPipeError):  # who asked was killed, and the process with it
                self.wfile.write(json.dumps([code, process.said]).encode())

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with TemporaryDirectory() as short, Server(f"{short}/asked", Asked) as server:
        path.write_text(f"#!{sys.executable} -SE\n{_ASK.format(socket=f'{short}/asked')}", encoding="utf-8")
        path.chmod(0o755)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


_ASK = """import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({socket!r})
    asked.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode() + b"\\n")
    code, said = json.loads(asked.makefile().read())
sys.stderr.write(said)
sys.exit(code if code >= 0 else 1)
"""


def launched(words: Sequence[str | Path], folder: Path, **variables: str) -> str:
    """What `accelerate launch` with `words` says, when it and the processes that it starts are warm. All succeed.

    `variables` of the environment are theirs too.
    """
    with warm_python(folder / "python"):
        process = WarmProcess(
            [folder / "python", "-m", "accelerate.commands.launch", *words],
            folder / "launch.said",
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHON_EXEC": str(folder / "python"), **variables},
        )
        code = process.wait()
    assert code == 0, process.said
    return process.said


def _sign_of(said: Path) -> Path:
    return said.with_name(f"{said.name}.held")


def _carry_out(
    words: list[str], said: Path, before: str | None, lines: int | None, cwd: Path, env: dict[str, str] | None
) -> None:
    if env is not None:
        os.environ.clear()
        os.environ.update(env)
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for channel in (1, 2):
        os.dup2(file, channel)
    os.chdir(cwd)
    sys.path[0:0] = [str(cwd), str(ROOT)]
    if (cwd / "training").exists() and cwd != ROOT:  # its own copy counts, not the one that is loaded
        for name in [name for name in sys.modules if name.partition(".")[0] == "training"]:
            del sys.modules[name]
    if before is not None and lines is not None:
        stop_at_lines(before, lines)
    elif before is not None:
        stop_at_rename(before, _sign_of(said))
    run(words)
