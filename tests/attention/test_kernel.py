from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.attention.reference import highlighted, qkv, softmax_matrix
from tests.support.closeness import assert_rounded
from undrift.attention import TextColumns, kernel
from undrift.attention.kernel import (
    KernelName,
    Scaling,
    attention,
    attention_and_lse,
    column_weights,
    tapped_attention,
)
from undrift.errors import InputError

TEXT = 9
KERNELS: list[KernelName] = ["materialised", "fused"]
COLUMNS = [[2], [0, 1, 5, 8], []]
SUMS = 16 + 2 * (TEXT + 23)
"""Roundings of a score over 16 numbers, of the softmax and of the weighted values."""
SUMS_IN_FLOAT32 = 3
"""Weights, their product with the factors and the output are rounded to half precision; no sum is."""


def factors(batch: int, image_tokens: int) -> torch.Tensor:
    return torch.where(torch.rand(batch, image_tokens, generator=torch.Generator().manual_seed(3)) > 0.5, 2.0, 0.8)


@pytest.mark.parametrize("renormalise", [False, True], ids=["released", "renormalised"])
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(
    ("dtype", "operations"), [(torch.float64, SUMS), (torch.float32, SUMS), (torch.bfloat16, SUMS_IN_FLOAT32)]
)
def test_kernels_agree_with_the_written_out_matrix(
    name: KernelName, dtype: torch.dtype, operations: int, renormalise: bool
) -> None:
    query, key, value = (t.to(dtype) for t in qkv(3, TEXT + 23))
    scaling = Scaling(factors(3, 23), TextColumns.of(COLUMNS), renormalise)
    out, _ = tapped_attention(query, key, value, TEXT, scaling=scaling, kernel=name)
    assert out.dtype == dtype
    expected = highlighted(query, key, value, TEXT, scaling.factors, COLUMNS, renormalise)
    assert_rounded(out.double(), expected, operations, dtype=dtype)
    plain = highlighted(query, key, value, TEXT, torch.ones(3, 23), COLUMNS)
    assert (expected - plain).abs().max() > 0.2


@pytest.mark.parametrize("name", KERNELS)
def test_reading_and_scaling_do_not_disturb_each_other(name: KernelName) -> None:
    query, key, value = qkv(3, TEXT + 23)
    read, scaling = TextColumns.of([[1], [5], [7]]), Scaling(factors(3, 23), TextColumns.of([[1, 2]] * 3))
    out, weights = tapped_attention(query, key, value, TEXT, read=read, scaling=scaling, kernel=name)
    matrix = softmax_matrix(query, key)
    assert weights is not None
    for row, column in enumerate([1, 5, 7]):
        assert_rounded(weights[row, :, :, 0], matrix[row, :, TEXT:, column], SUMS)
    assert_rounded(out, highlighted(query, key, value, TEXT, scaling.factors, [[1, 2]] * 3), SUMS)


class Readers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Names the operations that read the memory of a tensor; views of it are none."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._memory = tensor.untyped_storage().data_ptr()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._shared(*args) and not self._shared(result):
            self.names.append(func.overloadpacket.__name__)
        return result

    def _shared(self, *values: Any) -> bool:
        tensors = (value for value in values if isinstance(value, torch.Tensor))
        return any(tensor.untyped_storage().data_ptr() == self._memory for tensor in tensors)


def test_queries_are_read_once_for_reading_and_scaling_together() -> None:
    query, key, value = (t.float() for t in qkv(1, TEXT + 23))
    read, scaling = TextColumns.of([[1]]), Scaling(factors(1, 23), TextColumns.of([[2, 3]]))
    with Readers(query) as readers:
        tapped_attention(query, key, value, TEXT, read=read, scaling=scaling, kernel="fused")
    assert readers.names.count("bmm") == 1, "one product of the queries with the columns of both"


@pytest.mark.parametrize("shape", [(1, 40, 2, 16), (2, 333, 4, 32), (1, 50, 2, 20)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_with_log_sum_exp_equals_plain_attention_bitwise(
    shape: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    query, key, value = (t.to(dtype) for t in qkv(*shape))
    out, lse = attention_and_lse(query, key, value)
    assert torch.equal(out, attention(query, key, value))
    scores = torch.einsum("bihd,bjhd->bhij", query.double(), key.double()) / shape[-1] ** 0.5
    assert_rounded(lse.double(), scores.logsumexp(-1), shape[1] + shape[3], dtype=torch.float32)


def test_the_log_sum_exp_without_a_fused_kernel_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = qkv(2, 600)
    out, lse = attention_and_lse(query, key, value)
    monkeypatch.setattr(kernel, "_ROUTES", {})
    public_out, public_lse = attention_and_lse(query, key, value)
    assert torch.equal(out, public_out)
    assert_rounded(lse, public_lse, 600 + 16)


def test_reading_changes_no_bit_of_the_output() -> None:
    query, key, value = (t.float() for t in qkv(2, TEXT + 12))
    out, weights = tapped_attention(query, key, value, TEXT, read=TextColumns.of([[0], [3, 4]]))
    assert weights is not None
    assert torch.equal(out, attention(query, key, value))


def masks(batch: int, heads: int, sequence: int) -> dict[str, torch.Tensor]:
    """Padding as bool, one per batch, head and row, numbers to add, and rows that may attend to nothing."""
    generator = torch.Generator().manual_seed(4)
    padding = torch.ones(batch, 1, 1, sequence, dtype=torch.bool)
    padding[:, :, :, 3:6] = False
    full = torch.rand(batch, heads, sequence, sequence, generator=generator) > 0.3
    full[..., 0] = True
    blind = padding & padding.transpose(2, 3)
    added = torch.randn(1, 1, sequence, sequence, generator=generator, dtype=torch.float64)
    return {"padding": padding, "full": full, "blind": blind, "added": added}


MASKS = ["padding", "full", "blind", "added"]


def masked_matrix(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The softmax written out in float64; rows that may attend to nothing are zero."""
    scores = torch.einsum("bihd,bjhd->bhij", query.double(), key.double()) / query.shape[-1] ** 0.5
    scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask.double()
    return torch.nan_to_num(scores.softmax(-1))


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_heeds_a_mask(name: KernelName, kind: str) -> None:
    query, key, value = qkv(3, TEXT + 23)
    mask = masks(3, query.shape[2], TEXT + 23)[kind]
    m, columns = factors(3, 23), TextColumns.of(COLUMNS)
    out, weights = tapped_attention(
        query,
        key,
        value,
        TEXT,
        mask=mask,
        read=TextColumns.of([[1], [4], [7]]),
        scaling=Scaling(m, columns),
        kernel=name,
    )
    matrix = masked_matrix(query, key, mask)
    assert weights is not None
    for row, column in enumerate([1, 4, 7]):
        assert_rounded(weights[row, :, :, 0], matrix[row, :, TEXT:, column], SUMS, size=1.0)
    for row, chosen in enumerate(COLUMNS):
        matrix[row][:, TEXT:, chosen] *= m[row, None, :, None]
    expected = torch.einsum("bhij,bjhd->bihd", matrix, value.double())
    assert_rounded(out, expected, SUMS)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_reading_under_a_mask_changes_no_bit_either(dtype: torch.dtype, kind: str) -> None:
    query, key, value = (t.to(dtype) for t in qkv(2, TEXT + 24))
    mask = masks(2, query.shape[2], TEXT + 24)[kind]
    mask = mask if mask.dtype == torch.bool else mask.to(dtype)
    out, weights = tapped_attention(query, key, value, TEXT, mask=mask, read=TextColumns.of([[0], [3, 4]]))
    assert weights is not None
    assert torch.equal(out, attention(query, key, value, mask))


@pytest.mark.parametrize("kind", MASKS)
def test_the_log_sum_exp_under_a_mask_is_the_same_without_a_fused_kernel(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, key, value = qkv(2, 600)
    mask = masks(2, query.shape[2], 600)[kind]
    out, lse = attention_and_lse(query, key, value, mask)
    monkeypatch.setattr(kernel, "_ROUTES", {})
    public_out, public_lse = attention_and_lse(query, key, value, mask)
    seen = lse.isfinite() & public_lse.isfinite()
    assert torch.equal(out, public_out)
    assert_rounded(lse[seen], public_lse[seen], 600 + 16)
    assert float(seen.double().mean()) > 0.99


def test_column_weights_are_those_of_the_softmax() -> None:
    query, key, value = qkv(2, TEXT + 12)
    _, lse = attention_and_lse(query, key, value)
    weights = column_weights(query, key, lse, TEXT, TextColumns.of([[4, 7], [0, 8]]))
    matrix = softmax_matrix(query, key)[:, :, TEXT:]
    expected = torch.stack([matrix[0][..., [4, 7]], matrix[1][..., [0, 8]]])
    assert_rounded(weights, expected, SUMS)


def test_text_rows_are_untouched_bitwise() -> None:
    query, key, value = (t.float() for t in qkv(3, TEXT + 23))
    scaling = Scaling(factors(3, 23), TextColumns.of(COLUMNS))
    out, _ = tapped_attention(query, key, value, TEXT, scaling=scaling, kernel="fused")
    plain = attention(query, key, value)
    assert torch.equal(out[:, :TEXT], plain[:, :TEXT])
    assert torch.equal(out[2], plain[2]), "a row without columns is plain attention"
    assert not torch.equal(out[0, TEXT:], plain[0, TEXT:])


@pytest.mark.parametrize("name", KERNELS)
def test_rows_of_a_batch_are_independent(name: KernelName) -> None:
    query, key, value = qkv(3, TEXT + 23)
    m = factors(3, 23)
    together, _ = tapped_attention(query, key, value, TEXT, scaling=Scaling(m, TextColumns.of(COLUMNS)), kernel=name)
    for row in range(3):
        one = slice(row, row + 1)
        scaling = Scaling(m[one], TextColumns.of(COLUMNS[one]))
        alone, _ = tapped_attention(query[one], key[one], value[one], TEXT, scaling=scaling, kernel=name)
        assert_rounded(together[one], alone, SUMS)


@pytest.mark.parametrize("name", KERNELS)
def test_what_rows_sum_to(name: KernelName) -> None:
    """With values of one the output is the row's sum: 1 + (m - 1) P_T as released, 1 when renormalised."""
    query, key, value = qkv(1, TEXT + 23)
    m, columns = factors(1, 23), TextColumns.of([[1, 2, 3]])
    mass = softmax_matrix(query, key)[:, :, TEXT:, 1:4].sum(-1)
    expected = 1 + (m[:, None] - 1) * mass
    for renormalise, sums in ((False, expected), (True, torch.ones_like(expected))):
        out, _ = tapped_attention(
            query, key, torch.ones_like(value), TEXT, scaling=Scaling(m, columns, renormalise), kernel=name
        )
        assert_rounded(out[:, TEXT:, :, 0].transpose(1, 2), sums, SUMS)


@pytest.mark.parametrize(("sequence", "chosen"), [(60, "materialised"), (400, "fused")])
def test_auto_chooses_by_size(sequence: int, chosen: KernelName) -> None:
    query, key, value = (t.float() for t in qkv(1, sequence))
    scaling = Scaling(factors(1, sequence - TEXT), TextColumns.of([[3]]))
    auto, _ = tapped_attention(query, key, value, TEXT, scaling=scaling)
    named, _ = tapped_attention(query, key, value, TEXT, scaling=scaling, kernel=chosen)
    assert torch.equal(auto, named)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_compile_without_a_graph_break(name: KernelName) -> None:
    query, key, value = (t.float() for t in qkv(1, TEXT + 23))
    read, scaling = TextColumns.of([[1]]), Scaling(factors(1, 23), TextColumns.of([[2, 3]]))

    def run(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return tapped_attention(q, k, v, TEXT, read=read, scaling=scaling, kernel=name)[0]

    compiled = torch.compile(run, backend="aot_eager", fullgraph=True)
    assert_rounded(compiled(query, key, value), run(query, key, value), SUMS)


def test_columns_beyond_the_text_are_refused() -> None:
    query, key, value = qkv(1, TEXT + 4)
    with pytest.raises(InputError, match="text column 9 was asked for, the text has 9 tokens"):
        tapped_attention(query, key, value, TEXT, read=TextColumns.of([[9]]))


def test_columns_of_another_batch_are_refused() -> None:
    query, key, value = qkv(3, TEXT + 4)
    with pytest.raises(InputError, match="text columns for 1 rows met a batch of 3"):
        tapped_attention(query, key, value, TEXT, read=TextColumns.of([[2]]))


@pytest.mark.parametrize("rows", [[], [[1], [-1]]])
def test_columns_must_be_numbers_from_zero(rows: list[list[int]]) -> None:
    with pytest.raises(InputError, match="expected per batch row a list of numbers from 0"):
        TextColumns.of(rows)


def test_repeated_columns_count_once() -> None:
    assert TextColumns.of([[3, 3, 1]]).index.tolist() == [[1, 3]]
    assert TextColumns.first(3, 2).index.tolist() == [[0, 1, 2]] * 2


def test_the_mean_is_over_a_rows_own_columns_and_the_heads() -> None:
    weights = torch.tensor([[[[0.2, 0.6]], [[0.4, 0.0]]], [[[0.3, 0.9]], [[0.5, 0.9]]], [[[0.3, 0.9]], [[0.5, 0.9]]]])
    mean = TextColumns.of([[0, 1], [4], []]).mean(weights)
    assert_rounded(mean, torch.tensor([[0.3], [0.4], [0.0]]), 4)


@pytest.fixture
def sums_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU as a device whose units for 16 bits add up in float32: here what is multiplied is converted first."""
    monkeypatch.setattr(kernel, "narrow", lambda tensor: tensor.dtype in (torch.bfloat16, torch.float16))
    monkeypatch.setattr(kernel, "wide_products", lambda left, right: left.float() @ right.float())


@pytest.mark.usefixtures("sums_in_float32")
@pytest.mark.parametrize("renormalise", [False, True], ids=["released", "renormalised"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_a_device_multiplies_in_16_bits_agrees_too(dtype: torch.dtype, renormalise: bool) -> None:
    query, key, value = (t.to(dtype) for t in qkv(3, TEXT + 23))
    scaling = Scaling(factors(3, 23), TextColumns.of(COLUMNS), renormalise)
    read = TextColumns.of([[1], [5], [7]])
    out, weights = tapped_attention(query, key, value, TEXT, read=read, scaling=scaling, kernel="fused")
    expected = highlighted(query, key, value, TEXT, scaling.factors, COLUMNS, renormalise)
    assert_rounded(out.double(), expected, SUMS_IN_FLOAT32, dtype=dtype)
    assert weights is not None
    _, lse = attention_and_lse(query, key, value)
    by_hand = column_weights(query.float(), key.float(), lse, TEXT, read)  # 32 bits are converted on no device
    assert_rounded(weights, by_hand, SUMS)


@pytest.mark.usefixtures("sums_in_float32")
def test_reading_alone_leaves_the_output_as_it_is_there_too() -> None:
    query, key, value = (t.bfloat16() for t in qkv(3, TEXT + 23))
    out, weights = tapped_attention(query, key, value, TEXT, read=TextColumns.of(COLUMNS), kernel="fused")
    assert torch.equal(out, attention(query, key, value))
    assert weights is not None
    assert weights.shape == (3, query.shape[2], 23, 4)


def test_the_device_is_asked_for_products_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes, number formats and memory layouts alone, as torch says that CUDA's operations take them."""
    monkeypatch.setattr(kernel, "narrow", lambda tensor: True)
    meta = torch.device("meta")
    query, key, value = (torch.empty(2, 512 + 64, 4, 128, device=meta, dtype=torch.bfloat16) for _ in range(3))
    lse = torch.empty(2, 4, 512 + 64, device=meta)
    columns = TextColumns.of([[0, 1, 3], [2]]).to(meta)
    weights = column_weights(query, key, lse, 512, columns)
    assert (weights.shape, weights.dtype) == ((2, 4, 64, 3), torch.float32)
    out = torch.empty_like(query)
    kernel._correct(out[:, 512:], value, weights, Scaling(torch.empty(2, 64, device=meta), columns))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_cuda_routes_equal_plain_attention_bitwise(dtype: torch.dtype) -> None:
    query, key, value = (t.to("cuda", dtype) for t in qkv(2, 300, head_dim=64))
    out, lse = attention_and_lse(query, key, value)
    assert torch.equal(out, attention(query, key, value))
    scores = torch.einsum("bihd,bjhd->bhij", query.double(), key.double()) / 8.0
    assert_rounded(lse.double(), scores.logsumexp(-1), 300 + 64, dtype=torch.float32)
