"""Commands as processes of their own: their environment, and ``undrift`` with the toy model."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]

TOY = """
from tests.support.toy import ToyBackbone, ToyMethod
from undrift.cli import execution
from undrift.cli.main import main
from undrift.methods import registry

registry.all_methods = lambda: {"toy": ToyMethod}
execution.load = lambda name, **options: ToyBackbone()
main()
"""
"""``undrift`` with the toy model."""

SLOW = """
import time
from tests.support.toy import ToyBackbone, ToyMethod
from undrift.cli import execution
from undrift.cli.main import main
from undrift.methods import registry

class Slow(ToyBackbone):
    def network(self, *arguments):
        time.sleep(0.05)
        return super().network(*arguments)

registry.all_methods = lambda: {"toy": ToyMethod}
execution.load = lambda name, **options: Slow()
main()
"""
"""The same, and it takes its time."""


def environment(**more: str) -> dict[str, str]:
    """Of a process that runs this tree on one thread."""
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}
