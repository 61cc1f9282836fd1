"""What a suite is: a named, fixed set of cases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from undrift.bench.case import Case
from undrift.errors import InputError


class SuiteSpec(BaseModel):
    """Which cases: enough to find the same ones again, in another process or on another machine.

    Attributes:
        name: of the suite.
        variant: one of the suite's variants.
        data: the suite's folder or file, for suites that read one.
        limit: only the first so many cases; None takes all.
        turns: only the first so many turns of each; None takes all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    variant: str = "default"
    data: Path | None = None
    limit: int | None = None
    turns: int | None = None


class Suite(ABC):
    """A set of cases. Subclass it in one file under ``undrift.bench.suites`` and it is found.

    Class attributes:
        name: what the user types, with hyphens.
        title: a short human name, with the source.
        variants: named sets of cases with a line on each; ``default`` need not be listed where there is only one.
        needs_data: whether ``SuiteSpec.data`` must name a folder or file.
        short: whether a variant's name alone means this suite.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    variants: ClassVar[Mapping[str, str]] = MappingProxyType({"default": "all cases"})
    needs_data: ClassVar[bool] = True
    short: ClassVar[bool] = False

    def __init__(self, spec: SuiteSpec) -> None:
        self.spec = spec

    @property
    def data(self) -> Path:
        """The suite's folder or file.

        Raises:
            InputError: none is named, or there is nothing.
        """
        if self.spec.data is None:
            raise InputError(f"suite {self.name} reads its data from a folder: name it with --data")
        if not self.spec.data.exists():
            raise InputError(f"no data at '{self.spec.data}': name the folder that holds {self.title} with --data")
        return self.spec.data

    @abstractmethod
    def cases(self) -> Sequence[Case]:
        """Every case of the variant, in a fixed order. Pictures are read when asked for, not here.

        Raises:
            InputError: the data is not what the suite reads; the message says what is wrong and where.
        """
