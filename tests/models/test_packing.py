"""Packed linear layers give what plain ones give, as far as bfloat16 says it."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import tiny_model
from sqljudge.models.engines import packing


@pytest.fixture
def model() -> torch.nn.Module:
    made: torch.nn.Module = tiny_model("qwen2", hidden_size=128, intermediate_size=192).bfloat16()
    if not packing.pays(made):
        pytest.skip("this machine has no bfloat16 products on its CPU")
    return made


@pytest.mark.parametrize("rows", [1, 3, 64, 100])
def test_packed_layers_compute_the_same(model: torch.nn.Module, rows: int) -> None:
    packed = copy.deepcopy(model)
    packing.pack(packed)
    assert not any(type(layer) is torch.nn.Linear for layer in packed.modules())
    ids = torch.randint(0, 61, (rows, 7), generator=torch.Generator().manual_seed(rows))
    with torch.inference_mode():
        one, other = (each(input_ids=ids).logits.float() for each in (model, packed))
        exact = copy.deepcopy(model).float()(input_ids=ids).logits
    rounding = (one - exact).abs().max()
    assert rounding > 0
    assert (other - exact).abs().max() < 1.5 * rounding


def test_a_bias_is_added() -> None:
    layer = torch.nn.Linear(64, 32, bias=True, dtype=torch.bfloat16)
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this machine has no bfloat16 products on its CPU")
    inputs = torch.randn(5, 64, dtype=torch.bfloat16)
    torch.testing.assert_close(packing.PackedLinear(layer)(inputs), layer(inputs))


def test_other_models_stay_as_they_are() -> None:
    assert not packing.pays(tiny_model("llama"))
    assert not packing.pays(tiny_model("llama").half())
