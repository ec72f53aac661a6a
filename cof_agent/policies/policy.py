"""A policy: a chat model and the profile it is spoken to with."""

from __future__ import annotations

from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import get_dialect
from cof_agent.dialects.tools import image_tools
from cof_agent.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Policy:
    """What drives the loop."""

    model: BaseChatModel
    profile: Profile
    name: str
    """How results name it: the spec it was loaded from."""

    def with_tools(self, images: int = 1) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with the profile's tools bound to it, where its dialect binds tools; else the model itself.

        They are those of a question about that many `images`. Raises ConfigError for a model that cannot bind tools.
        """
        if not (get_dialect(self.profile.dialect).binds_tools and self.profile.tools):
            return self.model
        try:
            return self.model.bind_tools(image_tools(self.profile, images))
        except NotImplementedError as error:
            raise ConfigError(
                f"{self.name} cannot bind tools: use a chat model that can, or a profile whose dialect writes "
                'calls as text, such as Profile(dialect="cof")'
            ) from error

    @property
    def page_text(self) -> bool:
        """Whether its model asks, with an attribute `page_text` that is true, for the words that views show.

        They are those of a page's own text. They stand beside each image block, as `words_in_views` makes them.
        """
        return getattr(self.model, "page_text", False) is True

    def warm_up(self) -> None:
        """Load now what the first call would load, where its model has a `warm_up`. Raises what that call would."""
        warm_up = getattr(self.model, "warm_up", None)
        if callable(warm_up):
            warm_up()
