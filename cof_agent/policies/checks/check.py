"""One thing that a policy needs, and whether it is here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.policies.profiles import UNKNOWN, profile_for


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a policy needs."""

    state: Literal["ok", "unknown", "missing"]
    """`unknown`: it cannot be told from here; the policy may work all the same."""
    what: str
    remedy: str | None = None

    @classmethod
    def missing(cls, what: str, remedy: object) -> Check:
        return cls("missing", what, _one_line(remedy))

    @classmethod
    def unknown(cls, what: str, why: object) -> Check:
        return cls("unknown", what, _one_line(why))

    @classmethod
    def spoken_to(cls, dialect: str, told_by: str) -> Check:
        other = "questions are asked in another one with --dialect or --profile"
        if told_by == UNKNOWN:
            return cls("ok", f"dialect {dialect}, for it is no checkpoint whose name or type is known ({other})")
        return cls("ok", f"dialect {dialect}, as {told_by} says ({other})")

    @classmethod
    def profile_of(cls, name: str, vendors: Profile | None = None) -> Check:
        """How the policy of that name would be spoken to, or why it cannot be."""
        try:
            profile, told_by = profile_for(name, vendors=vendors)
        except ConfigError as error:
            return cls.missing("dialect of its form", error)
        return cls.spoken_to(profile.dialect, told_by)

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.state:<7}  {self.what}" + (f": {self.remedy}" if self.remedy else "")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
