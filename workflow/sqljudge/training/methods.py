"""The methods of training, by name: which trainer, which reward or loss, and their settings. Imports no model library.

A new reward is a function in `rewards` and a line of METHODS (docs/training.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any

from sqljudge.core.errors import ConfigError
from sqljudge.training import rewards
from sqljudge.training.rewards import Reward

OFFLINE, ONLINE, PROBE = "offline", "online", "probe"
_SHARED = ("training.arguments", "training.curricula", "training.policy", "training.tasks")
_OFFLINE = ("training.offline", "training.losses", *_SHARED)
CODE = {
    OFFLINE: _OFFLINE,
    PROBE: ("training.probe", *_OFFLINE),
    ONLINE: ("training.online", "training.rollouts", "training.rewards", "training.sat", *_SHARED),
}
"""The modules whose code decides what a trainer makes of its data and settings: if one changes, it trains again."""
JUDGE, QUERY, SAT = "judge", "query", "sat"
"""What an item asks: whether a candidate is right, for a query, or for values that satisfy a formula."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is trained. Lengths and budgets are in tokens.

    Of every trainer: `learning_rate`; `warmup` (share of the steps); `schedule` (constant, linear or cosine);
    `weight_decay`; `max_grad_norm`; `rank` of the LoRA adapter on all linear layers (0: all weights are trained);
    `micro` (sequences that go through the model at once); `save_every` (steps between two checkpoints).

    Offline: `batch` (units a step: traces, or pairs); `longest` (longer sequences are left out); `alpha` (REDI: weight
    of wrong traces); `weight` (verdict: of the margins).

    Online: `prompts` and `generations` (responses a prompt) of a batch; `budget` of a response; `temperature`;
    `updates` (optimiser steps a batch; with 1 the ratio is 1 and nothing is clipped); `loss` (grpo, bnpo, dr_grpo,
    dapo); `scale` of advantages (group, batch, none); `ratio` (token or sequence); `epsilon`, `epsilon_high`
    (clipping); `beta` (weight of the KL term; the reference is the model as training began); `entropy` (weight of the
    entropy bonus); `mask_truncated` (responses that the budget cut teach nothing); `resamples` (DAPO's dynamic
    sampling: so many times groups whose rewards are all equal are drawn anew for other prompts; 0: never).

    Of one method each: `reward` (Think2SQL: sparse, dense or gated); `w` (HAPO); `target`, `lower`, `upper`, `step`,
    `every`, `monitored` (LASER: see `rewards.Laser`; questions of a monitoring pass, drawn from the data); `log`
    (forced verdict: its logarithm); `delta`, `skip_budget`, `references` (AdaptThink: bonus of a skipped thought, the
    budget of such a response, reference responses a prompt); `place` (1-shot: which item); `threshold` (SATURN: share
    of solved validation tasks above which the next step begins; they are asked every `every` steps); `layer` (probe:
    whose hidden state, 0 the embeddings; -1 the last) and `strength` (probe: of the L2 penalty).
    """

    learning_rate: float = 1e-5
    warmup: float = 0.1
    schedule: str = "linear"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    rank: int = 16
    micro: int = 8
    save_every: int = 10
    batch: int = 8
    longest: int = 1024
    alpha: float = 0.8
    weight: float = 1.0
    prompts: int = 1
    generations: int = 8
    budget: int = 512
    temperature: float = 1.0
    updates: int = 1
    loss: str = "dapo"
    scale: str = "group"
    ratio: str = "token"
    epsilon: float = 0.2
    epsilon_high: float = 0.2
    beta: float = 0.0
    entropy: float = 0.0
    mask_truncated: bool = False
    resamples: int = 0
    reward: str = "dense"
    w: float = 1.0
    target: int = 4096
    lower: int = 1024
    upper: int = 16384
    step: int = 1024
    every: int = 20
    monitored: int = 500
    log: bool = False
    delta: float = 0.05
    skip_budget: int = 4096
    references: int = 16
    place: int = 0
    threshold: float = 0.5
    layer: int = -1
    strength: float = 1.0


CHOICES: Mapping[str, tuple[str, ...]] = {
    "schedule": ("constant", "linear", "cosine"),
    "loss": ("grpo", "bnpo", "dr_grpo", "dapo"),
    "scale": ("group", "batch", "none"),
    "ratio": ("token", "sequence"),
    "reward": tuple(rewards.EXECUTION),
}
_COMMON = ("learning_rate", "warmup", "schedule", "weight_decay", "max_grad_norm", "rank", "micro", "save_every")
_GRPO = (
    *("prompts", "generations", "budget", "temperature", "updates", "loss", "scale", "ratio", "epsilon"),
    *("epsilon_high", "beta", "entropy", "mask_truncated", "resamples"),
)
_LASER = ("lower", "upper", "step", "every", "monitored")
KEYS: Mapping[str, tuple[str, ...]] = {
    OFFLINE: (*_COMMON, "batch", "longest"),
    ONLINE: (*_COMMON, *_GRPO),
    PROBE: ("longest", "layer", "strength"),
}
"""The settings of each trainer, whatever the method."""


@dataclass(frozen=True, slots=True)
class Method:
    """A way to train.

    `trainer`: OFFLINE, ONLINE or PROBE. `about`: what it is, for the configuration's page. `keys`: the settings of its
    own. `defaults`: settings in which it differs from `Settings`. `tasks`: what its items may ask. `traces`: it learns
    from responses that stand in the data. `reward`: of an online method, from its settings and whether prompts open
    the thought themselves. `forced`: its reward rests on forced verdicts.
    """

    trainer: str
    about: str
    keys: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[str, ...] = (JUDGE,)
    traces: bool = False
    reward: Callable[[Settings, bool], Reward] | None = None
    forced: bool = False


def _laser(adaptive: bool, explore: bool) -> Callable[[Settings, bool], Reward]:
    return lambda settings, opened: rewards.Laser(
        target=settings.target,
        adaptive=adaptive,
        explore=explore,
        lower=settings.lower,
        upper=settings.upper,
        step=settings.step,
        every=settings.every,
        formed=(lambda text: rewards.THOUGHT in text) if opened else (lambda text: True),
    )


_VERL = {"updates": 2, "epsilon_high": 0.28, "beta": 0.001, "entropy": 0.001, "loss": "grpo"}
_ANY = (JUDGE, QUERY, SAT)

METHODS: dict[str, Method] = {
    "sft": Method(OFFLINE, "supervised fine-tuning on right traces", tasks=_ANY, traces=True),
    "verdict": Method(
        OFFLINE,
        "supervised verdict: cross-entropy of the verdict token and the softplus of the margins",
        ("weight",),
        {"learning_rate": 1e-4},
    ),
    "redi": Method(
        OFFLINE,
        "REDI's second stage, on a right and a wrong trace a question; its first is `sft`",
        ("alpha",),
        {"learning_rate": 1e-6},
        _ANY,
        traces=True,
    ),
    "think2sql": Method(
        ONLINE,
        "Think2SQL: execution match (sparse), table quality (dense) or its gated form",
        ("reward",),
        {"learning_rate": 1e-6, "schedule": "constant", "epsilon_high": 0.28, "max_grad_norm": 0.2, "scale": "batch"},
        (QUERY,),
        reward=lambda settings, opened: rewards.Think2SqlReward(settings.reward, opened),
    ),
    "laser": Method(
        ONLINE,
        "LASER: a bonus for right responses within a target",
        ("target",),
        _VERL,
        _ANY,
        reward=_laser(False, False),
    ),
    "laser_d": Method(
        ONLINE, "LASER-D: the target adapts to the question", _LASER, _VERL, _ANY, reward=_laser(True, False)
    ),
    "laser_de": Method(
        ONLINE, "LASER-DE: and long wrong responses are forgiven", _LASER, _VERL, _ANY, reward=_laser(True, True)
    ),
    "hapo": Method(
        ONLINE,
        "HAPO: length against the shortest right response so far",
        ("w",),
        {"learning_rate": 1e-6, "loss": "grpo", "beta": 0.04, "temperature": 0.7},
        _ANY,
        reward=lambda settings, opened: rewards.Hapo(settings.w),
    ),
    "open_rs": Method(
        ONLINE,
        "Open-RS: format and a cosine of the length",
        (),
        {
            "learning_rate": 1e-6,
            "schedule": "cosine",
            "loss": "grpo",
            "beta": 0.04,
            "temperature": 0.7,
            "generations": 6,
        },
        _ANY,
        reward=lambda settings, opened: rewards.OpenRs(settings.budget),
    ),
    "one_shot": Method(
        ONLINE,
        "1-shot RLVR: one item over and over, with an entropy bonus",
        ("place",),
        {"learning_rate": 1e-6, "beta": 0.001, "entropy": 0.001, "temperature": 0.6, "schedule": "constant"},
        _ANY,
        reward=lambda settings, opened: rewards.accuracy,
    ),
    "saturn": Method(
        ONLINE,
        "SATURN: SAT tasks, the next step once the present one is solved",
        ("threshold", "every"),
        {"learning_rate": 5e-7, "beta": 0.001, "loss": "grpo", "prompts": 2, "temperature": 0.8},
        (SAT,),
        reward=lambda settings, opened: rewards.saturn_reward,
    ),
    "forced_verdict": Method(
        ONLINE,
        "the probability that a forced verdict gives to the label",
        ("log",),
        {},
        reward=lambda settings, opened: rewards.ForcedVerdict(settings.log),
        forced=True,
    ),
    "adapt_think": Method(
        ONLINE,
        "AdaptThink: half of the responses skip the thought",
        ("delta", "skip_budget", "references"),
        {"learning_rate": 2e-6, "loss": "grpo", "ratio": "sequence", "temperature": 0.6, "generations": 16},
        _ANY,
        reward=lambda settings, opened: rewards.accuracy,
    ),
    "probe": Method(PROBE, "a linear head on a frozen model's hidden state", (), {"longest": 2048}),
}


def method_of(name: str) -> Method:
    """The method of a name. Raises ConfigError for an unknown one."""
    if name not in METHODS:
        raise ConfigError(f"training method '{name}' is unknown; known: {', '.join(METHODS)}")
    return METHODS[name]


def settings_of(name: str, given: Mapping[str, Any]) -> Settings:
    """The settings of a method, its defaults filled in.

    Raises ConfigError, naming the key and what is possible, for one that the method does not have, of another type, or
    out of range.
    """
    method = method_of(name)
    known = (*KEYS[method.trainer], *method.keys)
    settings = replace(Settings(), **dict(method.defaults))
    for key, value in given.items():
        if key not in known:
            near = get_close_matches(key, known, 1, 0.5)
            what = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
            raise ConfigError(f"the method '{name}' has no setting '{key}'; {what}")
        settings = replace(settings, **{key: _checked(key, value, getattr(settings, key))})
    if method.trainer == ONLINE:
        rows = settings.prompts * settings.generations
        if settings.generations < 2:
            raise ConfigError(f"generations is {settings.generations}; a group needs at least 2 responses")
        if rows % settings.updates or (settings.generations % 2 and name == "adapt_think"):
            what = "two halves" if name == "adapt_think" else f"updates ({settings.updates})"
            raise ConfigError(f"prompts x generations is {rows}; it must be a multiple of {what}")
    return settings


_ZERO = {"warmup", "weight_decay", "rank", "alpha", "weight", "temperature", "beta", "entropy", "resamples", "delta"}
_ZERO |= {"place", "threshold", "w"}


def _checked(key: str, value: Any, default: Any) -> Any:
    if key in CHOICES:
        if value not in CHOICES[key]:
            raise ConfigError(f"{key} is {value!r}; possible: {', '.join(CHOICES[key])}")
        return value
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{key} is {value!r}; it must be true or false")
        return value
    kinds = int if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ConfigError(f"{key} is {value!r}; it must be a {'whole ' if kinds is int else ''}number")
    least_is_fine = value >= 0 if key in _ZERO else value > 0
    if key != "layer" and not least_is_fine:
        raise ConfigError(f"{key} is {value!r}; it must be {'at least' if key in _ZERO else 'above'} 0")
    return type(default)(value)


SETTINGS = tuple(field.name for field in fields(Settings))
