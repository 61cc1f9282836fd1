"""Turns that are there already, as they would be asked for now."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.errors import InputError
from undrift.session import engine
from undrift.session.engine import EditPlan
from undrift.session.repeated import restored_there, turn_there
from undrift.session.store import Session

SIZE = (32, 24)
WHITE = Image.new("L", SIZE, 255)


def half() -> Image.Image:
    mask = Image.new("L", SIZE, 0)
    mask.paste(255, (0, 0, 16, 24))
    return mask


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return engine.start_session(tmp_path / "s", toy_picture(*SIZE), "a cat", ToyBackbone())


@pytest.mark.parametrize("region", [None, WHITE, half()])
def test_a_turn_is_found_by_where_it_may_change_the_picture(session: Session, region: Image.Image | None) -> None:
    """A mask that is white everywhere is none."""
    model, method = ToyBackbone(), ToyMethod()
    made = engine.run_turn(session, model, method, EditPlan("a dog", seed=1, region=region))
    tree = session.tree()

    def there(seed: int, region: Image.Image | None) -> str | None:
        found = turn_there(tree, tree.original, "a dog", method, model, seed, region)
        return None if found is None else found.id

    assert there(1, region) == made.id
    assert there(2, region) is None
    assert (there(1, None) is None) == (there(1, WHITE) is None) == (there(1, half()) == made.id)
    with pytest.raises(InputError, match="32x24"):
        there(1, Image.new("L", (8, 8), 255))


def test_a_restored_turn_is_found_by_its_brush_and_what_came_back(session: Session) -> None:
    model = ToyBackbone()
    edited = engine.run_turn(session, model, ToyMethod(), EditPlan("a dog", seed=1))
    original = session.original
    assert restored_there(session.tree(), edited, original, half()) is None
    made = engine.restore(session, model, half(), "original", edited.id)
    tree = session.tree()
    assert restored_there(tree, edited, original, half()) == made
    assert restored_there(tree, edited, original, WHITE) is None
    assert restored_there(tree, edited, edited, half()) is None
    assert restored_there(tree, made, original, half()) is None
    whole = engine.restore(session, model, WHITE, "original", edited.id)
    assert restored_there(session.tree(), edited, original, WHITE) == whole
