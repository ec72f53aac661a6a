from __future__ import annotations

import base64
import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks import FORMS, default_limit, open_benchmark
from cof_agent.evaluation.benchmarks.checked import checked
from cof_agent.evaluation.matching import decide_by_rules
from cof_agent.evaluation.picture import picture
from cof_agent.evaluation.question import BenchmarkQuestion, MalformedRow, Renderable, Role
from cof_agent.evaluation.row import Rule, Verdict
from tests.support.evaluation.layouts import GLOVE, SIDE, jpeg, mme, mme_row, split, vstar, vstar_row, write_lines


@pytest.mark.parametrize("spec", ["", "nothing", "vstar2:x", "Scenes", "scene", "mme-realworld:x"])
def test_an_unknown_benchmark_lists_the_forms(spec: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_benchmark(spec)
    assert FORMS in str(caught.value)


@pytest.mark.parametrize("kind", ["vstar", "hrbench", "mme-realworld-lite", "jsonl"])
def test_files_that_are_missing_or_not_named(kind: str, tmp_path: Path) -> None:
    for spec in (kind, f"{kind}:", f"{kind}: "):
        with pytest.raises(ConfigError, match=f"{kind}:"):
            open_benchmark(spec)
    with pytest.raises(ConfigError, match="does not exist"):
        open_benchmark(f"{kind}:{tmp_path}/nothing")
    with pytest.raises(ConfigError):
        open_benchmark(f"{kind}:{tmp_path}")
    with pytest.raises(ConfigError):
        open_benchmark(f"{kind}:a\0b")


# V*


def test_vstar_as_it_is_published(tmp_path: Path) -> None:
    rows = (
        vstar_row(0),
        vstar_row(1, image="relative_position/sa_2.1.jpg", text=SIDE, category="relative_position", label="B"),
        vstar_row(2, image="direct_attributes/no_boxes.jpg"),
    )
    benchmark = open_benchmark(f"vstar:{vstar(tmp_path, *rows)}")
    first, second, third = list(benchmark)
    assert isinstance(first, BenchmarkQuestion)
    assert isinstance(second, BenchmarkQuestion)
    assert isinstance(third, BenchmarkQuestion)
    assert (benchmark.name, benchmark.role) == (f"vstar:{tmp_path}", Role.TEST)
    assert (first.id, first.text, first.answer) == ("0", GLOVE, "A")
    assert first.options == ("rubber", "cotton", "kevlar", "leather")
    assert first.category == "direct_attributes"
    assert first.boxes == ((0.25, 0.25, 0.375, 0.375),)  # width and height in the file, not corners
    assert first.chance == 0.25
    assert second.boxes == ((0.0, 0.0, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0))
    assert second.options == ("left", "right")
    assert third.boxes == ()
    made = picture(first.image, 32)
    assert made is not None
    assert made.size == (32, 24)
    assert decide_by_rules(second, "right").correct  # type: ignore[union-attr]
    assert list(benchmark) == [first, second, third]


def test_odd_rows_of_vstar_do_not_stop_the_rest(tmp_path: Path) -> None:
    rows = (
        vstar_row(0), b"{torn", vstar_row(1, image="direct_attributes/gone.jpg"), vstar_row(2, text="What is it?"),
        vstar_row(3, label="E"), vstar_row(0, text=SIDE), b"", [1], vstar_row(4, text=None), b'"\xff"',
        vstar_row(5, image="../\0"), {"text": GLOVE}, vstar_row(6, image="x" * 5000), b"[" * 100_000,
        vstar_row(7, label="cotton"),
        vstar_row(True), vstar_row(8, label=None), vstar_row(9, image="direct_attributes"),
    )  # fmt: skip
    questions, malformed = split(list(checked(open_benchmark(f"vstar:{vstar(tmp_path, *rows)}"))))
    assert [question.id for question in questions] == ["0", "7"]
    assert questions[1].answer == "B"
    assert [row.where.removeprefix("test_questions.jsonl line ") for row in malformed] == (
        "2 3 4 5 6 8 9 10 11 12 13 14 16 17 18".split()  # noqa: SIM905
    )
    why = {row.where.rpartition(" ")[2]: row.why for row in malformed}
    assert "not JSON" in why["2"]
    assert "gone.jpg' is not a file" in why["3"]
    assert "no options" in why["4"]
    assert "'E', none of its options A to D" in why["5"]
    assert why["6"] == "its id '0' is that of test_questions.jsonl line 1"
    assert "list, not an object" in why["8"]
    assert why["9"] == "`text` is missing"
    assert "UTF-8" in why["10"]
    assert all(len(reason) < 8000 for reason in why.values())


@pytest.mark.parametrize(
    "annotation",
    ["{torn", "[]", '{"bbox": 3}', '{"bbox": [[1, 2, 3]]}', '{"bbox": [[60, 0, 60, 9]]}', '{"bbox": [[1, 1, 0, 9]]}'],
)
def test_a_bad_annotation_costs_the_boxes_only(annotation: str, tmp_path: Path) -> None:
    vstar(tmp_path, vstar_row(0))
    (tmp_path / "direct_attributes" / "sa_4690.json").write_text(annotation)
    (question,) = list(open_benchmark(f"vstar:{tmp_path}"))
    assert isinstance(question, BenchmarkQuestion)
    assert question.boxes == ()


def test_a_directory_without_questions_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"test_questions\.jsonl.*craigwu/vstar_bench"):
        open_benchmark(f"vstar:{tmp_path}")


# MME-RealWorld-Lite


def test_mme_realworld_lite_as_it_is_published(tmp_path: Path) -> None:
    directory = mme(tmp_path, mme_row(1), mme_row(2, **{"Ground truth": "E", "Image": "imgs/dota_v2_P7036.png"}))
    for place in (directory, directory / "data", directory / "data" / "MME-RealWorld-Lite.json"):
        first, second = list(open_benchmark(f"mme-realworld-lite:{place}"))
        assert isinstance(first, BenchmarkQuestion)
        assert isinstance(second, BenchmarkQuestion)
        assert first.id == "perception/remote_sensing/position/1"
        assert first.text.splitlines()[:2] == [mme_row(1)["Text"], "(A) In the upper right area of the picture"]
        assert first.options[4] == "This image doesn't feature the position."
        assert (first.answer, first.chance, second.answer) == ("A", 0.2, "E")
        assert first.category == "Perception: Remote Sensing"
        assert picture(first.image, 32) is not None
        assert decide_by_rules(second, "(E)").correct  # type: ignore[union-attr]


def test_odd_rows_of_mme_realworld_do_not_stop_the_rest(tmp_path: Path) -> None:
    plain = [choice[4:] for choice in mme_row(0)["Answer choices"]]
    rows = (
        mme_row(1), 7, mme_row(2, Image="gone.png"), mme_row(3, **{"Ground truth": "F"}), mme_row(1),
        mme_row(4, **{"Answer choices": "none"}), mme_row(5, **{"Answer choices": ["(A) ", "(B) x"]}),
        mme_row(6, **{"Answer choices": plain}), mme_row(7, **{"Ground truth": "(C)"}),
    )  # fmt: skip
    questions, malformed = split(list(checked(open_benchmark(f"mme-realworld-lite:{mme(tmp_path, *rows)}"))))
    assert [question.id[-1] for question in questions] == ["1", "6", "7"]
    assert questions[1].options == tuple(plain)
    assert questions[2].answer == "C"
    assert [row.where for row in malformed] == [f"MME-RealWorld-Lite.json row {row}" for row in (2, 3, 4, 5, 6, 7)]


@pytest.mark.parametrize("text", ["{torn", "{}", "[]", "[1, 2]", '[{"question": "What?"}]'])
def test_json_in_another_layout_is_refused_at_once(text: str, tmp_path: Path) -> None:
    path = tmp_path / "questions.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"questions\.json"):
        open_benchmark(f"mme-realworld-lite:{path}")


# JSONL


def row(**changes: Any) -> dict[str, Any]:
    return {"image": "photo.jpg", "question": "What number is on the sign?", "answer": "42"} | changes


def own(directory: Path, *rows: Any) -> str:
    (directory / "photo.jpg").write_bytes(jpeg())
    return f"jsonl:{write_lines(directory / 'mine.jsonl', *rows)}"


def test_questions_of_ones_own(tmp_path: Path) -> None:
    data = "data:image/jpeg;base64," + base64.b64encode(jpeg()).decode()
    spec = own(
        tmp_path,
        row(),
        row(id="sign", answer=42, category="signs", boxes=[[0, 0.25, 0.5, 1]]),
        row(options=["41", "42", "43"], answer="42"),
        row(options=["left", "right"], answer="B", image=data),
        row(image="https://example.org/photo.jpg", options=None, boxes=None),
    )
    first, second, third, fourth, fifth = split(list(checked(open_benchmark(spec))))[0]
    assert (first.id, first.answer, first.category, first.boxes) == ("line 1", "42", "all", ())
    assert first.image == str(tmp_path / "photo.jpg")
    assert (second.id, second.answer, second.category, second.boxes) == ("sign", "42", "signs", ((0, 0.25, 0.5, 1),))
    assert third.text == "What number is on the sign?\n(A) 41\n(B) 42\n(C) 43"
    assert (third.answer, third.options, third.chance) == ("B", ("41", "42", "43"), 1 / 3)
    assert (fourth.answer, fourth.image) == ("B", data)
    assert fifth.image == "https://example.org/photo.jpg"
    assert first.chance is None
    assert picture(fourth.image, 32) == picture(first.image, 32)


def test_paths_are_relative_to_the_file_wherever_it_is_read_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(tmp_path, row())
    monkeypatch.chdir(tmp_path.parent)
    (question,) = list(open_benchmark(f"jsonl:{tmp_path.name}/mine.jsonl"))
    monkeypatch.chdir("/")
    assert isinstance(question, BenchmarkQuestion)
    assert picture(question.image, 32) is not None


def test_questions_may_be_declared_to_be_trained_on(tmp_path: Path) -> None:
    spec = own(tmp_path, row())
    path = spec.removeprefix("jsonl:")
    test, train = open_benchmark(spec), open_benchmark(f"jsonl:train:{path}")
    assert (test.role, train.role, train.name) == (Role.TEST, Role.TRAIN, f"jsonl:train:{path}")
    assert list(test) == list(train)
    with pytest.raises(ConfigError, match=r"none\.jsonl does not exist"):
        open_benchmark("jsonl:train:none.jsonl")
    with pytest.raises(ConfigError, match=r"is a directory: jsonl:FILE needs the file"):
        open_benchmark("jsonl:train:")


@pytest.mark.parametrize(("changes", "why"), [
    ({"question": ""}, "`question` is empty"), ({"answer": None}, "`answer` is missing"),
    ({"answer": True}, "True, not a text"), ({"answer": ["42"]}, "not a text"),
    ({"image": "gone.jpg"}, "is not a file"),
    ({"image": "file.jpg\0"}, "is not a file"), ({"image": "."}, "is not a file"),
    ({"options": "AB"}, "list of 2 to 26"), ({"options": ["42"]}, "list of 2 to 26"),
    ({"options": ["42", "The 42."]}, "two of its options"), ({"options": ["42", None]}, "`options` is missing"),
    ({"options": ["1", "2"]}, "the letter of an option, or its text"),
    ({"options": ["B", "A"], "answer": "A"}, r"write the letter as \(A\)"),
    ({"boxes": [[10, 20, 30, 40]]}, "seems to be in pixels: it needs left, top, right, bottom as fractions"),
    ({"boxes": [[0.5, 0.5, 0.2, 0.9]]}, "no area"), ({"boxes": [[-0.1, 0, 1, 1]]}, "leaves the image"),
    ({"boxes": [0, 0, 1, 1]}, "four numbers"), ({"boxes": [[0, 0, "1", 1]]}, "four numbers"),
    ({"boxes": [[0, 0, 1, float("nan")]]}, "four numbers"), ({"boxes": {}}, "list of boxes"),
    ({"id": [1]}, "not a text"),
])  # fmt: skip
def test_a_row_that_cannot_be_asked_says_why(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    malformed, good = list(checked(open_benchmark(own(tmp_path, row(**changes), row()))))
    assert isinstance(malformed, MalformedRow)
    assert malformed.where == "mine.jsonl line 1"
    assert isinstance(good, BenchmarkQuestion)
    assert re.search(why, malformed.why), malformed.why


BRAND = "Which brand is the motorcycle? (A) Honda (B) Suzuki (C) Yamaha (D) Kawasaki"


@pytest.mark.parametrize("answer", ["C", "(C)", "Yamaha"])
def test_options_that_stand_in_the_question_are_options(answer: str, tmp_path: Path) -> None:
    (question,) = split(list(checked(open_benchmark(own(tmp_path, row(question=BRAND, answer=answer))))))[0]
    assert (question.text, question.answer, question.chance) == (BRAND, "C", 0.25)
    assert question.options == ("Honda", "Suzuki", "Yamaha", "Kawasaki")
    right, wrong = (decide_by_rules(question, said) for said in ("(C) Yamaha", "(A) Honda"))
    assert right == Verdict(correct=True, rule=Rule.LETTER)
    assert wrong == Verdict(correct=False, rule=Rule.LETTER)


def test_an_open_question_that_names_some_things_stays_open(tmp_path: Path) -> None:
    (question,) = split(list(checked(open_benchmark(own(tmp_path, row(question=BRAND, answer="Ducati"))))))[0]
    assert (question.options, question.answer) == ((), "Ducati")


def test_a_letter_in_brackets_is_a_letter_also_where_an_option_is_one(tmp_path: Path) -> None:
    (question,) = list(open_benchmark(own(tmp_path, row(options=["B", "A"], answer="(A)"))))
    assert isinstance(question, BenchmarkQuestion)
    assert question.answer == "A"


def test_an_id_counts_once(tmp_path: Path) -> None:
    first, second, third = list(checked(open_benchmark(own(tmp_path, row(id=1), row(id="1"), row(id="2")))))
    assert isinstance(second, MalformedRow)
    assert "mine.jsonl line 1" in second.why
    assert isinstance(third, BenchmarkQuestion)
    assert isinstance(first, BenchmarkQuestion)


def test_the_first_line_may_be_malformed_as_any_other(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "mine.jsonl", [1], row(answer=None))
    digits = b'{"image": "photo.jpg", "question": "?", "answer": ' + b"9" * 5000 + b"}\n"
    path.write_bytes(b"no JSON\n" + path.read_bytes() + digits)
    assert [item.why for item in open_benchmark(f"jsonl:{path}") if isinstance(item, MalformedRow)] == [
        "it is not JSON (Expecting value: line 1 column 1 (char 0))",
        "it is a JSON list, not an object",
        "`answer` is missing",
        "a number in it has too many digits: write it as a text",
    ]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"[1]", b"\x89PNG\r\n", b"image,question\n", b"{\0"])
def test_a_file_that_is_no_jsonl_is_refused_at_once(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="one JSON object a line"):
        open_benchmark(f"jsonl:{path}")


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    own(tmp_path)
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(row()).encode() + b"\r\n\r\n" + json.dumps(row()).encode())
    assert [item.id for item in split(list(open_benchmark(f"jsonl:{path}")))[0]] == ["line 1", "line 3"]


# Scenes


def test_scenes_are_without_end_and_the_same_each_time() -> None:
    benchmark = open_benchmark("scenes")
    first = list(islice(benchmark, 20))
    assert first == list(islice(open_benchmark("scenes:test"), 20))
    assert default_limit(benchmark) == 300
    assert (benchmark.name, benchmark.role) == ("scenes", Role.TEST)
    questions, malformed = split(first)
    assert not malformed
    assert len({question.id for question in questions}) == 20
    for question in questions:
        assert question.scene is not None
        assert question.boxes == question.scene.boxes
        assert question.chance == question.scene.chance
        assert isinstance(question.image, Renderable)
        for right in (question.answer, question.scene.value):
            verdict = decide_by_rules(question, right)
            assert verdict is not None
            assert verdict.correct
        wrong = decide_by_rules(question, question.scene.counterfactual().answer)
        assert wrong is None or not wrong.correct


def test_splits_and_kinds_of_scenes() -> None:
    train = open_benchmark("scenes:train:relation")
    assert (train.name, train.role) == ("scenes:train:relation", Role.TRAIN)
    assert open_benchmark("scenes:validation").role is Role.TEST
    for question in islice(train, 10):
        assert isinstance(question, BenchmarkQuestion)
        assert question.category == "relative_position"
        assert question.scene is not None
        assert question.scene.scene.seed >= 2_000_000


@pytest.mark.parametrize("kind", ["absent", "foreign"])
def test_questions_that_no_scene_answers_are_asked_when_they_are_named(kind: str) -> None:
    benchmark = open_benchmark(f"scenes:train:{kind}")
    assert (benchmark.name, benchmark.role) == (f"scenes:train:{kind}", Role.TRAIN)
    questions, malformed = split(list(islice(checked(benchmark), 30)))
    assert not malformed
    assert {(one.answer, one.category, one.chance, one.boxes) for one in questions} == {
        ("cannot answer", "unanswerable", 0.0, ())
    }
    assert 5 < sum(bool(one.options) for one in questions) < 25
    for one in questions:
        assert decide_by_rules(one, None, declined=True) == Verdict(correct=True, rule=Rule.DECLINED)
        for said in ("A", "red", "cannot see it"):
            assert decide_by_rules(one, said) == Verdict(correct=False, rule=Rule.DECLINED)
        assert decide_by_rules(one, None) == Verdict(correct=False, rule=Rule.UNANSWERED)


def test_ones_own_questions_may_have_no_answer_too(tmp_path: Path) -> None:
    spec = own(tmp_path, row(answer="cannot answer"), row(answer="cannot answer", options=["red", "blue"]))
    questions, malformed = split(list(checked(open_benchmark(spec))))
    assert not malformed
    assert [(one.unanswerable, one.chance) for one in questions] == [(True, 0.0)] * 2


@pytest.mark.parametrize("spec", ["scenes:exam", "scenes:test:smell", "scenes:test:colour:red"])
def test_another_split_or_kind_of_scenes_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"train, validation, test.*character, colour, relation"):
        open_benchmark(spec)


def test_only_scenes_have_a_default_limit(tmp_path: Path) -> None:
    class Own:
        name, role = "own", Role.TEST

        def __iter__(self) -> Any:
            return iter(())

    assert default_limit(open_benchmark(own(tmp_path, row()))) is None
    assert default_limit(Own()) is None
