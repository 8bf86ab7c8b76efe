"""Members: networks that are kept beside the one that is committed, and trained on (Jaderberg et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hgenv.learning.training import State


class Member(NamedTuple):
    """A network's state, and its averaged weights (p,)."""

    state: State
    average: Tensor


class Members(NamedTuple):
    """k members side by side: averaged weights, weights and moments of each, (k, w); steps taken, the same of all."""

    rows: Tensor
    taken: int

    @staticmethod
    def of(members: Sequence[Member]) -> Members:
        """Of one member or more."""
        parts = [torch.cat([average, state.weights, *state.moments]) for state, average in members]
        return Members(torch.stack(parts), members[0].state.taken)

    def member(self, index: int, size: int) -> Member:
        """One of them, of networks of so many weights."""
        average, weights, *moments = torch.split(self.rows[index], size)
        return Member(State(weights, tuple(moments), self.taken), average)
