"""The router of R2R (arXiv 2505.21600): how likely a small model's token leads away from what the large one means.

Its shape is the paper's, scaled to the small model's width. Knows tensors and its own file, no requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from sqljudge.core.errors import ModelError

TOP = 100
BLOCKS = 6
DROPOUT = 0.1


class _Block(nn.Module):
    def __init__(self, inner: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(inner),
            nn.Linear(inner, 4 * inner),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(4 * inner, inner),
        )

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = given + self.layers(given)
        return found


class Router(nn.Module):
    """Log-odds [n] that the large model should give a token, from `features`, float32.

    `width`: of the small model's hidden states; `top`: how many of its logits are read. In the paper 1,536 and 100;
    the inner width, there 1,024, is two thirds of the model's.
    """

    def __init__(self, width: int, top: int) -> None:
        super().__init__()
        self.width, self.top = width, top
        inner = max(1, width * 2 // 3)
        self.logits = nn.Linear(top, width)
        self.joined = nn.Linear(3 * width, inner)
        self.blocks = nn.Sequential(*(_Block(inner) for _ in range(BLOCKS)))
        self.odds = nn.Linear(inner, 1)

    def forward(self, top: torch.Tensor, hidden: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        """`top`: [n, top]; `hidden`, `embedded`: [n, width]."""
        joined = self.joined(torch.cat([self.logits(top), hidden, embedded], -1))
        found: torch.Tensor = self.odds(self.blocks(joined))
        return found[:, 0]


Features = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def features(
    logits: torch.Tensor, hidden: torch.Tensor, tokens: torch.Tensor, embeddings: nn.Module, top: int
) -> Features:
    """What the router reads of n proposals: the largest logits in falling order [n, top], raw; the last hidden states
    [n, width]; the embeddings of the tokens proposed [n, width]. All float32.
    """
    return logits.float().topk(top, -1).values, hidden.float(), embeddings(tokens).float()


@dataclass(frozen=True)
class Trained:
    """A router, the probability from which it routes, and the small model that it was trained for (name, digest)."""

    router: Router
    threshold: float
    small: str


def save_router(path: str | Path, trained: Trained) -> None:
    """Write a router's file."""
    known = {"threshold": repr(trained.threshold), "small": trained.small}
    sizes = {"width": str(trained.router.width), "top": str(trained.router.top)}
    Path(path).write_bytes(save(trained.router.state_dict(), metadata={**known, **sizes}))


def load_router(path: str | Path) -> Trained:
    """Read a router's file. Raises ModelError, in one line, where it is none."""
    try:
        with safe_open(path, "pt") as file:
            known = file.metadata() or {}
            router = Router(int(known["width"]), int(known["top"]))
            router.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        return Trained(router.eval(), float(known["threshold"]), known["small"])
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"router {path}: cannot be read ({type(error).__name__}: {reason}); train it again") from error
