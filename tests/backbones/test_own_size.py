"""What is bent of diffusers for the length of a call is bent for one editor at a time."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest

from undrift.backbones.own_size import MEGAPIXEL, scaled_to


def test_editors_in_two_threads_each_have_their_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(area: int, ratio: float) -> tuple[int, int]:
        return area, round(ratio)

    module = SimpleNamespace(calculate_dimensions=plain)
    monkeypatch.setitem(sys.modules, "a_pipeline", module)
    seen: list[tuple[int, int]] = []

    def other() -> None:
        with scaled_to((3, 4), "a_pipeline"):
            seen.append(module.calculate_dimensions(MEGAPIXEL, 1.0))

    thread = threading.Thread(target=other)
    with scaled_to((1, 2), "a_pipeline"):
        thread.start()
        thread.join(0.2)
        assert seen == []
        assert module.calculate_dimensions(MEGAPIXEL, 1.0) == (1, 2)
        assert module.calculate_dimensions(5, 6.0) == (5, 6)
    thread.join()
    assert seen == [(3, 4)]
    assert module.calculate_dimensions is plain
