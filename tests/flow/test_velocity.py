from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.closeness import assert_rounded
from undrift.errors import InputError
from undrift.flow import image_from_velocity, interpolate, noise_from_velocity, velocity_towards


@given(st.floats(0, 1))
def test_image_and_noise_come_back_from_the_path(sigma: float) -> None:
    image, noise = torch.randn(2, 3, 5, dtype=torch.float64)
    x, velocity = interpolate(image, noise, sigma), noise - image
    assert_rounded(image_from_velocity(x, velocity, sigma), image, 10)
    assert_rounded(noise_from_velocity(x, velocity, sigma), noise, 10)


def test_the_path_ends_exactly_at_image_and_noise() -> None:
    image, noise = torch.randn(2, 7)
    assert torch.equal(interpolate(image, noise, 0.0), image)
    assert torch.equal(interpolate(image, noise, 1.0), noise)


@given(st.floats(0.05, 0.95))
def test_the_velocity_towards_either_end_is_that_of_the_path(sigma: float) -> None:
    image, noise = torch.randn(2, 3, 5, dtype=torch.float64)
    x = interpolate(image, noise, sigma)
    # Divided by at least 0.05, numbers of a few units.
    assert_rounded(velocity_towards(noise, x, 1 - sigma), noise - image, 10, size=5 / 0.05)
    assert_rounded(velocity_towards(image, x, -sigma), noise - image, 10, size=5 / 0.05)


def test_no_velocity_leads_to_an_anchor_in_no_time() -> None:
    with pytest.raises(InputError, match="the anchor lies at the current sigma"):
        velocity_towards(torch.ones(1), torch.zeros(1), 0.0)
