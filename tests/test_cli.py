"""`cof-agent ask` as a shell sees it: what goes where, and the exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from cof_agent import read_trajectories
from cof_agent.cli.app import app
from cof_agent.cli.terminal import aside
from tests.killing import running
from tests.patience import PATIENCE

COMMAND = Path(sys.executable).with_name("cof-agent")
ENDLESS = [sys.executable, "-m", "tests.endless_reader"]
ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "examples" / "images" / "motorcycle.jpg"
ZOOM = (
    "<think>The sign is small.</think>"
    '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [20, 20, 80, 60], "label": "sign"}}</tool_call>'
)
ANSWER = "<think>Now I can read it.</think><answer>open until nine</answer>"
KEYS = [
    "answer", "status", "stop_reason", "message", "image", "views", "evidence", "usage", "policy", "dialect",
    "trajectory",
]  # fmt: skip


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "wall.png"
    Image.linear_gradient("L").resize((280, 196)).save(path)
    return str(path)


def script(folder: Path, *turns: str) -> str:
    path = folder / "script.json"
    path.write_text(json.dumps(turns))
    return f"script:{path}"


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def test_the_answer_alone_is_on_standard_output(image: str, tmp_path: Path) -> None:
    done = run("ask", image, "Until when?", "--policy", script(tmp_path, ZOOM, ANSWER))
    assert (done.exit_code, done.stdout) == (0, "open until nine\n")
    assert "The sign is small." in done.stderr
    assert "view 1, zoom “sign”" in done.stderr
    assert "last looked at: [" in done.stderr
    assert "evidence" not in done.stderr


def test_the_command_itself_keeps_the_two_apart(image: str, tmp_path: Path) -> None:
    words = [COMMAND, "ask", image, "Until when?", "--show", "-p", script(tmp_path, ZOOM, ANSWER)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, "open until nine\n")
    assert "▀" not in done.stderr, "views are drawn in colour terminals only"
    assert all(line.strip() for line in done.stderr.splitlines())


def test_json_has_the_documented_shape(image: str, tmp_path: Path) -> None:
    policy = script(tmp_path, ZOOM, ANSWER)
    done = run("ask", image, "Until when?", "--json", "--policy", policy)
    value = json.loads(done.stdout)
    assert list(value) == KEYS
    assert value["answer"] == "open until nine"
    assert (value["status"], value["stop_reason"], value["message"]) == ("answered", "answered", None)
    assert value["image"] == {"source": image, "width": 280, "height": 196}
    overview, zoom = value["views"]
    assert overview == {
        "index": 0, "kind": "overview", "box": [0, 0, 280, 196], "shown": [280, 196], "label": None
    }  # fmt: skip
    assert (zoom["index"], zoom["kind"], zoom["label"], zoom["box"]) == (1, "zoom", "sign", [5, 10, 95, 70])
    assert zoom["shown"] == [168, 112]
    assert value["evidence"] == [{"view": 1, "box": [5, 10, 95, 70], "source": "last_view"}]
    counted = {"policy_calls", "zooms", "visual_tokens", "prompt_tokens", "completion_tokens", "seconds"}
    assert counted <= set(value["usage"])
    assert (value["usage"]["policy_calls"], value["usage"]["zooms"], value["usage"]["visual_tokens"]) == (2, 1, 94)
    assert (value["policy"], value["dialect"], value["trajectory"]) == (policy, "cof", None)


@pytest.mark.parametrize(
    ("turns", "words", "code", "status", "reason"),
    [
        ([ANSWER], [], 0, "answered", "answered"),
        (["<answer>cannot answer: it is too dark</answer>"], [], 3, "declined", "declined"),
        ([ZOOM, ZOOM, ""], ["--max-zooms", "1"], 3, "budget", "zoom_limit"),
        ([ZOOM], [], 1, "failed", "policy_error"),
    ],
    ids=["answered", "declined", "budget", "script ran out"],
)
def test_exit_codes(
    image: str, tmp_path: Path, turns: list[str], words: list[str], code: int, status: str, reason: str
) -> None:
    policy = script(tmp_path, *turns)
    done = run("ask", image, "Until when?", "--json", "--policy", policy, *words)
    value = json.loads(done.stdout)
    assert (done.exit_code, value["status"], value["stop_reason"]) == (code, status, reason)
    assert (value["answer"] is None) == (code != 0)
    assert (value["message"] is None) == (code == 0)
    plain = run("ask", image, "Until when?", "--policy", policy, *words)
    assert plain.exit_code == code
    if code:
        assert plain.stdout == ""
        assert f"{status} ({reason}): {value['message']}" in plain.stderr
        assert "Traceback" not in plain.stderr


def test_a_script_that_runs_out_says_so(image: str, tmp_path: Path) -> None:
    done = run("ask", image, "Until when?", "--policy", script(tmp_path, ZOOM))
    assert "the script has 1 turns and turn 2 was asked for" in done.stderr


def test_a_bad_image_fails_and_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no image")
    for source in (str(broken), str(tmp_path / "missing.jpg")):
        done = run("ask", source, "What?", "--policy", script(tmp_path, ANSWER))
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith("cof-agent: ")
        assert source in done.stderr
        as_json = run("ask", source, "What?", "--json", "--policy", script(tmp_path, ANSWER))
        value = json.loads(as_json.stdout)
        assert (as_json.exit_code, list(value)) == (1, KEYS)
        assert (value["status"], value["stop_reason"], value["image"]["source"]) == ("failed", "image_error", source)
        assert value["message"] in as_json.stderr


@pytest.mark.parametrize(
    ("source", "hidden"),
    [("http://me:secret@127.0.0.1/a.jpg?key=secret", "secret"), ("data:image/png;base64,c2VjcmV0", "c2VjcmV0")],
)
def test_json_does_not_repeat_what_is_secret_or_long(source: str, hidden: str, tmp_path: Path) -> None:
    done = run("ask", source, "What?", "--json", "--policy", script(tmp_path, ANSWER))
    assert done.exit_code == 1
    assert hidden not in done.stdout + done.stderr


def test_bad_settings_are_usage_errors(image: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{"dialect": 7}')
    good = script(tmp_path, ANSWER)
    for words, part in (
        (["--policy", "oracle"], "oracle"),
        (["--policy", "script:missing.json"], "missing.json"),
        (["--policy", good, "--profile", str(profile)], "dialect"),
        (["--policy", good, "--profile", "missing.json"], "missing.json"),
        (["--policy", good, "--save", image], "--save"),
        (["--policy", good, "--max-zooms", "-1"], "max-zooms"),
        (["--policy", good, "--max-seconds", "0"], "max-seconds"),
        (["--policy", good, "--colour"], "colour"),
    ):
        done = run("ask", image, "What?", *words)
        assert (done.exit_code, done.stdout) == (2, ""), words
        assert part in done.stderr
    assert run("ask", image, " ", "--policy", good).exit_code == 2
    assert run("ask", image).exit_code == 2


def test_the_policy_may_come_from_the_environment(image: str, tmp_path: Path) -> None:
    environment = {"COF_POLICY": script(tmp_path, ANSWER)}
    done = CliRunner().invoke(app, ["ask", image, "Until when?"], env=environment)
    assert done.stdout == "open until nine\n"
    done = CliRunner().invoke(app, ["ask", image, "Until when?", "--policy", "oracle"], env=environment)
    assert done.exit_code == 2, "what is typed beats the environment"


def test_save_appends_trajectories_that_read_back(image: str, tmp_path: Path) -> None:
    runs = tmp_path / "deep" / "runs"
    policy = script(tmp_path, ZOOM, ANSWER)
    for _ in range(2):
        done = run("ask", image, "Until when?", "--json", "--save", str(runs), "--policy", policy)
        assert done.exit_code == 0
    value = json.loads(done.stdout)
    assert value["trajectory"] == str(runs / "trajectories.jsonl")
    first, second = read_trajectories(runs)
    assert (first.answer, first.question, first.views) == ("open until nine", "Until when?", second.views)
    assert len(list((runs / "images").iterdir())) == 3, "the original and two views, each kept once"


def test_zero_zooms_offer_no_tool(image: str, tmp_path: Path) -> None:
    done = run("ask", image, "Until when?", "--json", "--max-zooms", "0", "--policy", script(tmp_path, ANSWER))
    assert [view["kind"] for view in json.loads(done.stdout)["views"]] == ["overview"]


def test_ctrl_c_while_the_policy_thinks_leaves_cleanly() -> None:
    words = [*ENDLESS, "ask", str(PHOTO), "What is the phone number?", "--policy", "reader"]
    pipe = subprocess.PIPE
    with running(words, stdout=pipe, stderr=pipe, cwd=ROOT) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("view 0"), "the overview is shown, the policy is asked next"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("cof-agent: interrupted: nothing was answered\n")
    assert "Traceback" not in err


def test_ctrl_c_does_not_wait_for_the_policy() -> None:
    code = """
import os
from cof_agent import ChainOfFocus
from cof_agent.cli.terminal import aside
from tests.conversations import answer, photo, slow
try:
    policy = slow(answer("42"), on_call=lambda: os.write(1, b"asked\\n"))
    for event in aside(ChainOfFocus(policy).stream(photo(), "What?")):
        print(event.view.kind, flush=True)
except KeyboardInterrupt:
    os._exit(130)
"""
    words, pipe = [sys.executable, "-c", code], subprocess.PIPE
    with running(words, stdout=pipe, cwd=ROOT) as process:
        assert process.stdout is not None
        assert {process.stdout.readline() for _ in range(2)} == {"overview\n", "asked\n"}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 130


def test_ctrl_c_that_comes_just_before_the_wait_is_heard() -> None:
    code = """
import _thread, os, sys, threading
from cof_agent.cli.terminal import aside
def work():
    while sys._current_frames()[threading.main_thread().ident].f_code is not aside.__code__:
        pass
    _thread.interrupt_main()  # is noted, but wakes nobody
    threading.Event().wait()
    yield
try:
    list(aside(work()))
except KeyboardInterrupt:
    os._exit(130)
"""
    with running([sys.executable, "-c", code], cwd=ROOT) as process:
        assert process.wait(PATIENCE) == 130


def test_what_goes_wrong_aside_is_raised() -> None:
    def faulty() -> Iterator[int]:
        yield 1
        raise LookupError("lost")

    numbers = aside(faulty())
    assert next(numbers) == 1
    with pytest.raises(LookupError, match="lost"):
        next(numbers)
    assert list(aside(iter([1, 2, None]))) == [1, 2, None]


def test_a_policy_that_is_given_up_does_not_hold_the_command() -> None:
    words = [COMMAND, "ask", str(PHOTO), "What is the phone number?", "--json", "--max-seconds", "0.02"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    value = json.loads(done.stdout)
    assert (done.returncode, value["status"], value["stop_reason"]) == (3, "budget", "time_limit")
    assert "Traceback" not in done.stderr
