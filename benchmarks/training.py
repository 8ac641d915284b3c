"""Time GRPO steps with LoRA: this project's trainer, whose engine makes the rollouts, against TRL's own `generate`.

Both sides train the same model of random weights on the same random prompts with the same reward, each in a process of
its own; what is timed is whole steps, after one to warm up. Needs the training environment (requirements-train.txt).

    python benchmarks/training.py --shape qwen2-1.5b --device cuda              # 8 completions of 512 tokens
    python benchmarks/training.py --shape tiny --budget 32 --prompt-tokens 16   # a minute on a CPU, to try the script
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import shapes

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
SIDES = ("ours", "plain")


def main() -> None:
    """Print, for each side, seconds and tokens of a step, the parts of it, and peak memory; then the ratios."""
    options = arguments()
    if options.child:
        print(json.dumps(measured(options)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        shapes.write_model(options.shape, options.dtype, options.device, Path(folder) / "model")
        size = f"{options.prompts} x {options.generations} responses of {options.budget} tokens"
        where = f"{options.shape}, {options.dtype}, {options.device}, {os.cpu_count()} cores"
        print(f"{where}: {size}, LoRA rank {options.rank}")
        for side in options.sides:
            found[side] = child(side, folder)
            print(f"{side:>6}: {json.dumps(found[side])}", flush=True)
    if len(found) == len(SIDES):
        ours, plain = (found[side] for side in SIDES)
        for part in ("step_seconds", "rollout_seconds", "update_seconds"):
            print(f"plain / ours, {part}: {plain[part] / ours[part]:.2f}")
        bound = options.at_least
        if bound and plain["step_seconds"] < bound * ours["step_seconds"]:
            sys.exit(f"Error: a step is not {bound:g} times as fast as TRL's own")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(shapes.SHAPES), default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="default: bfloat16 on a GPU, else float32")
    parser.add_argument("--steps", type=int, default=4, help="the first is not counted")
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--budget", type=int, default=512)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--method", default="hapo")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--at-least", type=float, default=0.0, help="fail unless a step is so many times as fast")
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.dtype = options.dtype or ("bfloat16" if options.device == "cuda" else "float32")
    return options


def tokenizer(options: argparse.Namespace) -> Any:
    """The tokenizer of both sides."""
    made = shapes.tokenizer(options.shape)
    made.eos_token = shapes.FIXED_WORDS[1]  # TRL asks for one; random weights hardly ever draw it
    made.padding_side = "left"
    return made


def child(side: str, folder: str) -> dict[str, Any]:
    """One side, in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--child", side, "--folder", folder]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        sys.exit(f"Error: the side '{side}' ended with status {ended.returncode}; see above")
    result: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return result


@dataclass(frozen=True)
class Parity:
    """A task of random words: a response is right if its first token is even."""

    texts: Sequence[str]

    def prompt(self, item: Any) -> Any:
        from sqljudge.models.engines.base import Prompt

        return Prompt(self.texts[int(item.id)])

    def opened(self, prompt: Any) -> bool:
        return False

    def responses(self, items: Sequence[Any], completions: Sequence[Any]) -> list[Any]:
        from sqljudge.training.rewards import Response

        return [
            Response(item.id, each.text, each.token_ids, each.finish_reason == "stop", each.token_ids[0] % 2 == 0)
            for item, each in zip(items, completions, strict=True)
        ]


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each step and of its rollout on one side, tokens, and peak memory."""
    import torch
    from transformers import TrainerCallback

    texts = [group[0] for group in shapes.prompts(options.shape, options.prompts, 1, options.prompt_tokens)]
    trainer, clock = SIDE[options.child](options, texts)
    steps: list[float] = []

    class Steps(TrainerCallback):  # type: ignore[misc]
        start = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.start = now(options.device)

        def on_step_end(self, *_: Any, **__: Any) -> None:
            steps.append(now(options.device) - self.start)

    trainer.add_callback(Steps())
    trainer.train()
    tokens = options.prompts * options.generations * options.budget
    seconds, rollout = median(steps[1:]), median(clock[1:])
    on_gpu = options.device == "cuda"
    memory = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    lengths = [row["completions/mean_length"] for row in trainer.state.log_history if "completions/mean_length" in row]
    return {
        "steps": len(steps),
        "step_seconds": round(seconds, 3),
        "rollout_seconds": round(rollout, 3),
        "update_seconds": round(seconds - rollout, 3),
        "first_step_seconds": round(steps[0], 3),
        "tokens_a_step": tokens,
        "mean_length": round(sum(lengths) / len(lengths), 1),
        "tokens_a_second": round(tokens / seconds, 1),
        "rollout_tokens_a_second": round(tokens / rollout, 1),
        "peak_memory_gib": round(memory / 2**30, 2),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "torch": torch.__version__,
    }


def now(device: str) -> float:
    """The time when all that was asked of the device is done."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.monotonic()


def clocked(device: str, work: Callable[..., Any], clock: list[float]) -> Callable[..., Any]:
    """A function that notes how long each call took."""

    def run(*given: Any, **named: Any) -> Any:
        start = now(device)
        result = work(*given, **named)
        clock.append(now(device) - start)
        return result

    return run


def settings_of(options: argparse.Namespace) -> Any:
    """The same settings for both sides; without a reference model."""
    from sqljudge.training import methods

    sizes = {key: getattr(options, key) for key in ("prompts", "generations", "budget", "rank")}
    return methods.settings_of(options.method, {**sizes, "beta": 0.0, "micro": 8, "save_every": 10**6})


def ours(options: argparse.Namespace, texts: Sequence[str]) -> tuple[Any, list[float]]:
    """This project's trainer; its rollouts include writing the merged weights."""
    from sqljudge.models.engines.base import ModelSpec
    from sqljudge.training.items import Item
    from sqljudge.training.online import online_trainer
    from sqljudge.training.policy import Policy
    from sqljudge.training.rollouts import Rollouts

    policy = Policy(ModelSpec("model", str(options.folder / "model"), dtype=options.dtype), options.device)
    policy.backend.tokenizer = tokenizer(options)
    items = [Item(str(i), str(i), question=text, label=1) for i, text in enumerate(texts)]
    rollouts = Rollouts(policy, Parity(texts), items, [], options.method, settings_of(options), 0)  # type: ignore[arg-type]
    clock: list[float] = []
    rollouts.batch = clocked(options.device, rollouts.batch, clock)  # type: ignore[method-assign]
    trainer = online_trainer(rollouts, steps=options.steps, folder=options.folder / "ours", device=options.device)
    return trainer, clock


def plain(options: argparse.Namespace, texts: Sequence[str]) -> tuple[Any, list[float]]:
    """TRL's trainer as it comes, told the same."""
    import torch
    from datasets import Dataset
    from sqljudge.training.arguments import arguments_of, grpo_arguments
    from sqljudge.training.policy import lora
    from transformers import AutoModelForCausalLM, PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    folder, settings = options.folder / "model", settings_of(options)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, options.dtype))
    told = arguments_of(settings, steps=options.steps, seed=0, folder=options.folder / "plain", device=options.device)
    trainer = GRPOTrainer(
        model=model,
        args=GRPOConfig(**told, **grpo_arguments(settings)),
        train_dataset=Dataset.from_dict({"prompt": list(texts) * options.steps}),
        processing_class=tokenizer(options),
        reward_funcs=[lambda completion_ids, **_: [float(ids[0] % 2 == 0) for ids in completion_ids]],
        peft_config=lora(settings),
    )
    trainer.remove_callback(PrinterCallback)
    clock: list[float] = []
    trainer._generate_single_turn = clocked(options.device, trainer._generate_single_turn, clock)
    return trainer, clock


SIDE = {"ours": ours, "plain": plain}

if __name__ == "__main__":
    main()
