"""Every layout that models are held in: what its velocity is against what it should be, or the line that refuses it.

On tiny random pipelines. Prints the table of docs/models.md::

    python -m benchmarks.layouts
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from torch import Tensor

from tests.support import tiny_flux
from tests.support.layouts.loads import LOADS, Layout, by_diffusers, velocity
from tests.support.layouts.refused import FIND, REFUSED, without
from tests.support.tiny_pipelines import FAMILIES, saved
from undrift.backbones import from_pipeline, load
from undrift.errors import ModelError


def rows(root: Path) -> Iterator[tuple[str, str, str]]:
    """Of each layout its name, whether it loads, and what came of it."""
    folders = {name: saved(name, root / name) for name in FAMILIES}
    folders["flux"] = tiny_flux.save_tiny_flux(root / "flux")
    plain = {name: velocity(load(str(folder), device="cpu")) for name, folder in folders.items()}
    for number, (name, layout) in enumerate(LOADS.items()):
        yield name, "loads", _loaded(layout, folders[layout.family], plain[layout.family], root / str(number))
    for name in REFUSED:
        yield name, "refused", _line(name, folders["flux"], root / "model")


def _loaded(layout: Layout, source: Path, plain: Tensor, made: Path) -> str:
    if not layout.is_here:
        return f"not run here, needs {layout.package}"
    given = layout.make(source, made)
    found = velocity(load(**given, device="cpu"))
    if layout.bar is not None:
        return f"{_difference(found, plain)} from the plain folder's"
    own = velocity(from_pipeline(by_diffusers(given), name="diffusers' own"))
    return f"{_difference(found, own)} from what diffusers loads"


def _difference(found: Tensor, other: Tensor) -> str:
    largest = float((found - other).abs().max())
    return f"{largest:.0e}" if largest else "none"


def _line(name: str, source: Path, made: Path) -> str:
    shutil.rmtree(made, ignore_errors=True)
    make, _ = REFUSED[name]
    try:
        with patch(FIND, without("bitsandbytes")):
            load(str(make(Path(shutil.copytree(source, made)))), device="cpu")
    except ModelError as error:
        return str(error).replace(str(made), "MODEL").replace("|", "\\|")
    raise AssertionError(f"{name} loads")


def main() -> None:
    """Print the table."""
    print("| layout | | velocity, largest difference; or the line |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as root:
        for name, verdict, found in rows(Path(root)):
            print(f"| {name} | {verdict} | {found} |")


if __name__ == "__main__":
    main()
