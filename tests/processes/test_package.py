"""The wheel, installed alone with its core dependencies into an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import cof_agent
from tests.support.once import once
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[2]
HEAVY = ("langgraph", "langchain_core", "torch", "numpy", "onnxruntime", "rapidocr", "transformers", "PIL")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def build(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
        words = [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT]
        subprocess.run(words, check=True, cwd=folder, timeout=PATIENCE)

    (found,) = once(tmp_path_factory, "wheel", build).glob("*.whl")
    return found


@pytest.fixture(scope="session")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that holds the wheel and what its core needs."""

    def install(home: Path) -> None:
        venv.create(home, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", home / "bin" / "python"]
        words = [*pip, "install", "--quiet", "--no-compile", "--constraint", ROOT / "constraints.txt"]
        words += ["--timeout", "20", "--retries", "2"]  # without a network it should fail, not hang
        subprocess.run([*words, wheel], check=True, cwd=home, timeout=PATIENCE)

    return once(tmp_path_factory, "clean", install) / "bin"


def run(clean: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A program of the clean environment, away from the checkout."""
    left = {"PYTHONPATH", "COF_POLICY", "PYTHONDONTWRITEBYTECODE"}  # what one compiles, the next need not
    environment = {name: value for name, value in os.environ.items() if name not in left}
    return subprocess.run(
        [clean / program, *words], capture_output=True, text=True, timeout=PATIENCE, cwd=clean.parent, env=environment
    )


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"cof_agent", f"cof_agent-{cof_agent_version(wheel)}.dist-info"}
    assert "cof_agent/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    packaged = {name for name in names if name.endswith(".py")}
    assert packaged == {str(path.relative_to(ROOT)) for path in (ROOT / "cof_agent").rglob("*.py")}


TINY = "cof_agent/policies/tiny/checkpoint"
PARTS = {
    "README.md", "chat_template.jinja", "config.json", "focus.json", "generation_config.json", "model.safetensors",
    "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
}  # fmt: skip
"""What of the policy `tiny` is packed; a trainer may add its processor_config.json."""


def test_the_wheel_holds_the_policy_tiny_and_nothing_of_its_training(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        held = {info.filename: info.file_size for info in packed.infolist() if info.filename.startswith(f"{TINY}/")}
        weights = packed.read(f"{TINY}/model.safetensors")
    assert {name.removeprefix(f"{TINY}/") for name in held} - {"processor_config.json"} == PARTS
    assert sum(held.values()) <= 12_000_000
    assert weights == (ROOT / TINY / "model.safetensors").read_bytes()
    assert [name for name in zipfile.ZipFile(wheel).namelist() if "/checkpoint/" in name] == [*held]


def test_the_source_distribution_holds_it_too(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", tmp_path]
    subprocess.run(words, check=True, cwd=ROOT, capture_output=True, timeout=PATIENCE)
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"{TINY}/{name}" for name in PARTS} <= names


def cof_agent_version(wheel: Path) -> str:
    return wheel.name.split("-")[1]


def test_importing_it_loads_nothing_heavy(clean: Path) -> None:
    program = "import sys, cof_agent; print(*sys.modules)"
    done = run(clean, "python", "-c", program)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "cof_agent" in loaded
    assert not loaded & set(HEAVY)


def test_help_loads_nothing_heavy(clean: Path) -> None:
    program = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        "sys.argv = ['cof-agent', '--help']; from cof_agent.cli import main; main()"
    )
    done = run(clean, "python", "-c", program)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in ("ask", "chat", "doctor"))
    loaded = set(done.stderr.split())
    assert "cof_agent.cli" in loaded
    assert not loaded & set(HEAVY)


def test_every_public_name_resolves_without_extras(clean: Path) -> None:
    done = run(clean, "python", "-c", "from cof_agent import *; print(*dir())")
    assert done.returncode == 0, done.stderr
    assert set(cof_agent.__all__) <= set(done.stdout.split())


def test_public_names_are_sorted_and_listed() -> None:
    assert list(cof_agent.__all__) == sorted(cof_agent.__all__)
    assert set(cof_agent.__all__) <= set(dir(cof_agent))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = cof_agent.no_such_name  # type: ignore[attr-defined]


def test_without_the_extra_the_reader_says_what_to_install(clean: Path, tmp_path: Path) -> None:
    done = run(clean, "cof-agent", "ask", "photo.jpg", "What does it say?", "--policy", "reader")
    assert (done.returncode, done.stdout) == (1, "")
    assert 'pip install "cof-agent[reader]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_tiny_says_what_to_install(clean: Path) -> None:
    done = run(clean, "cof-agent", "ask", "photo.jpg", "Which colour?", "--policy", "tiny")
    assert (done.returncode, done.stdout) == (1, "")
    assert 'pip install "cof-agent[local]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_the_core_alone_runs_a_script(clean: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(["<answer>blue</answer>"]))
    picture = "data:image/gif;base64,R0lGODlhAQABAIAAAAAA/////ywAAAAAAQABAAACAUwAOw=="
    done = run(clean, "cof-agent", "ask", picture, "Which colour?", "--policy", f"script:{script}")
    assert (done.returncode, done.stdout) == (0, "blue\n"), done.stderr


def test_doctor_tells_what_is_missing(clean: Path) -> None:
    done = run(clean, "cof-agent", "doctor", "--json")
    value = json.loads(done.stdout)
    assert value["extras"]["reader"]["missing"] == ["onnxruntime", "rapidocr"]
    assert not value["policies"]["reader"]["ready"]
    assert not value["policies"]["tiny"]["ready"]
    assert value["policies"]["tiny"]["install"] == 'pip install "cof-agent[local]"'
    assert value["policies"]["script:FILE"]["ready"]


def test_constraints_pin_what_is_installed() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"
    )
    assert {"langgraph", "langchain-core", "pillow", "rapidocr", "onnxruntime", "pytest", "ruff", "mypy"} <= set(pins)
    assert all(version and " " not in version for version in pins.values())
