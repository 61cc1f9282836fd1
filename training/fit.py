"""The loop that the small helpers of the drawn world are trained with: resumable, for a given time, cosine rate."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from training.run import load_checkpoint, save_checkpoint


class Trainer(ABC):
    """A model, its optimiser and how far they are.

    Class attributes:
        state: the checkpoint's file.
        peak_rate, decay: of AdamW; the rate rises over the first 5 % of the time and falls as a cosine to 1 %.
        save_every: steps between two checkpoints.
        largest_gradient: norm that the gradient is cut to.
    """

    state: ClassVar[Path]
    peak_rate: ClassVar[float]
    decay: ClassVar[float]
    save_every: ClassVar[int]
    largest_gradient: ClassVar[float] = math.inf

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=self.peak_rate, weight_decay=self.decay)
        self.step = 0
        self.seconds = 0.0

    @abstractmethod
    def loss(self) -> Tensor:
        """The loss of the batch that belongs to ``step``."""

    def resumed(self) -> Self:
        """This trainer as `save` left it, if it did."""
        state = load_checkpoint(self.state)
        if state is not None:
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds = state["step"], state["seconds"]
        return self

    def save(self) -> None:
        """Write everything that `resumed` needs."""
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        save_checkpoint(self.state, {**state, "step": self.step, "seconds": self.seconds})

    def train(self, minutes: float) -> None:
        """Step until the minutes, those of earlier runs included, are spent."""
        self.model.train()
        budget = 60 * minutes
        while self.seconds < budget:
            began = time.perf_counter()
            self._set_rate(self.seconds / budget)
            loss = self.advance()
            self.seconds += time.perf_counter() - began
            if self.step % self.save_every == 0:
                self.save()
                print(f"step {self.step}  {self.seconds:.0f} s  loss {loss:.4f}", flush=True)
        self.save()

    def advance(self) -> float:
        """One step; returns its loss."""
        loss = self.loss()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.largest_gradient)
        self.optimiser.step()
        self.step += 1
        return loss.item()

    def _set_rate(self, progress: float) -> None:
        warm = min(1.0, progress / 0.05)
        for group in self.optimiser.param_groups:
            group["lr"] = self.peak_rate * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)
