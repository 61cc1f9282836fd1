"""A machine without any weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from undrift.bench.metrics import clip_scores, encoders, lpips


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for weights: no weights are anywhere, and none may be fetched."""
    monkeypatch.setenv("UNDRIFT_METRIC_WEIGHTS", str(tmp_path))
    monkeypatch.delenv("UNDRIFT_METRIC_DOWNLOAD", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    for clip in (clip_scores.L14, clip_scores.B32):
        monkeypatch.setattr(clip, "pictures", encoders.Remembering(clip._pictures))
    lpips._network.cache_clear()
    return tmp_path
