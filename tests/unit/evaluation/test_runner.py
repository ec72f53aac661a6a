"""A run asks what is planned, once each, and one question's trouble stays its own."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cof_agent import FocusConfig, read_trajectories
from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError, ImageError, MissingExtraError, PolicyError
from cof_agent.evaluation import RunProgress, read_run
from cof_agent.evaluation import evaluating as front
from cof_agent.evaluation.driver import Driver, ImageMemory
from cof_agent.evaluation.evaluating import aevaluate, evaluate
from cof_agent.evaluation.question import MalformedRow
from cof_agent.evaluation.report.run_tables import remarks
from cof_agent.evaluation.row import Cell, ResultRow, Rule
from cof_agent.evaluation.runner import _AHEAD
from cof_agent.evaluation.tally import summarise
from cof_agent.images import encode_view
from cof_agent.images.geometry import SizeRule
from cof_agent.loop.state import Status, StopReason
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import answer, photo, scripted, zoom
from tests.support.made_questions import (
    CountingModel,
    Made,
    MissingModel,
    Painted,
    WordyModel,
    driven,
    question,
    questions,
)

pytestmark = pytest.mark.slow

SMALL: Any = {"resolutions": (56,)}
PLAIN = ResultRow(
    key="k", question="q", category="all", cell=Cell(), text="?", truth="42", answer="42", status=Status.ANSWERED,
    stop_reason=StopReason.ANSWERED, message=None, correct=True, rule=Rule.TEXT, zooms=((0, 0, 1, 1),) * 2, usage=None,
    source=(56, 42),
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take longer than these runs; the reports have tests of their own."""
    monkeypatch.setattr("cof_agent.evaluation.report.files.write_report", read_run)


async def run(made: Any, model: ScriptedModel, out: Path, **given: Any) -> tuple[ResultRow, ...]:
    policy = driven(model) if isinstance(model, ScriptedModel) else model
    await aevaluate(made, policy, out=out, **SMALL | given)
    return read_run(out).rows


async def test_every_question_is_asked_once_in_every_cell(tmp_path: Path) -> None:
    made, model = Made([question(number, image=Painted()) for number in range(7)]), CountingModel()
    rows = await run(made, model, tmp_path, resolutions=(56, 84), overview_budgets=(None, 56), concurrency=3)
    assert [(row.question, row.cell.resolution, row.cell.budget) for row in rows] == [
        (f"q{number}", resolution, budget) for number in range(7) for resolution in (56, 84) for budget in (None, 56)
    ]
    assert Counter(model.asked) == {f"Question {number}?": 4 for number in range(7)}
    assert len({row.key for row in rows}) == 28
    assert all(row.correct and row.rule is Rule.TEXT and row.status is Status.ANSWERED for row in rows)
    assert {row.source for row in rows} == {(56, 42), (84, 63)}


async def test_a_row_holds_what_happened(tmp_path: Path) -> None:
    asked = question(0, category="colour", boxes=((0.1, 0.1, 0.3, 0.3),), guessing=0.25, image=photo(640, 480))
    policy = scripted(zoom(20, 20, 120, 90), zoom(600, 400, 640, 470), answer("41"))
    (row,) = await run(Made([asked]), policy, tmp_path, resolutions=("native",))
    assert (row.answer, row.truth, row.correct, row.rule) == ("41", "42", False, Rule.NUMBER)
    assert (row.category, row.chance, row.source, row.text) == ("colour", 0.25, (640, 480), "Question 0?")
    assert len(row.zooms) == 2
    assert row.evidence == row.zooms[1:]
    assert (row.contains_truth, row.iou) == (False, 0.0)
    assert row.usage
    assert (row.usage.policy_calls, row.usage.zooms) == (3, 2)
    assert (row.ideal_zooms, row.reachable) == (None, None)
    assert row.cell.resolution is None


async def test_an_answer_at_first_look_has_no_evidence_to_judge(tmp_path: Path) -> None:
    asked = question(0, boxes=((0.1, 0.1, 0.3, 0.3),), image=photo(640, 480))
    (row,) = await run(Made([asked]), scripted(answer("42")), tmp_path)
    assert (row.correct, row.evidence, row.contains_truth, row.iou) == (True, (), None, None)


async def test_two_models_of_one_provider_are_two_policies(tmp_path: Path) -> None:
    class Hosted(ScriptedModel):
        model: str

    one, other = (Hosted(turns=[answer("42")], model=name) for name in ("small", "large"))
    await aevaluate(questions(1), one, out=tmp_path, **SMALL)
    assert read_run(tmp_path).settings.policy == "cof-script:small"
    with pytest.raises(ConfigError, match='policy was "cof-script:small" and is now "cof-script:large"'):
        await aevaluate(questions(1), other, out=tmp_path, **SMALL)


@pytest.mark.parametrize("name", ["resolutions", "overview_budgets"])
@pytest.mark.parametrize("given", ["native", 448])
async def test_sizes_are_a_list(tmp_path: Path, name: str, given: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} is a list such as .* not {given!r}"):
        await run(questions(1), CountingModel(), tmp_path, **{name: given})


async def test_as_many_questions_as_allowed_are_asked_at_a_time(tmp_path: Path) -> None:
    model = CountingModel(gate=4)
    rows = await run(questions(12), model, tmp_path, concurrency=4)
    assert all(row.correct for row in rows)
    assert model.most == 4


async def test_pictures_are_made_ahead_but_only_a_few(tmp_path: Path) -> None:
    painted = Painted()
    ahead = []

    def look(_: str) -> None:
        ahead.append(len(painted.made) - (len(ahead) + 1))

    model = CountingModel(on_call=look, until=lambda: len(painted.made) >= min(40, len(model.asked) + _AHEAD))
    await run(Made([question(number, image=painted) for number in range(40)]), model, tmp_path, concurrency=2)
    assert 0 < max(ahead) <= _AHEAD + 2
    assert len(painted.made) == 40


async def test_one_picture_serves_all_budgets(tmp_path: Path) -> None:
    painted = Painted()
    made = Made([question(0, image=painted)])
    await run(made, CountingModel(), tmp_path, resolutions=(56, 84), overview_budgets=(28, 56, 84))
    assert sorted(painted.made) == [56, 84]


async def test_the_images_of_a_question_that_is_over_are_let_go(tmp_path: Path, monkeypatch: Any) -> None:
    drivers: list[Driver] = []
    monkeypatch.setattr(front, "Driver", lambda *args, **named: drivers.append(Driver(*args, **named)) or drivers[0])
    policy = scripted(zoom(10, 10, 40, 40), zoom(10, 10, 40, 40), answer("42"))
    rows = await run(questions(6), policy, tmp_path, concurrency=3)
    assert [len(row.zooms) for row in rows] == [2] * 6
    assert drivers[0].images._held == 0


def test_an_image_that_two_questions_share_stays_until_both_are_over() -> None:
    memory, (data, ref) = ImageMemory(), encode_view(photo(32, 32))
    memory.put(ref, data)
    memory.put(ref, data)
    memory.let_go([ref])
    assert memory.get(ref) == data
    memory.let_go([ref])
    assert ref not in memory


async def test_one_questions_trouble_stays_its_own(tmp_path: Path) -> None:
    class Unpaintable:
        def render(self, long_side: int) -> Any:
            raise ZeroDivisionError("no paint")

    made = Made(
        [
            question(0),
            question(1, image=str(tmp_path / "missing.png")),
            question(2),
            question(3, image=b"no image"),
            question(4, image=Unpaintable()),
            question(6),
        ]
    )
    rows = await run(made, MissingModel(misses=frozenset({"Question 2?"})), tmp_path / "out", concurrency=2)
    assert [row.status.value for row in rows] == ["answered", *["failed"] * 4, "answered"]
    assert [row.stop_reason for row in rows[1:5]] == [
        StopReason.IMAGE_ERROR, StopReason.POLICY_ERROR, StopReason.IMAGE_ERROR, StopReason.ERROR
    ]  # fmt: skip
    for row, words in zip(
        rows[1:5], ["does not exist", "no such luck", "not an image", "ZeroDivisionError: no paint"], strict=True
    ):
        assert words in (row.message or "")
        assert (row.correct, row.rule, row.answer) == (False, Rule.UNANSWERED, None)


class Strict(ScriptedModel):
    """A judge that says 0, and fails after so many verdicts."""

    verdicts: int
    given: int = 0

    def __init__(self, verdicts: int = 1_000_000) -> None:
        super().__init__(turns=["0"], verdicts=verdicts)

    async def _agenerate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self.given += 1
        if self.given > self.verdicts:
            raise RuntimeError("no judge is in")
        return self._generate(messages)


def unmatched(count: int) -> Made:
    return questions(count, answer="a red cat")


async def test_a_judge_that_fails_is_one_rows_trouble(tmp_path: Path) -> None:
    rows = await run(unmatched(3), WordyModel(), tmp_path, judge=driven(Strict(1)), concurrency=1)
    assert [(row.status.value, row.rule) for row in rows] == [
        ("answered", Rule.JUDGE), ("failed", Rule.UNMATCHED), ("failed", Rule.UNMATCHED)
    ]  # fmt: skip
    assert [row.answer for row in rows] == ["0", "1", "2"]
    assert "could not be judged" in (rows[1].message or "")


async def test_an_answer_that_could_not_be_judged_is_judged_again_and_not_asked_for(tmp_path: Path) -> None:
    whole = await run(unmatched(3), WordyModel(), tmp_path / "whole", judge=driven(Strict()))
    failing = await run(unmatched(3), WordyModel(), tmp_path / "run", judge=driven(Strict(1)), concurrency=1)
    model = WordyModel()
    assert await run(unmatched(3), model, tmp_path / "run", judge=driven(Strict())) == failing
    again = await run(unmatched(3), model, tmp_path / "run", judge=driven(Strict()), retry_failed=True)
    assert model.asked == []
    assert [row.lasting for row in again] == [row.lasting for row in whole]


async def test_a_judge_may_come_later(tmp_path: Path) -> None:
    made = Made([*unmatched(3).items, question(3)])
    whole = await run(made, WordyModel(), tmp_path / "whole", judge=driven(Strict()))
    before = await run(made, WordyModel(), tmp_path / "run")
    assert [row.rule for row in before] == [*[Rule.UNMATCHED] * 3, Rule.NUMBER]
    model, judge = WordyModel(), Strict()
    rows = await run(made, model, tmp_path / "run", judge=driven(judge))
    assert (model.asked, judge.given) == ([], 3)
    assert [row.lasting for row in rows] == [row.lasting for row in whole]
    assert await run(made, model, tmp_path / "run", judge=driven(judge)) == rows
    assert judge.given == 3


@pytest.mark.parametrize("later", [False, True])
async def test_a_judge_that_cannot_judge_is_noticed_at_its_first_verdict(tmp_path: Path, later: bool) -> None:
    if later:
        await run(unmatched(9), WordyModel(), tmp_path)
    broken, model = Strict(0), WordyModel()
    with pytest.raises(PolicyError, match=r"no judge is in.*first verdict, so the run stops here.*retry_failed=True"):
        await run(unmatched(9), model, tmp_path, judge=driven(broken), concurrency=1)
    assert broken.given == 1
    model.asked.clear()
    rows = await run(unmatched(9), model, tmp_path, judge=driven(Strict()), retry_failed=True)
    assert [row.rule for row in rows] == [Rule.JUDGE] * 9
    assert sorted(model.asked) == ([] if later else [f"Question {number}?" for number in range(1, 9)])


async def test_a_run_that_is_over_asks_nothing_more(tmp_path: Path) -> None:
    first = await run(questions(5), CountingModel(), tmp_path)
    model = CountingModel()
    assert await run(questions(5), model, tmp_path) == first
    assert model.asked == []


async def test_a_cancelled_run_goes_on_where_it_was(tmp_path: Path) -> None:
    seen: list[str] = []

    def stop(text: str) -> None:
        seen.append(text)
        if len(seen) == 9:
            task.cancel()

    task = asyncio.create_task(run(questions(20), CountingModel(on_call=stop), tmp_path, concurrency=3))
    with pytest.raises(asyncio.CancelledError):
        await task
    before = read_run(tmp_path).rows
    assert 0 < len(before) < 9
    model = CountingModel()
    rows = await run(questions(20), model, tmp_path, concurrency=3)
    assert {f"Question {number}?" for number in range(20)} == {row.text for row in rows}
    assert Counter(model.asked) == Counter({row.text for row in rows} - {row.text for row in before})


async def test_a_benchmark_that_breaks_loses_nothing_that_was_read(tmp_path: Path) -> None:
    class Broken(Made):
        whole = False

        def __iter__(self) -> Iterator[Any]:
            for item in self.items:
                if item.id == "q6" and not self.whole:
                    raise ImageError("the shard is torn")
                yield item

    made = Broken(questions(9).items)
    with pytest.raises(ImageError, match="the shard is torn"):
        await run(made, CountingModel(), tmp_path, concurrency=2)
    assert [row.question for row in read_run(tmp_path).rows] == [f"q{number}" for number in range(6)]
    made.whole = True
    assert len(await run(made, CountingModel(), tmp_path)) == 9


async def test_malformed_rows_and_repeated_ids_are_told_and_not_asked(tmp_path: Path) -> None:
    made = Made([MalformedRow("a.jsonl line 1", "no image"), question(0), question(0), question(1)])
    for _ in range(2):
        rows = await run(made, CountingModel(), tmp_path, limit=2)
    assert [row.question for row in rows] == ["q0", "q1"]
    assert read_run(tmp_path).malformed == 2
    assert "q0" in (tmp_path / "malformed.jsonl").read_text()


@pytest.mark.parametrize(("known", "why"), [
    ({"id": 1}, "`id` is 1: it needs a text"), ({"id": None}, "`id` is None"), ({"text": None}, "`text` is None"),
    ({"text": "  "}, "`text` is"), ({"answer": None}, "`answer` is None"), ({"category": None}, "`category` is None"),
    ({"options": ("41", "43"), "answer": "Z"}, "`answer` is 'Z': it needs the letter of an option, or its text"),
    ({"options": ("41",)}, "list of 2 to 26 texts"), ({"options": ("41", 42)}, "list of 2 to 26 texts"),
    ({"options": None}, "`options` is None"), ({"guessing": 25}, "`guessing` is 25: it needs a share, 0 to 1"),
    ({"boxes": ((10, 20, 30, 40),)}, "seems to be in pixels"), ({"boxes": ((0, 0, 1),)}, "it needs four numbers"),
    ({"boxes": None}, "it needs a list of boxes"),
])  # fmt: skip
async def test_an_odd_question_of_ones_own_is_told_and_the_rest_is_asked(
    known: dict[str, Any], why: str, tmp_path: Path
) -> None:
    rows = await run(Made([question(0, **known), question(1)]), CountingModel(), tmp_path)
    assert [row.question for row in rows] == ["q1"]
    (line,) = (tmp_path / "malformed.jsonl").read_text().splitlines()
    assert json.loads(line)["where"] == f"question {known.get('id', 'q0')}"
    assert why in json.loads(line)["why"]


async def test_options_in_the_text_of_a_question_of_ones_own_are_options(tmp_path: Path) -> None:
    made = Made([question(0, text="Question 0? (A) Honda (B) Yamaha", answer="Yamaha")])
    (row,) = await run(made, scripted(answer("(B) Yamaha")), tmp_path)
    assert (row.options, row.truth, row.correct, row.rule) == (("Honda", "Yamaha"), "B", True, Rule.LETTER)


class Once(Made):
    """Its questions can be read a single time."""

    def __iter__(self) -> Iterator[Any]:
        self.left = getattr(self, "left", None) or iter(self.items)
        return self.left


class Drained(Once):
    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()


@pytest.mark.parametrize("kind", [Once, Drained])
@pytest.mark.parametrize("count", [1, 3])
async def test_a_benchmark_that_can_be_read_once_only_is_refused_by_name(
    kind: type[Made], count: int, tmp_path: Path
) -> None:
    made = kind(questions(count).items)
    with pytest.raises(ConfigError, match="made gives its questions only once, so the first would be lost"):
        await run(made, CountingModel(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_the_limit_takes_the_first_questions_at_every_resolution(tmp_path: Path) -> None:
    made = Made([question(number, image=Painted()) for number in range(9)])
    rows = await run(made, CountingModel(), tmp_path, resolutions=(56, 84), limit=3)
    for resolution in (56, 84):
        assert [row.question for row in rows if row.cell.resolution == resolution] == ["q0", "q1", "q2"]


async def test_an_image_smaller_than_a_resolution_is_not_asked_about_there(tmp_path: Path) -> None:
    made = Made([question(0, image=photo(96, 72)), question(1, image=photo(640, 480))])
    for _ in range(2):
        rows = await run(made, CountingModel(), tmp_path, resolutions=(96, 320, "native"))
    assert [(row.question, row.cell.resolution) for row in rows] == [
        ("q0", 96), ("q0", None), ("q1", 96), ("q1", 320), ("q1", None)
    ]  # fmt: skip
    assert read_run(tmp_path).skipped == {320: 1}
    assert [row.source for row in rows][1:4] == [(96, 72), (96, 72), (320, 240)]


async def test_direct_offers_no_zooms_and_proactive_insists_on_one(tmp_path: Path) -> None:
    eager, lazy = (
        scripted(zoom(10, 10, 40, 40), answer("42")),
        scripted(answer("42"), zoom(10, 10, 40, 40), answer("42")),
    )
    (row,) = await run(questions(1), eager, tmp_path / "direct", mode="direct")
    assert row.zooms == ()
    (row,) = await run(questions(1), lazy, tmp_path / "adaptive")
    assert (row.zooms, row.answer) == ((), "42")
    (row,) = await run(questions(1), lazy, tmp_path / "proactive", mode="proactive")
    assert (len(row.zooms), row.answer) == (1, "42")


async def test_a_budget_is_the_area_of_the_overview(tmp_path: Path) -> None:
    made = Made([question(0, image=photo(448, 224))])
    rows = await run(made, CountingModel(), tmp_path, resolutions=(448,), overview_budgets=(56, 112, None))
    shown = [row.usage.visual_tokens if row.usage else 0 for row in rows]
    assert shown == [SizeRule(min_pixels=1, max_pixels=side**2).tokens(
        SizeRule(min_pixels=1, max_pixels=side**2).fit((448, 224))) for side in (56, 112, 1000)]  # fmt: skip


async def test_tampered_regions_are_what_the_policy_sees_and_every_question_is_asked_as_it_is_too(
    tmp_path: Path,
) -> None:
    policy, kinds = scripted(zoom(10, 10, 40, 40), answer("42")), (None, "blank", "elsewhere", "overview")
    made = Made([question(number, image=Painted()) for number in range(2)])
    rows = await run(made, policy, tmp_path, resolutions=(448,), trajectories=True, regions=kinds[1:], concurrency=1)
    assert [(row.question, row.cell.region) for row in rows] == [
        (name, kind) for name in ("q0", "q1") for kind in kinds
    ]
    assert len({row.zooms for row in rows}) == 1
    assert [item.image.made for item in made.items] == [[448], [448]]  # one picture serves all kinds
    first, *_ = views = [saved.views for saved in read_trajectories(tmp_path / "trajectories")][:4]
    assert len({look.image.sha256 for look, _ in views}) == 1
    assert len({region.image.sha256 for _, region in views}) == 4
    plain = await run(made, policy, tmp_path / "plain", resolutions=(448,), trajectories=True)
    assert [row.lasting for row in plain] == [row.lasting for row in rows if row.cell.plain]
    assert next(iter(read_trajectories(tmp_path / "plain" / "trajectories"))).views == first


async def test_each_budget_has_its_own_tampered_regions(tmp_path: Path) -> None:
    policy = scripted(zoom(10, 10, 40, 40), answer("42"))
    made = Made([question(0, image=photo(448, 336))])
    rows = await run(made, policy, tmp_path, resolutions=(448,), overview_budgets=(112, 224), regions=("overview",))
    assert [(row.cell.budget, row.cell.region) for row in rows] == [
        (112, None), (224, None), (112, "overview"), (224, "overview")
    ]  # fmt: skip
    tokens = [row.usage.visual_tokens for row in rows if row.usage]
    assert tokens[:2] == tokens[2:]
    assert tokens[0] != tokens[1]


async def test_a_run_with_tampered_regions_goes_on_where_it_was(tmp_path: Path) -> None:
    rows = await run(questions(3), CountingModel(), tmp_path, regions=("blank", "overview"))
    lines = (tmp_path / "results.jsonl").read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b'"overview"' not in line]
    assert len(kept) == 6
    (tmp_path / "results.jsonl").write_bytes(b"".join(kept))
    model = CountingModel()
    again = await run(questions(3), model, tmp_path, regions=("blank", "overview"))
    assert Counter(model.asked) == {f"Question {number}?": 1 for number in range(3)}
    assert [row.lasting for row in again] == [row.lasting for row in rows]
    with pytest.raises(ConfigError, match=r'regions was \["blank", "overview"\] and is now \[\]'):
        await run(questions(3), model, tmp_path)


async def test_changed_scenes_are_asked_about_with_regions_as_they_are(tmp_path: Path) -> None:
    given = {"resolutions": (224,), "limit": 2, "counterfactual": True, "regions": ("blank",)}
    await aevaluate("scenes", "observer", out=tmp_path, **given)
    found = [(row.cell.counterfactual, row.cell.region) for row in read_run(tmp_path).rows]
    assert found == [(False, None), (False, "blank"), (True, None)] * 2


async def test_limits_are_those_that_were_given(tmp_path: Path) -> None:
    policy = scripted(*[zoom(10, 10, 40, 40)] * 3, answer("42"))
    rows = await run(questions(1), policy, tmp_path, config=FocusConfig(max_zooms=2))
    assert len(rows[0].zooms) == 2
    assert read_run(tmp_path).settings.limits["max_zooms"] == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mode": "lazy"}, "mode is one of adaptive, direct, proactive, not 'lazy'"),
        ({"regions": ("black",)}, "region is one of blank, elsewhere, overview, not 'black'"),
        ({"regions": "blank"}, "regions is a list such as .'blank'., not 'blank'"),
        ({"benchmark": [question(0)]}, "is no benchmark, for it has no name, no role: a benchmark is a spec such as"),
        ({"benchmark": Path("mine.jsonl")}, r"Path.'mine\.jsonl'. is no benchmark, for it has no role, no __iter__"),
        ({"benchmark": Made}, "or an object with a name, a role .train or test. and an __iter__ that"),
        ({"benchmark": Made([{"image": "a.png"}])}, "made yields dict: a benchmark yields BenchmarkQuestion"),
        ({"mode": "proactive", "config": FocusConfig(max_zooms=0)}, "max_zooms is 0"),
        ({"counterfactual": True}, "counterfactual needs scenes, and made has other images"),
        ({"benchmark": Made([question(0, image=Painted())]), "resolutions": (56, None)}, "no size of their own"),
        ({"overview_budgets": (14,)}, "budgets are whole numbers of at least 28"),
        ({"resolutions": ("big",)}, "resolutions"),
        ({"limit": 0}, "limit"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
    ],
)
async def test_settings_that_make_no_sense_are_refused_before_anything_is_written(
    tmp_path: Path, given: Any, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        await run(given.pop("benchmark", questions(2)), CountingModel(), tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_evaluate_has_the_parameters_of_aevaluate_and_passes_all_of_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    signature = inspect.signature(aevaluate)
    assert inspect.signature(evaluate) == signature
    passed: list[dict[str, object]] = []

    async def watch(*given: Any, **named: Any) -> None:
        passed.append(dict(signature.bind(*given, **named).arguments))

    monkeypatch.setattr(front, "aevaluate", watch)
    mine = {name: object() for name in signature.parameters}
    evaluate(**mine)
    evaluate("made", "observer")
    plain = signature.bind("made", "observer")
    plain.apply_defaults()
    assert passed == [mine, plain.arguments]


async def test_the_observer_needs_scenes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the observer needs scenes, and made has other images"):
        await aevaluate(questions(2), "observer", out=tmp_path / "out", **SMALL)
    assert not (tmp_path / "out").exists()


async def test_a_benchmark_without_questions_is_refused_with_its_first_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"made has no question that can be asked: a\.jsonl line 1: no image"):
        await run(Made([MalformedRow("a.jsonl line 1", "no image")]), CountingModel(), tmp_path / "out")


async def test_a_bare_chat_model_is_asked_with_native_calls(tmp_path: Path) -> None:
    rows = await run(questions(1), ScriptedModel(turns=["42"]), tmp_path, resolutions=(56,))  # as a Policy
    assert rows[0].status is Status.FAILED or rows[0].answer is None
    await aevaluate(questions(1), ScriptedModel(turns=["42"]), out=tmp_path / "bare", **SMALL)
    run_ = read_run(tmp_path / "bare")
    assert (run_.rows[0].answer, run_.settings.dialect) == ("42", "native")


def test_evaluate_works_without_a_loop_and_inside_of_one(tmp_path: Path) -> None:
    policy = driven(CountingModel())
    assert len(evaluate(questions(2), policy, out=tmp_path / "without", **SMALL).rows) == 2

    async def inside() -> int:
        return len(evaluate(questions(2), policy, out=tmp_path / "inside", **SMALL).rows)

    assert asyncio.run(inside()) == 2


async def test_the_same_run_gives_the_same_rows(tmp_path: Path) -> None:
    runs = [await run(questions(6), WordyModel(), tmp_path / name, concurrency=n) for name, n in (("a", 1), ("b", 5))]
    assert [row.lasting for row in runs[0]] == [row.lasting for row in runs[1]]


async def test_a_profile_replaces_the_policys_own(tmp_path: Path) -> None:
    profile = Profile(overview=SizeRule(min_pixels=28**2, max_pixels=56**2))
    rows = await run(
        Made([question(0, image=photo(448, 448))]), CountingModel(), tmp_path, resolutions=(448,), profile=profile
    )
    assert rows[0].usage
    assert rows[0].usage.visual_tokens == 4


async def test_what_failed_is_asked_again_on_request_only(tmp_path: Path) -> None:
    broken = MissingModel(misses=frozenset({"Question 1?", "Question 3?"}))
    first = await run(questions(5), broken, tmp_path)
    assert [row.status.value for row in first] == ["answered", "failed", "answered", "failed", "answered"]
    assert await run(questions(5), CountingModel(), tmp_path) == first
    model = CountingModel()
    again = await run(questions(5), model, tmp_path, retry_failed=True)
    assert sorted(model.asked) == ["Question 1?", "Question 3?"]
    assert all(row.correct for row in again)
    assert [row for row in again if row.number in (0, 2, 4)] == [first[0], first[2], first[4]]


async def test_a_missing_package_ends_the_run_at_once(tmp_path: Path) -> None:
    class Unpaintable:
        def render(self, long_side: int) -> Any:
            raise MissingExtraError.for_extra("eval", "painting")

    made = Made([question(number, image=Unpaintable()) for number in range(9)])
    with pytest.raises(MissingExtraError, match=r"pip install .cof-agent\[eval\]"):
        await run(made, CountingModel(), tmp_path)
    assert read_run(tmp_path).rows == ()


def shown_by(console: Console, rows: int, total: int | None) -> None:
    with RunProgress(console, line_seconds=0) as progress:
        progress.begin(total, [])
        for item in range(rows):
            progress.add(PLAIN.model_copy(update={"correct": item % 2 == 0}))
        progress.skip()


def test_progress_is_lines_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    shown_by(console, 4, 8)
    lines = console.file.getvalue().splitlines()
    assert lines[0].startswith("1 of 8 done: accuracy 100.0%, 2.00 zooms a question, about ")
    assert lines[3].startswith("4 of 8 done: accuracy 50.0%, 2.00 zooms a question, about ")
    assert lines[-1].startswith("4 of 7 done")


def test_progress_tells_the_accuracy_of_questions_asked_as_they_are() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with RunProgress(console, line_seconds=0) as progress:
        progress.begin(3, [])
        for cell in (Cell(region="blank"), Cell(), Cell(counterfactual=True)):
            progress.add(PLAIN.model_copy(update={"cell": cell, "correct": cell.plain}))
    first, second, last, _ = console.file.getvalue().splitlines()
    assert first.startswith("1 of 3 done, about")
    assert "2 of 3 done: accuracy 100.0%" in second
    assert last == "3 of 3 done: accuracy 100.0%, 2.00 zooms a question"


def test_progress_is_a_bar_in_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    shown_by(console, 4, 8)
    assert "4/7" in console.file.getvalue()
    assert "accuracy 50.0%" in console.file.getvalue()


def counted(progress: RunProgress) -> bool:
    return progress._total is not None


async def test_a_benchmark_of_unknown_length_is_counted_meanwhile(tmp_path: Path) -> None:
    photo(96, 72).save(tmp_path / "photo.png")
    rows = [{"image": "photo.png", "question": f"Question {number}?", "answer": "42"} for number in range(6)]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for words in ("6 of 6 done: accuracy 100.0%, 0.00 zooms a question", "going on after 6 results"):
        console = Console(file=io.StringIO(), force_terminal=False)
        progress = RunProgress(console, line_seconds=0)
        model = CountingModel(until=partial(counted, progress))
        await run(
            f"jsonl:{tmp_path / 'asked.jsonl'}", model, tmp_path / "out", resolutions=(56, 448),
            concurrency=1, progress=progress,
        )  # fmt: skip
        assert words in console.file.getvalue()


async def test_to_decline_is_right_where_a_question_cannot_be_answered_and_nowhere_else(tmp_path: Path) -> None:
    def asked() -> Made:
        return Made([question(0), question(1, answer="cannot answer"), question(2, answer="cannot answer: no dog")])

    declines = ScriptedModel(turns=[answer("Cannot answer: it is dark")])
    rows = await run(asked(), declines, tmp_path / "declined", judge=driven(Strict()))
    assert [(row.status, row.correct, row.rule, row.chance) for row in rows] == [
        (Status.DECLINED, False, Rule.UNANSWERED, None),
        (Status.DECLINED, True, Rule.DECLINED, 0.0),
        (Status.DECLINED, True, Rule.DECLINED, 0.0),
    ]
    judge = Strict()
    rows = await run(asked(), ScriptedModel(turns=[answer("42")]), tmp_path / "answered", judge=driven(judge))
    assert [(row.correct, row.rule) for row in rows] == [
        (True, Rule.TEXT), (False, Rule.DECLINED), (False, Rule.DECLINED)
    ]  # fmt: skip
    assert judge.given == 0
    silent = await run(asked(), ScriptedModel(turns=["<think>?</think>"] * 9), tmp_path / "silent")
    assert {(row.status, row.correct, row.rule) for row in silent} == {(Status.BUDGET, False, Rule.UNANSWERED)}


@pytest.mark.parametrize("kind", ["absent", "foreign"])
@pytest.mark.parametrize("mode", ["adaptive", "direct", "proactive"])
async def test_the_observer_is_right_to_decline_what_no_scene_shows(kind: str, mode: str, tmp_path: Path) -> None:
    await aevaluate(f"scenes:test:{kind}", "observer", out=tmp_path, resolutions=(336,), limit=6, mode=mode)
    summary = summarise({}, read_run(tmp_path).rows)
    (cell,) = summary.cells
    assert (cell.accuracy.value, cell.chance, cell.rightly_declined) == (1.0, 0.0, 6)
    assert cell.direct.value == (0.0 if mode == "proactive" else 1.0)
    assert cell.categories.keys() == {"unanswerable"}
    assert (dict(cell.rules), dict(cell.statuses)) == ({Rule.DECLINED: 6}, {Status.DECLINED: 6})
    assert {(row.ideal_zooms, row.reachable) for row in read_run(tmp_path).rows} == {(0, True)}
    assert remarks(summary) == ["Rightly declined, since they cannot be answered: 6."]


async def test_what_cannot_be_answered_has_no_counterfactual(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="scene-0-absent of scenes:test:absent cannot be answered whatever is changed"
    ):
        await aevaluate("scenes:test:absent", "observer", out=tmp_path, counterfactual=True, **SMALL)
