"""`cof-agent ask` as a shell sees it: what goes where, and the exit codes."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from cof_agent import DirectoryStore, read_trajectories
from cof_agent.cli.app import app
from cof_agent.cli.terminal import aside
from cof_agent.images import load_image
from tests.support.commands import ZOOM, script, wall
from tests.support.conversations import call

ANSWER = "<think>Now I can read it.</think><answer>open until nine</answer>"
KEYS = [
    "answer", "status", "stop_reason", "message", "image", "images", "views", "evidence", "usage", "policy", "dialect",
    "trajectory",
]  # fmt: skip


@pytest.fixture
def image(tmp_path: Path) -> str:
    return wall(tmp_path)


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def test_the_answer_alone_is_on_standard_output(image: str, tmp_path: Path) -> None:
    done = run("ask", image, "Until when?", "--policy", script(tmp_path, ZOOM, ANSWER))
    assert (done.exit_code, done.stdout) == (0, "open until nine\n")
    assert "The sign is small." in done.stderr
    assert "view 1, zoom “sign”" in done.stderr
    assert "last looked at: [" in done.stderr
    assert "evidence" not in done.stderr


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
        "index": 0, "kind": "overview", "box": [0, 0, 280, 196], "shown": [280, 196], "label": None,
        "image_index": 0,
    }  # fmt: skip
    assert (zoom["index"], zoom["kind"], zoom["label"], zoom["box"]) == (1, "zoom", "sign", [5, 10, 95, 70])
    assert zoom["shown"] == [168, 112]
    assert value["images"] == [value["image"]]
    assert value["evidence"] == [{"view": 1, "box": [5, 10, 95, 70], "source": "last_view", "image_index": 0}]
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
        typed = value["message"].replace("(max_zooms)", "(--max-zooms)")
        assert f"{status} ({reason}): {typed}" in plain.stderr
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


def test_what_goes_wrong_aside_is_raised() -> None:
    def faulty() -> Iterator[int]:
        yield 1
        raise LookupError("lost")

    numbers = aside(faulty())
    assert next(numbers) == 1
    with pytest.raises(LookupError, match="lost"):
        next(numbers)
    assert list(aside(iter([1, 2, None]))) == [1, 2, None]


def test_an_image_may_come_from_standard_input(image: str, tmp_path: Path) -> None:
    policy = script(tmp_path, ANSWER)
    content = Path(image).read_bytes()
    done = CliRunner().invoke(app, ["ask", "-", "Until when?", "--json", "--policy", policy], input=content)
    value = json.loads(done.stdout)
    assert (done.exit_code, value["answer"], value["image"]["width"]) == (0, "open until nine", 280)
    assert value["image"]["source"] == f"image of {len(content):,} bytes"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", 1, "standard input is empty: check that the command before the | printed an image"),
        (b"<html>", 1, "image of 6 bytes is a text, a web page or an SVG drawing"),
    ],
)
def test_standard_input_without_an_image(content: bytes, code: int, words: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["ask", "-", "?", "--policy", script(tmp_path, ANSWER)], input=content)
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in done.stderr


def test_no_more_is_read_from_standard_input_than_is_allowed(tmp_path: Path) -> None:
    words = ["ask", "-", "?", "--max-bytes", "1000", "--policy", script(tmp_path, ANSWER)]
    done = CliRunner().invoke(app, words, input=bytes(5_000_000))
    assert done.exit_code == 1
    assert "image of 1,001 bytes is larger than 1,000 bytes" in done.stderr


def test_the_image_of_a_chat_cannot_come_from_where_its_questions_come_from(tmp_path: Path) -> None:
    done = run("chat", "-", "--policy", script(tmp_path, ANSWER))
    assert done.exit_code == 2
    assert "chat reads questions from standard input" in done.stderr


def test_save_says_what_it_keeps_and_can_keep_less(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "hunter2 cameras", 6
    Image.linear_gradient("L").resize((280, 196)).save(tmp_path / "wall.jpg", exif=exif)
    words = ["ask", str(tmp_path / "wall.jpg"), "?", "--policy", script(tmp_path, ANSWER), "--save"]
    whole, less = run(*words, str(tmp_path / "whole")), run(*words, str(tmp_path / "less"), "--strip-metadata")
    assert (whole.exit_code, less.exit_code) == (0, 0)
    assert "--save keeps the image as it came; --strip-metadata leaves out its place, time and camera" in whole.stderr
    assert "--save keeps the image without its metadata" in less.stderr
    for name, held in (("whole", True), ("less", False)):
        contents = [file.read_bytes() for file in (tmp_path / name / "images").iterdir()]
        assert any(b"hunter2" in content for content in contents) is held
        (trajectory,) = read_trajectories(tmp_path / name)
        assert (trajectory.image.width, trajectory.image.height) == (196, 280)
        assert load_image(trajectory.image.ref, DirectoryStore(tmp_path / name / "images"))
        assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / name).rglob("*.j*")} == {0o600}
        assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / name, tmp_path / name / "images")} == {0o700}


def test_two_images_and_a_question(image: str, tmp_path: Path) -> None:
    other = str(tmp_path / "other.png")
    Image.new("RGB", (560, 392), "grey").save(other)
    look = call("image_zoom_in_tool", bbox_2d=[100, 100, 300, 300], label="sign", img_idx=1)
    policy = ["--policy", script(tmp_path, look, "The second."), "--dialect", "qwen3"]
    done = run("ask", image, other, "Which one is open?", *policy)
    assert (done.exit_code, done.stdout) == (0, "The second.\n")
    assert f"view 0, overview of {image}: " in done.stderr
    assert f"view 2, zoom “sign” of {other}: [56, 38, 168, 118]" in done.stderr
    assert f"last looked at: [56, 38, 168, 118] in {other}, seen in view 2" in done.stderr
    told = json.loads(run("ask", image, other, "Which?", *policy, "--json", "--save", str(tmp_path / "runs")).stdout)
    assert [one["source"] for one in told["images"]] == [image, other]
    assert ([view["image_index"] for view in told["views"]], told["evidence"][0]["image_index"]) == ([0, 1, 1], 1)
    (run_,) = read_trajectories(tmp_path / "runs")
    assert [record.source for record in run_.images] == [image, other]
    failed = json.loads(run("ask", image, f"{tmp_path}/none.png", "Which?", *policy, "--json").stdout)
    assert "image 2 of 2" in failed["message"]
    assert len(failed["images"]) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["wall.png"], "the question is missing: cof-agent ask wall.png"),
        (["What is it?"], "the image is missing"),
        (["Which one is open?", "wall.png", "wall.png"], "the last word is the question, and wall.png is an image"),
        (["What is it?", "https://example.org/a.png"], "the last word is the question"),
        (["wall.png", "wall.png", "Which", "one?"], "'Which' is no image: put the question in quotes"),
        (["-", "-", "Which?"], "standard input holds one image"),
    ],
)
def test_images_come_first_and_the_question_last(
    words: list[str], told: str, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(image).parent)
    done = run("ask", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_a_chat_about_two_images_goes_on(image: str, tmp_path: Path) -> None:
    other = str(tmp_path / "my other.png")
    Image.new("RGB", (560, 392), "grey").save(other)
    policy = ["--policy", script(tmp_path, "One.", "Two.", "Three."), "--dialect", "qwen3"]
    kept = ["--keep", str(tmp_path / "kept.sqlite"), "--thread", "t"]
    assert run("chat", image, other, "-q", "Which?", *policy, *kept).stdout == "One.\n"
    done = run("chat", "-q", "And now?", *policy, *kept)
    assert done.stdout == "Two.\n"
    assert f"about {image} and {other} goes on" in done.stderr
    assert "is about other images" in run("ask", image, "Which?", *policy, *kept).stderr
    assert run("ask", image, other, "Last?", *policy, *kept).stdout == "Three.\n"
    typed = CliRunner().invoke(app, ["chat", image, *policy], input=f"/image {image} '{other}'\nWhich?\n/views\n")
    assert typed.stdout.splitlines()[0] == "One."
    assert f"view 1, overview of {other}: " in typed.stdout
