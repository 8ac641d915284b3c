"""The parts of the configuration that say what is trained: data, trainings, routers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sqljudge.experiments.parts import (
    AsWritten,
    Count,
    Distinct,
    Listed,
    Part,
    Positive,
    PromptFormat,
    Several,
    one_of,
    refusal,
    with_keys,
)
from sqljudge.stages.generate import EXTRACTIONS
from sqljudge.stages.prompts import YES_TOKENS
from sqljudge.training.methods import METHODS


class _FromFiles(Part):
    """Training data that are made from files."""

    licence: Annotated[str, Field(min_length=1)]
    """The licence of what it is made from; it stands in the record of each training."""
    origin: str = ""
    """Where it comes from. Empty: the file's name."""


class FileData(_FromFiles):
    """Items of a file."""

    kind: Literal["file"]
    """Items of a file, as `training/items.py` has them."""
    file: str
    """The file: JSON Lines, an item a line."""


class QuestionsData(_FromFiles):
    """Questions with gold queries."""

    kind: Literal["questions"]
    """Questions with gold queries, which generators are trained on."""
    file: str
    """Questions in Spider's form."""
    tables: str
    """Their schemas, in the form of Spider's tables.json."""
    databases: str
    """The folder of their databases."""


class MutationsData(_FromFiles):
    """Right and wrong candidates made from questions."""

    kind: Literal["mutations"]
    """Right and wrong candidates made from questions: gold queries rewritten and changed, told apart by running them on
    random databases."""
    file: str
    """Questions in Spider's form."""
    tables: str
    """Their schemas, in the form of Spider's tables.json."""
    questions: Count = 0
    """How many questions are drawn; 0 for all."""
    validation_databases: Count = 0
    """How many databases are kept for validation."""


class JudgmentsData(_FromFiles):
    """The responses of a discriminator, as traces."""

    kind: Literal["judgments"]
    """The responses of a discriminator in another run, right and wrong ones by label."""
    judgments: str
    """The run's file of judgments (Parquet)."""
    candidates: str
    """The run's file of the labelled candidates that they are about."""
    questions: str
    """The run's file of their questions."""


class SatData(Part):
    """SAT tasks."""

    kind: Literal["sat"]
    """SAT tasks of known difficulty (SATURN)."""
    steps: Several[Annotated[Listed[Positive], Field(min_length=3, max_length=3)]]
    """The steps of the curriculum: literals of a clause, variables, clauses."""
    number: Positive = 250
    """Tasks of each step."""
    validation: Count = 50
    """Tasks of each step that decide whether the next one begins."""


TrainingData = Annotated[
    FileData | QuestionsData | MutationsData | JudgmentsData | SatData,
    Field(discriminator="kind"),
    BeforeValidator(lambda given: with_keys(given, FileData, QuestionsData, MutationsData, JudgmentsData, SatData)),
]


class Training(Part):
    """One training of a model."""

    model: str
    """A name of the models table: the base model."""
    method: Annotated[
        str,
        one_of(METHODS),
        Field(
            description="How it is trained. "
            + "; ".join(f"{name}: {known.about}" for name, known in METHODS.items())
            + " (docs/training.md)."
        ),
    ]
    data: str
    """A name of `training_data`."""
    steps: Positive = 100
    """Optimiser steps."""
    seed: Count | None = None
    """The seed of its data's order, its adapter and its rollouts. Empty: the configuration's."""
    seeds: Distinct[Count] = ()
    """Several seeds in place of one: as many trainings, called NAME-seed42 and so on, models, and generators and
    discriminators that ask these. The tables `training` and `trained_generators` pool them; others have a row for
    each."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """What is to differ from the method's defaults (docs/training.md)."""
    prompt: str = ""
    """The template of its prompts, which the discriminator or generator that it is for should be asked with."""
    prompt_format: PromptFormat = "raw"
    """The prompt as it is, between [INST] and [/INST], or in the model's chat template."""
    special_tokens: bool = False
    """Whether the tokenizer's special tokens stand before a prompt that is no chat."""
    yes_token: Annotated[str, one_of(YES_TOKENS)] = "following"
    """Which token Yes is: that of the context in which the discriminator is asked (contexts)."""
    closes: bool = False
    """Of supervised verdicts: the prompt is a reasoning one, and the verdict is forced before the first token."""
    extraction: Annotated[str, one_of(EXTRACTIONS)] = "fenced"
    """Of a generator: how SQL is read from a response that has no answer tags."""

    @model_validator(mode="after")
    def _one_or_several(self) -> Training:
        if self.seeds and self.seed is not None:
            raise refusal("it has both 'seed' and 'seeds'; take one out")
        return self


class Router(Part):
    """A router between a small and a large model, trained on where their verdicts part. It becomes the file
    results/routers/NAME.safetensors, which a row of the models table names (docs/running.md)."""

    small: str
    """The small model: a name of the models table."""
    discriminator: str
    """The discriminator whose model is the large one."""
    context: str
    """The context in which it judged."""
    questions: str
    """The file of questions of a run of its own, on training questions."""
    candidates: str
    """That run's candidates."""
    judgments: str
    """The discriminator's judgments of them."""
    span: Positive = 32
    """Most tokens that the large model goes on by after the small model's token, up to the sentence's end."""
    tolerance: AsWritten[Annotated[float, Field(gt=0, le=1)]] = 0.1
    """From which change of the forced verdict's probability a token counts as divergent."""
