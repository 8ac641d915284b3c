"""Where a model behind a server is asked: the `source` of its row in the models table. Asks nothing itself.

The form is `https://host/v1#model`, with options after a question mark: `https://host/v1?concurrency=64#model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from urllib.parse import parse_qsl, urlsplit

from sqljudge.core.errors import ConfigError
from sqljudge.models.engines.base import ModelSpec

FORM = "https://host/v1#model"
LEAST: Mapping[str, int] = {"concurrency": 1, "timeout": 1, "tries": 1, "top": 1}
"""The least value of each option."""


@dataclass(frozen=True, slots=True)
class Address:
    """A server's `url` and the `model` asked of it.

    `concurrency`: most requests under way at once. `timeout`: seconds that a server may stay silent. `tries`: how often
    a request is sent before it counts as failed. `top`: likeliest tokens asked for where probabilities of words are
    wanted (5 is what the protocol promises; many servers give 20).
    """

    url: str
    model: str
    concurrency: int = 16
    timeout: int = 600
    tries: int = 5
    top: int = 5


def parse_address(spec: ModelSpec) -> Address:
    """The address in a model's `source`.

    Raises ConfigError, which repeats no part that may hold a key, for anything but the form above.
    """
    who = f"model '{spec.name}', source"
    try:
        parts = urlsplit(spec.source)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{who}: not an address such as {FORM}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{who}: not an address such as {FORM}")
    if "@" in parts.netloc:
        raise ConfigError(f"{who}: holds a user name or key; take it out and set the environment variable instead")
    if not parts.fragment:
        raise ConfigError(f"{who}: the model's name is missing; write it after a #, as in {FORM}")
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return Address(url, parts.fragment, **_options(who, parts.query))


def _options(who: str, query: str) -> dict[str, int]:
    known = [field.name for field in fields(Address) if field.name in LEAST]
    options: dict[str, int] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            near = get_close_matches(name, known, 1, 0.5)
            said = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{who}: an unknown option stands after the ?; {said}")
        if not (value.isascii() and value.isdigit()) or int(value) < LEAST[name]:
            raise ConfigError(f"{who}: the option '{name}' must be a whole number of at least {LEAST[name]}")
        options[name] = int(value)
    return options
