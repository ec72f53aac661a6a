"""A directory of trajectories, with what lies around it: rows of a collection, the evaluation that made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cof_agent.agent.trajectory import Trajectory
from cof_agent.agent.trajectory_file import IMAGES, LINES, has_several_images, located_trajectories
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import default_profile
from cof_agent.errors import ConfigError, TrajectoryError, validated
from cof_agent.evaluation.evaluating import TRAJECTORIES
from cof_agent.evaluation.results import SETTINGS, Run, read_run
from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.settings import RunSettings, with_budget
from cof_agent.files import parse_json
from cof_agent.images.named_file import is_inside
from cof_agent.learning.collecting.candidate import Looks
from cof_agent.learning.collecting.collected import REPORT, ROWS, TRIED, CollectedRow, CollectionReport, read_rows
from cof_agent.learning.exports.conversation import Facts
from cof_agent.scenes.reach import SCENE_PROFILE


@dataclass(frozen=True, slots=True)
class Example:
    """A trajectory and what is known about its question."""

    number: int
    """Position in the file, from 0."""
    trajectory: Trajectory
    facts: Facts
    options: tuple[str, ...]


class Collected:
    """A collected directory, an evaluation's directory, or any directory of trajectories.

    Raises TrajectoryError, naming file and line, for what is damaged, and ConfigError where there are none, where a
    collection is unfinished, or where its regions were changed to test the policy.
    """

    def __init__(self, directory: str | Path, *, profile: Profile | None = None) -> None:
        self.directory = _with_trajectories(Path(directory))
        self._given = profile
        self._rows: dict[int, CollectedRow] = {}
        self._results: dict[str, ResultRow] = {}
        """By the ids of their trajectories."""
        self._settings: RunSettings | None = None
        if (self.directory / ROWS).exists() or (self.directory / TRIED).exists():
            self._settings = _report(self.directory).settings
            self._rows = {row.position: row for row in read_rows(self.directory)}
        elif run := _run_of(self.directory):
            self._settings = run.settings
            self._results = {row.trajectory: row for row in run.rows if row.trajectory}
        if self._settings and self._settings.regions:
            raise ConfigError(
                f"some regions in {self.directory} do not show what they should "
                f"(regions= {','.join(self._settings.regions)}): export runs made without it"
            )

    def where(self, example: Example) -> str:
        """Where an example stands, for people."""
        return f"{self.directory / LINES} trajectory {example.number + 1}"

    @property
    def has_several_images(self) -> bool:
        """Whether one of its questions is about several images. Raises TrajectoryError where they cannot be read."""
        try:
            return has_several_images(self.directory)
        except OSError as error:
            raise TrajectoryError(f"{self.directory / LINES} cannot be read: {error.strerror or error}") from error

    @property
    def images(self) -> Mapping[str, Path]:
        """The image files by the hash in their names, but for links that lead elsewhere; none without their folder."""
        try:
            files = [file for file in (self.directory / IMAGES).iterdir() if not file.name.startswith(".")]
            return {file.stem: file for file in files if is_inside(file, self.directory)}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise TrajectoryError(
                f"{self.directory / IMAGES} cannot be read ({error.strerror or error}): check its permissions"
            ) from error

    def __iter__(self) -> Iterator[Example]:
        for number, located in enumerate(located_trajectories(self.directory)):
            trajectory, id_ = located.trajectory, located.id
            row = self._rows.get(number)
            if self._results and id_ not in self._results:
                continue  # its question was cut off, or asked again: another trajectory is that of its result
            known = row or self._results.get(id_)
            facts = Facts(
                id=row.id if row else id_,
                question=trajectory.question,
                answer=trajectory.answer,
                truth=known.truth if known else None,
                category=known.category if known else None,
                kind=Looks.of(len(trajectory.zooms)),
                dialect=trajectory.dialect,
                policy=trajectory.policy,
                benchmark=self._settings.benchmark if self._settings else None,
                role=self._settings.role.value if self._settings else None,
            )
            yield Example(number, trajectory, facts, known.options if known else ())

    def profile(self, trajectory: Trajectory) -> Profile:
        """How the policy was spoken to: the profile given, the run's own, or that of the trajectory's dialect.

        One that showed the overviews at the size recorded is preferred. Raises ConfigError when none has the dialect,
        tools and prompts of the trajectory.
        """
        known = [profile for profile in self._profiles(trajectory) if _speaks(profile, trajectory)]
        if not known:
            whose = "The profile given has others" if self._given else "Name the profile with profile="
            raise ConfigError(
                f"a trajectory of {trajectory.policy} was made with dialect {trajectory.dialect}, tools "
                f"{', '.join(trajectory.tools) or 'none'} and prompts {trajectory.prompts}. {whose}"
            )
        return next((profile for profile in known if shows(profile, trajectory)), known[0])

    def _profiles(self, trajectory: Trajectory) -> list[Profile]:
        settings = self._settings
        if self._given:
            own = self._given
        elif settings:
            own = Profile.parse(settings.profile, f"the profile of {self.directory}")
        else:
            return [default_profile(trajectory.dialect), SCENE_PROFILE]
        return [own, *(with_budget(own, budget) for budget in (settings.budgets if settings else ()))]


def shows(profile: Profile, trajectory: Trajectory) -> bool:
    """Whether a profile shows each overview at the size that the policy saw."""
    seen = [view.shown for view in trajectory.views[: len(trajectory.images)]]
    return [profile.overview.fit(image.ref.size) for image in trajectory.images] == seen


def _with_trajectories(directory: Path) -> Path:
    for place in (directory, directory / TRAJECTORIES):
        if (place / LINES).is_file():
            return place
    raise ConfigError(f"{directory} has no {LINES}: name a directory that `collect` or `save` has written")


def _report(directory: Path) -> CollectionReport:
    path = directory / REPORT
    try:
        value = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{directory} is an unfinished collection: run the same `collect` again ({error})") from error
    return validated(CollectionReport, value, str(path))


def _run_of(directory: Path) -> Run | None:
    """The evaluation that saved them, if one did."""
    place = directory.parent if directory.name == TRAJECTORIES else directory
    return read_run(place) if (place / SETTINGS).is_file() else None


def _speaks(profile: Profile, trajectory: Trajectory) -> bool:
    spoken = profile.dialect, profile.tools, profile.prompts.digest
    return spoken == (trajectory.dialect, trajectory.tools, trajectory.prompts)
