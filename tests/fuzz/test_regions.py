"""Any two masks are a region of a picture, or are refused."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tests.fuzz.harness import attempt, fuzzed
from undrift.pictures import mask_of
from undrift.session.region import region_of, weights

SIZES = [(1, 1), (3, 2), (8, 8)]
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}

grey_levels = st.one_of(st.sampled_from([0, 1, 9, 127, 128, 247, 255]), st.integers(0, 255))


@st.composite
def painted(draw: st.DrawFn, size: tuple[int, int]) -> Image.Image:
    """A picture of ``size`` in any mode, mostly of few values."""
    mode = draw(st.sampled_from(["1", "P", "I", "F", "L", "LA", "RGB", "RGBA"]))
    shape = (size[1], size[0], CHANNELS.get(mode, 1))
    values = draw(arrays(np.uint8, shape, elements=grey_levels))
    image = Image.fromarray(values if mode in ("RGB", "RGBA", "LA") else values[..., 0])
    return image if image.mode == mode else image.convert(mode)


def masks(size: tuple[int, int]) -> st.SearchStrategy[Image.Image | None]:
    """A mask that mostly fits a picture of ``size``."""
    fitting = painted(size)
    return st.one_of(st.none(), fitting, fitting, fitting, st.sampled_from(SIZES).flatmap(painted))


@fuzzed
@given(st.sampled_from(SIZES).flatmap(lambda size: st.tuples(st.just(size), masks(size), masks(size))))
def test_a_region_is_made_or_refused(
    given: tuple[tuple[int, int], Image.Image | None, Image.Image | None],
) -> None:
    size, only, protect = given
    region = attempt("regions", lambda: region_of(only, protect, size))
    if region is None:
        return
    assert isinstance(region, Image.Image)
    assert (region.mode, region.size) == ("L", size)
    levels = np.asarray(region)
    assert levels.min() < 255, "a region of everything is none"
    assert levels.max() > 0, "a region of nothing is refused"
    weight = weights(region)
    assert weight.min() >= 0
    assert weight.max() <= 1
    assert not weight[levels == 0].any(), "black stays"


@fuzzed
@given(st.sampled_from(SIZES).flatmap(painted))
def test_a_mask_is_its_own_mask(image: Image.Image) -> None:
    mask = attempt("painted masks", lambda: mask_of(image).image)
    if isinstance(mask, Image.Image) and np.asarray(mask).any():
        assert mask_of(mask).image.tobytes() == mask.tobytes()
