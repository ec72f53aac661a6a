"""What a pretraining run is told."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.tiny_pretrain.framing import Kind
from training.tiny_pretrain.telling import Manner


class PretrainSettings(BaseModel):
    """One stage. Paths count from the working directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    """Directory of the checkpoint to start from: a seed, or what an earlier stage has written."""
    output: str = Field(min_length=1)
    """Saves, logs and the trained model go there."""
    questions: int = Field(default=0, ge=0)
    """Questions that the language model is asked about each view; 0: the vision tower learns alone."""
    tower: bool = True
    """Whether the vision tower learns on."""
    episodes: int = Field(default=0, ge=0)
    """Whole conversations of a step, besides the views. These, `texts` and `drills` need `questions`."""
    texts: int = Field(default=0, ge=0)
    """Conversations of a step with words for images: cheap."""
    drills: int = Field(default=0, ge=0)
    """Texts of a step, without images, of which the letters of options are learnt."""
    tours: int = Field(default=0, ge=0)
    """Texts of a step, without images, that look at one of each colour or at all of one: what has been looked at is
    passed over."""
    manners: dict[Manner, float] = {"adaptive": 1.0}
    """Shares of the manners in them: zooming where it must, as far as can be known, never (`direct`), or once at least
    (`always`)."""
    looks: str | None = None
    """Directory that `cof-agent eval scenes:train --policy hf:MODEL --out` has written: half of the conversations go on
    from where that policy looked."""
    unanswerable: float = Field(default=0.15, ge=0.0, le=0.5)
    """Share of the questions in them that have no answer, which it is to say."""
    steps: int = Field(ge=1)
    views: dict[Kind, float] = {"crowd": 0.4, "zoom": 0.3, "overview": 0.3}
    """Shares of the kinds of views."""
    tokens: int = Field(default=1024, ge=1)
    """Visual tokens of a batch: views of one size."""
    reuse: int = Field(default=4, ge=1)
    """How often a rendered view is used on average, each time cut a little elsewhere."""
    held: int = Field(default=12, ge=1)
    """Chunks of views that batches are drawn from."""
    matrix_rate: float = Field(default=0.01, gt=0)
    """Learning rate of the matrices, which Muon moves."""
    rate: float = Field(default=1e-3, gt=0)
    """That of all other weights, which AdamW moves."""
    warmup: int = Field(default=100, ge=1)
    """Steps in which the rates rise."""
    decay: float = Field(default=0.2, ge=0.0, le=1.0)
    """Last share of the steps, in which they fall to 0."""
    average: float = Field(default=0.998, ge=0.0, lt=1.0)
    """The averaged weights, which are measured and written, keep so much of themselves at each step."""
    together: int = Field(default=8, ge=1)
    """Conversations that are read at once: more on a GPU."""
    device: Literal["cpu", "cuda"] = "cpu"
    """On a GPU a run that goes on ends nearly, not bit for bit, as if undisturbed."""
    dtype: Literal["bfloat16", "float32"] | None = None
    """In which is computed; weights are kept in float32. Default: bfloat16, but float32 on a CPU without AVX-512: an
    AMD EPYC with AVX2 took seven times as long in bfloat16."""
    workers: int = Field(default=0, ge=0)
    """Processes that make ahead what is learnt, each two steps; 0: made when it is its turn. They hand it over in
    /dev/shm, some 40 MB for a step of 64 conversations, and each renders the chunks it needs: with them set `reuse` and
    `held` to 1."""
    threads: int = Field(default=2, ge=1)
    seed: int = Field(default=0, ge=0)
    save_minutes: float = Field(default=10.0, gt=0, le=10.0)
    """At most this long between two saves."""
    log_steps: int = Field(default=50, ge=1)
    measure_steps: int = Field(default=1000, ge=1)
    """Steps between two measurements on scenes of the validation split."""
    measure_views: int = Field(default=256, ge=1)
    """Views of each kind that are measured."""

    @model_validator(mode="after")
    def _something_learns(self) -> Self:
        if not self.questions and (self.episodes or self.texts or self.drills or self.tours or not self.tower):
            raise ValueError(
                "without questions the language model rests: set questions to 1 or more, or leave out episodes, texts, "
                "drills, tours and tower: false"
            )
        return self
