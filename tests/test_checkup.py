"""`cof-agent doctor POLICY`: what a policy needs and where it is missing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cof_agent.cli import app


def doctor(*arguments: str, **environment: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["doctor", *arguments], env={"OPENAI_API_KEY": None, **environment})
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
        (404, b"no", "the address usually ends in /v1"),
        (500, b"no", "it says 500"),
        (200, b"<html>", "is not a list of models"),
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
    assert "GB of weights" in said
    assert "memory: " in said
    assert "as its focus.json says" in said
    empty = tmp_path / "empty"
    empty.mkdir()
    code, said = doctor(f"hf:{empty}")
    assert (code, "only safetensors are read" in said) == (1, True)


def test_what_needs_nothing_else(tmp_path: Path) -> None:
    assert doctor("reader") == (0, "ok       extra reader\n")
    script = tmp_path / "script.json"
    assert doctor(f"script:{script}")[0] == 1
    script.write_text('["<answer>7</answer>"]')
    assert doctor(f"script:{script}") == (0, f"ok       script {script}\n")


def test_as_json_and_a_spec_of_no_form() -> None:
    code, said = doctor("reader", "--json")
    assert json.loads(said) == {
        "policy": "reader", "checks": [{"ok": True, "what": "extra reader", "remedy": None}]
    }  # fmt: skip
    code, said = doctor("nothing")
    assert (code, "no policy is named 'nothing'" in said) == (2, True)
