"""Linear layers whose weights lie as a CPU's bfloat16 products take them. Knows tensors alone.

A product brings its weights into that order each time otherwise, which took 40 % of its time for 48 rows (torch 2.13,
AMX). The operators are those that torch's own compiler puts in place of a frozen model's linear layers.
"""

from __future__ import annotations

from typing import Any

import torch

ROWS = 64
"""Rows of the products that the order is best for; others are right, too."""


def pays(model: Any) -> bool:
    """Whether a model's products are of a kind that this makes quicker."""
    ops, device, dtype = torch.ops.mkldnn, model.device.type, model.dtype
    known = hasattr(ops, "_linear_pointwise") and hasattr(ops, "_reorder_linear_weight")
    return device == "cpu" and dtype is torch.bfloat16 and known and ops._is_mkldnn_bf16_supported()


class PackedLinear(torch.nn.Module):
    """A linear layer with packed weights."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), ROWS)
        self.register_buffer("packed", packed, persistent=False)
        self.bias = layer.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out]."""
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self.packed, self.bias, "none", [], "")
        return found


def pack(model: torch.nn.Module) -> None:
    """Put packed layers in place of all linear layers of a model, which can then be neither changed nor saved."""
    for module in [*model.modules()]:
        for name, layer in [*module.named_children()]:
            if type(layer) is torch.nn.Linear:
                setattr(module, name, PackedLinear(layer))
