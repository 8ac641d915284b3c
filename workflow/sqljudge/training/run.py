"""The jobs that train a model and that merge what was trained: files in, files out."""

from __future__ import annotations

import json
import platform
import resource
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from sqljudge.core.errors import DataError, ModelError
from sqljudge.core.files import parse_json, read_text, write_json, write_text
from sqljudge.core.provenance import file_digest, text_digest
from sqljudge.models.device import device_name, own_device
from sqljudge.models.engines import spec_of
from sqljudge.models.session import Session
from sqljudge.stages.force import read_closing
from sqljudge.stages.prompts import Framing, read_template
from sqljudge.training.checkpoints import keep, stopwatch, stored, training_key
from sqljudge.training.items import Item, read_items, read_note
from sqljudge.training.methods import JUDGE, ONLINE, PROBE, SAT, Settings, method_of, settings_of
from sqljudge.training.tasks import RESULT, Task

TIMES = ("runtime", "samples_per_second", "steps_per_second", "step_time", "flos")
"""What a trainer's log says that differs between two equal runs."""
ADAPTER, LOG, RUN = "adapter", "log.jsonl", "run.json"
NOTE_OF_TRAINED = "trained.json"


def train(
    *,
    data: str,
    weights: Sequence[str],
    prompt: Sequence[str],
    closing: Sequence[str],
    databases: Sequence[str],
    adapter: str,
    log: str,
    run: str,
    name: str,
    model: Mapping[str, Any],
    method: str,
    settings: Mapping[str, Any],
    steps: int,
    seed: int,
    framing: Mapping[str, Any],
    extraction: str,
    method_code: str,
    store: str,
    checkpoints: str,
    journal: str = "",
    gpu: int = 0,
) -> None:
    """Train, unless that is done already, and write the adapter (or weights), the log of steps, and the record.

    `data`: a file of items, its note beside it. `weights`: the folder of the base model, or nothing. `prompt`,
    `closing`, `databases`: at most one each. `store`: the folder of finished trainings, `checkpoints`: of those under
    way; neither is an output, so that Snakemake deletes neither. `journal`: the folder of journals, which keeps what
    is asked of the base model before the first step, or "".
    """
    items, note = read_items(data), read_note(data)
    known = settings_of(method, settings)
    check_items(method, items)
    base = spec_of(model, weights)
    with own_device(gpu) as device:
        from sqljudge.training.policy import Policy

        policy = Policy(base, device)
        recipe = {
            "data": file_digest(data),
            "method": method,
            "settings": asdict(known),
            "steps": steps,
            "seed": seed,
            "prompts": [text_digest(read_text(file)) for file in (*prompt, *closing)],
            "framing": dict(framing),
            "extraction": extraction,
            "code": method_code,
        }
        key = training_key(base=policy.backend.identity(), **recipe)
        kept = stored(Path(store), key)
        if kept is None:
            folder = Path(checkpoints) / f"{name}-{key}"
            task = Task(
                template=read_template(prompt[0], required=(), further=(RESULT,)) if prompt else None,
                framing=Framing(**framing),
                chat=policy.backend.render_chat,
                closing=read_closing(closing[0]) if closing else None,
                extraction=extraction,
                databases=Path(databases[0]) if databases else None,
            )
            made = folder / "made"
            asked = Session(policy.backend, Path(journal) / base.name, f"train.{name}").complete if journal else None
            _train(policy, task, items, note, made, folder, recipe, known, device, key, name, asked)
            kept = keep(Path(store), key, made)
            shutil.rmtree(folder)
    shutil.copytree(kept / ADAPTER, adapter, dirs_exist_ok=True)
    write_text(log, (kept / LOG).read_text(encoding="utf-8"))
    write_text(run, (kept / RUN).read_text(encoding="utf-8"))


def check_items(method: str, items: Sequence[Item]) -> None:
    """Check that a method can learn from the items. Raises DataError saying what it needs."""
    known = method_of(method)
    wrong = next((item for item in items if item.task not in known.tasks), None)
    if wrong:
        what = {JUDGE: "judge candidates", SAT: "solve SAT tasks"}.get(wrong.task, "ask for queries")
        raise DataError(f"the method '{method}' cannot learn from items that {what} ({wrong.id}); name other data")
    if not any(not item.validation for item in items):
        raise DataError("all items of the training data are kept for validation; lower `validation_databases`")


def _train(
    policy: Any,
    task: Task,
    items: Sequence[Item],
    note: Mapping[str, Any],
    made: Path,
    folder: Path,
    recipe: Mapping[str, Any],
    settings: Settings,
    device: str,
    key: str,
    name: str,
    journalled: Any,
) -> None:
    """`recipe`: all that decides the training but the base model; its digests are in the record, for an estimate."""
    from sqljudge.training.offline import train_offline
    from sqljudge.training.online import train_online
    from sqljudge.training.probe import train_probe
    from sqljudge.training.rollouts import Rollouts

    method, steps, seed = recipe["method"], recipe["steps"], recipe["seed"]
    shutil.rmtree(made, ignore_errors=True)
    training = [item for item in items if not item.validation]
    if method_of(method).trainer == ONLINE:
        validation = [item for item in items if item.validation]
        rollouts = Rollouts(policy, task, training, validation, method, settings, seed)
        rollouts.journalled = journalled
        trainer = train_online(rollouts, steps=steps, folder=folder, device=device)
        counts = rollouts.counts
        model, logged, spent = _of_trainer(trainer)
    elif method_of(method).trainer == PROBE:
        spent = stopwatch(folder)
        model, said, tokens = train_probe(policy, task, items, settings)
        counts, logged = {"generated": 0, "prompted": 0, "trained": tokens}, [said]
    else:
        trainer = train_offline(
            policy,
            task,
            training,
            method=method,
            settings=settings,
            steps=steps,
            seed=seed,
            folder=folder,
            device=device,
        )
        counts = trainer.counts
        model, logged, spent = _of_trainer(trainer)
    model.save_pretrained(made / ADAPTER)
    for page in (made / ADAPTER).glob("README.md"):
        page.unlink()
    rows = [{name: value for name, value in row.items() if not any(part in name for part in TIMES)} for row in logged]
    write_text(made / LOG, "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    record = {
        "training": name,
        "key": key,
        "model": policy.spec.name,
        "method": method,
        "settings": asdict(settings),
        "steps": steps,
        "seed": seed,
        "digests": {name: recipe[name] for name in ("data", "prompts", "framing", "extraction", "code")},
        "base": policy.backend.identity(),
        "data": dict(note),
        "tokens": counts,
        "seconds": round(spent(), 3),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "device": device_name(device),
        "versions": _versions(),
        "last": rows[-1] if rows else {},
        "adapter": folder_digest(made / ADAPTER),
    }
    write_json(made / RUN, record)


def _of_trainer(trainer: Any) -> tuple[Any, list[dict[str, Any]], Any]:
    rows = [row for row in trainer.state.log_history if "loss" in row]
    return trainer.accelerator.unwrap_model(trainer.model), rows, trainer.spent


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "transformers", "accelerate", "peft", "trl", "datasets"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def folder_digest(folder: Path) -> str:
    """The digest of all files of a folder, by their names; hidden ones, such as Snakemake's, left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return text_digest("".join(f"{path.relative_to(folder)}\0{file_digest(path)}\n" for path in files))


def merge_trained(
    *, adapter: str, run: str, weights: Sequence[str], folder: str, base: Mapping[str, Any], model: Mapping[str, Any]
) -> None:
    """Write a trained model as a folder of weights that any engine loads.

    An adapter is merged in float32, and the sum saved in the dtype of the model's row (`auto`: float32, which loses
    nothing). Beside the weights lies a note of the base model, the training and the adapter's digest. Raises ModelError
    where the adapter is not the one that its record names.
    """
    from dataclasses import replace

    import torch

    from sqljudge.models.engines.transformers import load

    record = parse_json(read_text(run))
    if folder_digest(Path(adapter)) != record["adapter"]:
        raise ModelError(f"{adapter}: not the adapter of {run}; delete both and train again")
    backend = load(replace(spec_of(base, weights), dtype="float32"), "cpu")
    whole = backend.model
    if (Path(adapter) / "adapter_config.json").is_file():
        try:
            from peft import PeftModel
        except ImportError as error:
            raise ModelError("the package peft is missing; run: pip install -r requirements-train.txt") from error
        whole = PeftModel.from_pretrained(whole, adapter).merge_and_unload()
    else:
        from transformers import AutoModelForCausalLM

        whole = AutoModelForCausalLM.from_pretrained(adapter, dtype=torch.float32)
    dtype = "float32" if model["dtype"] == "auto" else model["dtype"]
    whole.hf_quantizer = None
    whole.config.__dict__.pop("quantization_config", None)
    whole.to(getattr(torch, dtype)).save_pretrained(folder)
    backend.tokenizer.save_pretrained(folder)
    note = {"training": record["training"], "key": record["key"], "base": record["base"], "adapter": record["adapter"]}
    write_json(Path(folder) / NOTE_OF_TRAINED, note)
