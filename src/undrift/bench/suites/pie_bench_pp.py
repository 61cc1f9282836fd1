"""PIE-Bench++ in its parquet files."""

from __future__ import annotations

from typing import ClassVar

from undrift.bench.data.pie import PieEntry
from undrift.bench.data.pie_pp import read_entries
from undrift.bench.suites.pie_bench import PieSuite


class PieBenchPlusPlus(PieSuite):
    """The same pictures as PIE-Bench with other prompts, so its numbers are not PIE-Bench's."""

    name: ClassVar[str] = "pie-bench-pp"
    title: ClassVar[str] = "PIE-Bench++ (arXiv 2406.00985)"

    def entries(self) -> list[PieEntry]:
        return read_entries(self.data)
