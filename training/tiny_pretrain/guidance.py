"""Where the language model is to look while it answers: at objects, at options, at coordinates it has written."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def guide_loss(looks: Sequence[torch.Tensor], about: torch.Tensor, owner: torch.Tensor) -> dict[str, torch.Tensor]:
    """Minus the log of the share of attention that falls on what an answer is about, in nats; its mean.

    `looks` are logs of attention, (texts, heads, places, length), by layer; `about` is (texts, places, heads), the
    objects of each place or -1, one for each head; `owner` is (texts, length), the object that each visual token shows,
    the option whose line ends there, the coordinate that stands there, or -1. What has no token of its own before the
    place is not asked for.
    """
    text, place, head = torch.nonzero(about >= 0, as_tuple=True)
    before = torch.arange(owner.shape[1], device=owner.device) <= place[:, None] + owner.shape[1] - about.shape[1]
    its_own = (owner[text] == about[text, place, head, None]) & before
    there = its_own.any(-1)
    text, place, head, its_own = text[there], place[there], head[there], its_own[there]
    if not looks or not len(text):
        return {}
    shares = [look[text, head, place].masked_fill(~its_own, float("-inf")).logsumexp(-1) for look in looks]
    return {"looks": -torch.stack(shares).mean()}
