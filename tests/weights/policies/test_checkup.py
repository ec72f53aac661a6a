"""`cof-agent doctor POLICY`: what a policy needs and where it is missing."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cof_agent.cli.app import app
from cof_agent.policies.known_checkpoints import MODEL_TYPES
from cof_agent.policies.qwen.processor import PROCESSORS
from tests.support.patience import PATIENCE


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cof_agent.policies.checks.endpoint._SERVER_SECONDS", PATIENCE)


def doctor(*arguments: str, **environment: str) -> tuple[int, str]:
    unset = dict.fromkeys(("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "DEEPSEEK_API_KEY"))
    done = CliRunner().invoke(app, ["doctor", *arguments], env={**unset, **environment})
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done.exit_code, done.stdout + done.stderr


@contextmanager
def server(reply: bytes, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every request with `reply`, and the keys that it was sent."""
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/v1", keys
        finally:
            running.shutdown()


def test_a_server_that_has_the_model() -> None:
    with server(json.dumps({"data": [{"id": "a"}, {"id": "org/look"}]}).encode()) as (url, keys):
        code, said = doctor("openai:org/look", "--base-url", url, OPENAI_API_KEY="sk-secret")
    assert code == 0
    assert f"ok       server {url} with model org/look" in said
    assert keys == ["Bearer sk-secret"]
    assert "sk-secret" not in said


@pytest.mark.parametrize(
    ("status", "reply", "expected"),
    [
        (200, b'{"data": [{"id": "a"}]}', "it serves a"),
        (401, b"no", "(it says 401 to /models): check OPENAI_API_KEY"),
        (404, b"no", "correct the address, which usually ends in /v1"),
        (502, b"no", "(it says 502 to /models): see the server's log"),
        (200, b"<html>", "is not a list of models"),
        (200, b"\xff\xfe", "is not a list of models"),
        (200, b'{"data": 7}', "is not a list of models"),
    ],
)
def test_a_server_that_has_it_not(status: int, reply: bytes, expected: str) -> None:
    with server(reply, status) as (url, _):
        code, said = doctor("openai:org/look", "--base-url", url)
    assert code == 1
    assert expected in said


def test_a_server_that_is_not_there() -> None:
    code, said = doctor("openai:m", "--base-url", "http://127.0.0.1:9/v1")
    assert (code, "start it, or correct the address" in said) == (1, True)


def test_a_key_that_is_not_set() -> None:
    assert doctor("openai:gpt-4o") == (1, doctor("openai:gpt-4o")[1])
    assert "missing  key OPENAI_API_KEY: set it" in doctor("openai:gpt-4o")[1]
    code, said = doctor("openai:gpt-4o", OPENAI_API_KEY="sk-secret")
    assert (code, "dialect native" in said, "sk-secret" in said) == (0, True, False)


def test_a_checkpoint_that_is_not_here(tmp_path: Path) -> None:
    code, said = doctor("hf:xintongzhang/CoF-rl-model-7b", HF_HOME=str(tmp_path))
    assert code == 1
    assert "hf download xintongzhang/CoF-rl-model-7b" in said
    assert "dialect cof" in said
    assert "hf download some/model --revision v2" in doctor("hf:some/model@v2", HF_HOME=str(tmp_path))[1]


def test_a_checkpoint_in_a_directory(seed_checkpoint: Path, tmp_path: Path) -> None:
    code, said = doctor(f"hf:{seed_checkpoint}")
    assert code == 0, said
    assert "MB of weights" in said
    assert "memory: " in said
    assert "as its focus.json says" in said
    empty = tmp_path / "empty"
    empty.mkdir()
    code, said = doctor(f"hf:{empty}")
    assert (code, "only safetensors are read" in said) == (1, True)


def lines(said: str) -> dict[str, str]:
    """The part of each line after its state, under the state; for states that occur once."""
    return {line.split()[0]: line for line in said.splitlines()}


def test_a_server_that_cannot_list_its_models_may_work_all_the_same() -> None:
    with server(b"no", 500) as (url, _):
        code, said = doctor("openai:org/look", "--base-url", url)
        assert code == 0
        assert "it may answer questions all the same" in lines(said)["unknown"]
        code, said = doctor("openai:org/look", "--base-url", url, "--json")
    assert (code, "unknown" in {check["state"] for check in json.loads(said)["checks"]}) == (0, True)


def test_a_model_with_a_tag_is_found_without_it() -> None:
    with server(b'{"data": [{"id": "llava:latest"}]}') as (url, _):
        assert doctor("openai:llava", "--base-url", url)[0] == 0


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_a_password_in_the_address_is_sent_and_not_shown(flag: tuple[str, ...]) -> None:
    with server(b'{"data": [{"id": "m"}]}') as (url, sent):
        address = url.replace("://", "://u:secretpw@")
        code, said = doctor("openai:m", "--base-url", address, *flag)
    assert (code, sent) == (0, ["Basic " + base64.b64encode(b"u:secretpw").decode()])
    assert "secretpw" not in said
    assert url in said
    with server(b"no", 401) as (url, _):
        code, said = doctor("openai:m", "--base-url", url.replace("://", "://u:secretpw@"), *flag)
    assert (code, "check the user and password" in said, "secretpw" in said) == (1, True, False)
    code, said = doctor("openai:m", "--base-url", "http://u:secretpw@127.0.0.1:9/v1", *flag)
    assert (code, "start it, or correct the address" in said, "secretpw" in said) == (1, True, False)


@pytest.mark.parametrize("address", ["nonsense", "", "ftp://h/v1", "http://u:secretpw@h/v1?x=1"])
@pytest.mark.parametrize("policy", ["openai:m", "deepseek:m"])
def test_an_address_that_is_none(policy: str, address: str) -> None:
    code, said = doctor(policy, "--base-url", address)
    assert (code, "cof-agent: --base-url " in said, "secretpw" in said) == (2, True, False)


@pytest.mark.parametrize("policy", ["reader", "tiny", "script:x.json", "hf:org/x"])
def test_an_address_for_a_policy_that_has_no_server(policy: str) -> None:
    assert doctor(policy, "--base-url", "http://127.0.0.1:9/v1")[0] == 2


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_an_address_in_the_environment(name: str) -> None:
    with server(b'{"data": [{"id": "m"}]}') as (url, sent):
        code, said = doctor("openai:m", **{name: url})
    assert (code, len(sent), f"server {url} with model m" in said) == (0, 1, True)
    code, said = doctor("openai:m", **{name: "nonsense"})
    assert (code, "address in the environment" in lines(said)["missing"]) == (1, True)


def test_a_key_that_cannot_be_sent() -> None:
    with server(b'{"data": [{"id": "m"}]}') as (url, _):
        for key in ("ключ", "sk-secret\n"):
            code, said = doctor("openai:m", "--base-url", url, OPENAI_API_KEY=key)
            assert (code, key in said) == (1, False)
            assert "key OPENAI_API_KEY that can be sent" in lines(said)["missing"]


def test_a_vendors_address_needs_a_key_and_is_not_asked_without() -> None:
    for key in ({}, {"OPENAI_API_KEY": "ключ"}):
        code, said = doctor("openai:m", "--base-url", "https://api.openai.com/v1", **key)
        assert (code, "missing  key OPENAI_API_KEY" in said, "  server " in said) == (1, True, False)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("anthropic:claude", 'pip install "langchain-anthropic"'),
        ("huggingface:org/x", 'pip install "langchain-huggingface"'),
        ("bogus:xx", "knows no provider 'bogus'"),
        ("deepseek:m", "DEEPSEEK_API_KEY"),
    ],
)
def test_a_provider_that_cannot_be_asked(policy: str, expected: str) -> None:
    code, said = doctor(policy)
    assert (code, expected in lines(said)["missing"]) == (1, True)


def test_a_provider_and_its_server() -> None:
    assert doctor("deepseek:m", DEEPSEEK_API_KEY="sk-secret")[0] == 0
    assert doctor("Ollama:m")[0] == 0
    with server(b"no", 404) as (url, sent):
        code, said = doctor("ollama:m", "--base-url", url, OPENAI_API_KEY="sk-secret")
    assert (code, sent, f"ok       server {url}" in said) == (0, [""], True)
    code, said = doctor("ollama:m", "--base-url", "http://127.0.0.1:9")
    assert (code, "start it, or correct the address" in said) == (1, True)


@pytest.fixture
def checkpoint(seed_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint for a test to damage."""
    return Path(shutil.copytree(seed_checkpoint, tmp_path / "checkpoint"))


def test_a_directory_under_home_and_one_that_is_not_there(checkpoint: Path, tmp_path: Path) -> None:
    code, said = doctor("hf:~/checkpoint", HOME=str(tmp_path))
    assert (code, f"ok       checkpoint {checkpoint}" in said) == (0, True)
    for path in (f"{tmp_path}/nope", "~/nope", "./nope", str(checkpoint / "config.json")):
        code, said = doctor(f"hf:{path}", HOME=str(tmp_path))
        assert (code, "hf download" in said) == (1, False)
        assert f"checkpoint directory {path}: check the path" in lines(said)["missing"]
    code, said = doctor(f"hf:{checkpoint}@v2")
    assert (code, "a directory has no revisions" in said) == (1, True)


def test_a_checkpoint_of_another_kind(checkpoint: Path) -> None:
    settings = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**settings, "model_type": "llama"}))
    code, said = doctor(f"hf:{checkpoint}")
    assert (code, "model_type 'llama'" in lines(said)["missing"]) == (1, True)
    (checkpoint / "config.json").write_text("[]")
    code, said = doctor(f"hf:{checkpoint}")
    assert (code, "is not a JSON object" in lines(said)["missing"]) == (1, True)


def test_a_shard_that_is_not_there_or_cut_off(checkpoint: Path) -> None:
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}))
    whole = (checkpoint / "model.safetensors").rename(checkpoint / shards[0])
    code, said = doctor(f"hf:{checkpoint}")
    assert (code, f"1 of 2 files are not there, {shards[1]} for one" in lines(said)["missing"]) == (1, True)
    (checkpoint / shards[1]).write_bytes(whole.read_bytes())
    assert doctor(f"hf:{checkpoint}")[0] == 0
    (checkpoint / shards[1]).write_bytes(whole.read_bytes()[:-1])
    code, said = doctor(f"hf:{checkpoint}")
    assert (code, f"{shards[1]} is damaged or cut off" in lines(said)["missing"]) == (1, True)
    index.write_text("{}")
    code, said = doctor(f"hf:{checkpoint}")
    assert (code, "index.json is damaged" in lines(said)["missing"]) == (1, True)


def test_a_bad_profile_is_one_of_several_things_that_are_missing(checkpoint: Path) -> None:
    (checkpoint / "focus.json").write_text("{")
    (checkpoint / "model.safetensors").unlink()
    code, said = doctor(f"hf:{checkpoint}")
    assert code == 1
    assert "missing  profile in its focus.json: " in said
    assert "missing  weights in " in said
    assert "ok       model type qwen2_5_vl, tokenizer" in said


def test_a_profile_with_images_of_sizes_that_the_checkpoint_cannot_take(checkpoint: Path) -> None:
    (checkpoint / "focus.json").write_text('{"dialect": "qwen3"}')
    code, said = doctor(f"hf:{checkpoint}")
    assert (code, "images in multiples of 28 pixels" in lines(said)["missing"]) == (1, True)


_WITHOUT = """
import sys
for package in ("torch", "transformers", "safetensors", "huggingface_hub", "langchain", "langchain_openai"):
    sys.modules[package] = None
from cof_agent.policies.checks.requirements import check_policy
for spec in sys.argv[1:]:
    print(*(check.line for check in check_policy(spec)[1:]), sep=" | ")
"""


def test_what_can_be_told_without_the_extras(checkpoint: Path, tmp_path: Path) -> None:
    llama = Path(shutil.copytree(checkpoint, tmp_path / "llama"))
    (llama / "config.json").write_text('{"model_type": "llama"}')
    specs = (f"hf:{checkpoint}", f"hf:{llama}", "hf:org/x", "openai:m")
    unset = {**os.environ, "OPENAI_API_BASE": ""}
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, *specs], capture_output=True, text=True, timeout=PATIENCE, env=unset
    )
    assert done.returncode == 0, done.stderr
    whole, other, remote, key = done.stdout.splitlines()
    assert f"ok       checkpoint {checkpoint}" in whole
    assert "unknown  model type qwen2_5_vl" in whole
    assert "missing" not in whole
    assert "it has model_type 'llama'" in other
    assert "unknown  checkpoint org/x" in remote
    assert "key OPENAI_API_KEY" in key


def test_the_kinds_known_without_the_extra_are_those_that_load() -> None:
    assert MODEL_TYPES.keys() == PROCESSORS.keys()


def test_what_needs_nothing_else(tmp_path: Path) -> None:
    assert doctor("reader") == (0, "ok       extra reader\n")
    script = tmp_path / "script.json"
    assert doctor(f"script:{script}")[0] == 1
    script.write_text('["<answer>7</answer>"]')
    assert doctor(f"script:{script}") == (0, f"ok       script {script}\n")


def test_as_json_and_a_spec_of_no_form() -> None:
    code, said = doctor("reader", "--json")
    assert json.loads(said) == {
        "policy": "reader", "checks": [{"state": "ok", "what": "extra reader", "remedy": None}]
    }  # fmt: skip
    code, said = doctor("nothing")
    assert (code, "no policy is named 'nothing'" in said) == (2, True)
