"""The parts of the configuration: their keys, types, defaults and limits. Knows registries, runs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    SerializeAsAny,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from sqljudge.data.datasets import FORMATS
from sqljudge.models.engines import BACKENDS
from sqljudge.stages.baselines import BASELINES, baseline_label
from sqljudge.stages.extras import EXTRAS
from sqljudge.stages.generate import EXTRACTIONS
from sqljudge.stages.judge import METHODS
from sqljudge.stages.prompts import YES_TOKENS
from sqljudge.stages.search.correction import Correction as CorrectionSettings
from sqljudge.stages.search.tree import Tree as TreeSettings

RENAMED = {
    "kind": ("method", "strategy"),
    "frame": ("prompt_format",),
    "costless": ("baselines",),
    "evidence": ("extras", "contexts"),
    "planners": ("search",),
    "beside": ("extra_rows",),
    "majority": ("vote",),
    "tree": ("tree_search",),
}
"""Keys and values of older configurations, and what they are called now; of two, the one that fits its place."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What to write in place of a wrong name: its new name, the nearest known one, or any of them; "" if none is."""
    names = sorted(known)
    if new := [one for one in RENAMED.get(name, ()) if one in names]:
        return f"; it is now called '{new[0]}'"
    if close := get_close_matches(name, names, 1, 0.5):
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names)}" if names else ""


def refusal(text: str) -> PydanticCustomError:
    """An error whose text is shown as it is, before all others."""
    return PydanticCustomError("refused", "{text}", {"text": text})


def with_keys(given: Any, *models: type[BaseModel]) -> Any:
    """Refuses a key that none of some parts has, and names the nearest one."""
    known = [field.alias or name for model in models for name, field in model.model_fields.items()]
    for key in given if isinstance(given, dict) else ():
        if key not in known:
            raise refusal(f"unknown key '{key}'{nearest(str(key), known)}")
    return given


def _as_written(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    check(value)
    return value


def _none_if_blank(cell: Any) -> Any:
    return None if cell in ("", "-") else cell


def _empty_if_dash(cell: Any) -> Any:
    return "" if cell == "-" else cell


T = TypeVar("T")


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise refusal(f"{value!r} is listed twice; keep one")
    return values


def one_of(names: Iterable[str]) -> GetPydanticSchema:
    """A type for the names that a registry holds, which no Literal can spell."""
    return GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema([*names]))


AsWritten = Annotated[T, WrapValidator(_as_written), SerializeAsAny()]
"""A number that stays as it is: 0 does not become 0.0, for it stands in the keys of the journal."""

Listed = Annotated[tuple[T, ...], Field(strict=False)]
Distinct = Annotated[Listed[T], AfterValidator(_distinct)]
Several = Annotated[Listed[T], Field(min_length=1), AfterValidator(_distinct)]
AtLeastTwo = Annotated[Listed[T], Field(min_length=2), AfterValidator(_distinct)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Share = AsWritten[Annotated[float, Field(ge=0.5, le=1)]]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9._-]+$")]
NameWithoutDot = Annotated[str, Field(pattern="^[A-Za-z0-9_-]+$")]
PromptFormat = Literal["raw", "inst", "chat"]
Scoring = Literal["soft", "hard", "forced"]
Mode = Literal["naive", "check"]


class Part(BaseModel):
    """A part of the configuration: read-only, without unknown keys, and strict (5.0 is no integer)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        return with_keys(given, cls)


class Labelled(Part):
    """A part that tables and figures call by a name."""

    label: str = ""
    """What tables and figures call it; its name by default."""

    def default_label(self, name: str) -> str:
        """The label of an entry that gives none."""
        return name


class Dataset(Part):
    """The questions and databases to work on."""

    name: NameWithoutDot
    """A short name; it stands in file names."""
    format: Annotated[str, one_of(FORMATS)] = "spider"
    """How its files are laid out, its questions' levels, and the rule by which results are compared
    (docs/datasets.md)."""
    source: str = ""
    """Folder or zip archive in the format's layout. Empty: it is downloaded."""
    questions_file: str = "dev.json"
    """The question file inside the source."""
    tables_file: str = ""
    """The file of schemas beside it. Empty: the format's own (Spider: tables.json)."""
    databases_folder: str = ""
    """The folder of databases beside it. Empty: the format's own (Spider: database)."""
    training_file: str = "train_spider.json"
    """The training questions inside the source, which demonstrations come from."""
    per_hardness: Positive = 100
    """How many questions of each hardness (BIRD: difficulty) are sampled."""
    question_ids: str = ""
    """The questions to use instead of a sample: a text file of ids (0-based positions), one a line; or a .tsv like
    resources/paper_questions.tsv, of which the first `per_hardness` of each hardness count, and which leaves some to be
    drawn. Empty: a sample."""
    empty_golds: bool = False
    """Also draw questions whose gold query returns nothing, on which many a wrong query is right."""
    exclude_databases: Listed[str] = ()
    """Databases whose questions are left out. Databases without any row are always left out."""
    mirrors: Listed[str] = ()
    """Addresses of the archive, tried in order when there is no source."""
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    """SHA-256 of the archive that the mirrors give."""


class Pool(Part):
    """The labelled candidates of the intrinsic evaluation."""

    file: str = ""
    """A labelled pool of your own (JSON; see README). Empty: it is sampled and labelled by execution."""
    questions: Count = 0
    """Use only so many of the file's questions, drawn with the seed; 0 means all."""
    generator: str = "stable-code-3b"
    """The generator that a sampled pool comes from."""
    decoding: str = "sample"
    """The decoding that a sampled pool comes from."""


class Generator(Labelled):
    """One generator."""

    model: str
    """A name of the models table."""
    prompt: str
    """The prompt's template file."""
    prompt_format: PromptFormat = "inst"
    """The prompt as it is, between [INST] and [/INST], or in the model's chat template."""
    special_tokens: bool = False
    """Whether the tokenizer's special tokens (where it has any) stand before a prompt that is no chat. Behind a server,
    the server decides."""
    extraction: Annotated[str, one_of(EXTRACTIONS)] = "continuation"
    """How SQL is read from a completion."""
    max_new_tokens: Positive | None = None
    """Most new tokens, in place of the decoding's."""


class Decoding(Part):
    """One way to draw completions."""

    samples: Positive
    """Completions a question."""
    temperature: AsWritten[Annotated[float, Field(ge=0)]]
    """Sampling temperature; 0 is greedy."""
    max_new_tokens: Positive
    """Most new tokens of a completion."""


class Discriminator(Labelled):
    """One discriminator: a method, and the model that it asks, or a baseline, which asks none."""

    method: Annotated[
        str,
        one_of((*METHODS, *BASELINES)),
        Field(
            description=f"How it judges. {'; '.join(f'{name}: {known.about}' for name, known in METHODS.items())}. "
            f"Baselines, which ask no model: {', '.join(BASELINES)} (docs/beyond.md)."
        ),
    ]
    label: str = ""
    """What tables and figures call it; by default its name, or what a baseline does."""
    model: str = ""
    """A name of the models table; a baseline has none."""
    prompt_format: PromptFormat = "raw"
    """The prompt as it is, between [INST] and [/INST], or in the model's chat template."""
    p: AsWritten[Annotated[float, Field(ge=0, le=1)]] | None = None
    """Of an oracle: how often it is right."""

    @property
    def is_baseline(self) -> bool:
        """Whether it asks no model."""
        return self.method in BASELINES

    @property
    def responds(self) -> bool:
        """Whether it writes a response up to a budget, which a verdict is read from and can be forced in."""
        return not self.is_baseline and METHODS[self.method].responds

    def default_label(self, name: str) -> str:
        """What a baseline does, or the name of a discriminator that asks a model."""
        return baseline_label(self.method, self.p or 0) if self.is_baseline else name

    @model_validator(mode="after")
    def _keys_of_the_method(self) -> Discriminator:
        given = {key for key, field in type(self).model_fields.items() if getattr(self, key) != field.default}
        needed = {"p"} if self.method == "oracle" else set() if self.is_baseline else {"model"}
        allowed = {"method", "label", *needed} if self.is_baseline else {"method", "label", "prompt_format", *needed}
        for key in sorted(needed - given):
            raise refusal(f"the key '{key}' is missing, which the method '{self.method}' needs")
        for key in sorted(given - allowed):
            raise refusal(f"the method '{self.method}' takes no '{key}'; take it out")
        return self


class _Context(Part):
    """What a discriminator is shown, and how: a prompt template for each method that can be asked so."""

    extras: Distinct[Annotated[str, one_of(EXTRAS)]] = ()
    """What the templates show beyond question and SQL, each in the field of its name."""
    prompt_format: PromptFormat | None = None
    """The prompt format of all discriminators in this context, in place of their own."""
    special_tokens: bool = False
    """Whether the tokenizer's special tokens (where it has any) stand before a prompt that is no chat. Behind a server,
    the server decides."""
    yes_token: Annotated[str, one_of(YES_TOKENS)] = "following"
    """Which token Yes is in a yes/no prompt: following, the one that it is when written after the prompt; alone, the
    last one of the word encoded by itself, as in the program behind the paper."""

    @property
    def prompts(self) -> dict[str, str]:
        """The template file of each method that can be asked so."""
        return {method: getattr(self, method) for method in METHODS if getattr(self, method)}


if TYPE_CHECKING:
    Context = _Context
else:
    _TEMPLATES = {name: (str, Field("", description=f"The template for the method `{name}`.")) for name in METHODS}
    Context = create_model("Context", __base__=_Context, __doc__=_Context.__doc__, **_TEMPLATES)


class Demonstrations(Part):
    """The training examples that contexts with the extra `demonstrations` show."""

    file: str = ""
    """Training questions in Spider's form, or a labelled pool, none of which is evaluated. Empty: the dataset's own
    (dataset.training_file)."""
    number: Annotated[int, Field(ge=2, multiple_of=2)] = 4
    """How many are shown, half of them right and half wrong."""
    prompt: str = "config/prompts/demonstration.txt"
    """The template of one demonstration; `${answer}` is Yes or No."""


class Execution(Part):
    """Limits of one query in the sandbox."""

    steps: Annotated[int, Field(ge=1000)] = 100_000_000
    """SQLite virtual-machine steps."""
    seconds: AsWritten[Annotated[float, Field(gt=0)]] = 30
    """Wall seconds, a backstop for what the steps do not bound."""
    rows: Positive = 500_000
    """Rows fetched."""


class Calibration(Part):
    """How scores are read as probabilities, in the table of thresholds and the reliability diagram."""

    bins: Positive = 10
    """Bins of equal width of the reliability diagram and of the expected calibration error."""


class Forced(Part):
    """How a verdict is forced from a thought that is cut, and when an adaptive budget may stop it."""

    prompt: str = "config/prompts/forced.txt"
    """The template that closes the thought and opens the answer up to the verdict."""
    confidences: Several[Share] = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
    """Probabilities of a forced verdict above which it is tried to stop a thought; 1, none, is always tried."""


class Correction(Labelled):
    """Re-prompting with the best query as the buggy one."""

    strategy: Literal["correction"]
    """Re-prompt with the best query as the buggy one."""
    prompt: str
    """The template that shows the buggy query."""
    rounds: Positive = CorrectionSettings().rounds
    """Most rounds after the first samples."""
    patience: Positive = CorrectionSettings().patience
    """Rounds in a row without a higher best score that end it."""
    completions: Positive = CorrectionSettings().completions
    """Completions of a round."""


class TreeSearch(Labelled):
    """Best-first search over clauses."""

    strategy: Literal["tree_search"]
    """Best-first search over clauses."""
    expansions: Annotated[int, Field(ge=1, le=50)] = TreeSettings().expansions
    """Most expansions a question."""
    completions: Positive = TreeSettings().completions
    """Completions of an expansion."""


Planner = Annotated[
    Correction | TreeSearch,
    Field(discriminator="strategy"),
    BeforeValidator(lambda given: with_keys(given, Correction, TreeSearch)),
]


class Roles(Part):
    """Who plays which part in the paper's claims, where it is not the paper's own model or setting."""

    reasoning: str | None = None
    """The reasoning discriminator."""
    model_7b: Annotated[str | None, Field(alias="7b")] = None
    """The 7B discriminator that it is compared with."""
    model_13b: Annotated[str | None, Field(alias="13b")] = None
    """The 13B discriminator that it is compared with."""
    generator: str | None = None
    """The generator whose samples are re-ranked."""
    reasoning_generator: str | None = None
    """The reasoning model as a generator."""
    generators: Listed[str] | None = None
    """The generators that it is compared with."""
    context: str | None = None
    """The context of the comparisons."""
    schema_context: str | None = None
    """The context with the schema."""
    budget: Positive | None = None
    """The budget of the comparisons."""
    schema_budget: Positive | None = None
    """The budget of the comparison of contexts."""
    budgets: Annotated[Listed[Positive], Field(min_length=3, max_length=3)] | None = None
    """A budget that is too short, one that is enough, and one far beyond."""
    decoding: str | None = None
    """The decoding that generators are compared under."""
    sample_decoding: str | None = None
    """The decoding of the samples that are re-ranked."""


class ModelRow(Part):
    """One row of the models table."""

    name: Name
    """What the configuration calls the model; it stands in file names."""
    source: Annotated[str, Field(min_length=1)]
    """Hub name, local folder, GGUF file, package:MODULE/FILE, a server's address, two other models of the table and a
    rule that says which of them gives a token (docs/running.md), or trained:NAME for what the training of that name
    makes (docs/training.md)."""
    revision: Annotated[str, Field(min_length=1)]
    """Hub commit, tag or branch (behind a server: of the tokenizer); a dash for local weights and servers."""
    backend: Annotated[str, one_of(BACKENDS)]
    """The inference engine."""
    dtype: Literal["auto", "float32", "bfloat16", "float16", "-"]
    """The number format that the model computes in; auto: bfloat16 where the machine has it in hardware, else float32.
    A dash behind a server, and for two models."""
    quantization: Literal["none", "8bit", "4bit", "-"]
    """How the weights are held in memory; 8bit and 4bit with transformers only, a dash behind a server and for two
    models."""
    tokenizer: str = ""
    """Optional, behind a server only: hub name or folder of the tokenizer whose chat template frames prompts."""
    placement: Literal["device", "offload"] = "device"
    """Optional: offload keeps in the machine's memory the layers that the GPU has no room for (transformers only;
    slow)."""
    context: Annotated[Positive | None, Field(strict=False), BeforeValidator(_none_if_blank)] = None
    """Optional, with transformers and vllm: the most tokens of a prompt and its budget together; a request beyond it
    fails. A dash or nothing: what the model's own settings say."""
    parameters: Annotated[str, Field(pattern=r"^(\d+(\.\d+)?[MBT])?$"), BeforeValidator(_empty_if_dash)] = ""
    """Optional: the number of parameters as tables show it, such as 135M or 1.5B."""
