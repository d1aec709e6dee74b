"""Writes ``.env.example`` from the settings: ``python tests/meta/env_example.py > .env.example``.

Order, names, descriptions and defaults are those of ``runtime/core/settings.py``, so that the file
changes exactly when they do.
"""

import os
import re
import sys
import textwrap
from collections.abc import Iterable

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from busbar.runtime.core.settings import Settings

WIDTH = 100
HEAD = (
    "All settings of busbar with their defaults. Copy this file to `.env`, or set the variables in "
    "the environment, which takes precedence. A setting without a value is unset by default. A "
    "variable BUSBAR_… that is not listed here is refused, in both places; so is a line that looks "
    "like one of these and is none. The variables that Kubernetes makes for Services are not read."
)
CHOICES = re.compile(r"\^\((?P<choices>\w+(?:\|\w+)*)\)\$")


def names(name: str, field: FieldInfo) -> list[str]:
    """The variables that a setting is read from, the one that counts first."""
    if isinstance(field.validation_alias, AliasChoices):
        return [str(choice) for choice in field.validation_alias.choices]
    return [str(field.validation_alias or f"{Settings.model_config['env_prefix']}{name.upper()}")]


def default(name: str, field: FieldInfo) -> str:
    """The default as it is written in the file."""
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, tuple):
        folders = name in {"promises", "policies"}
        return (os.pathsep if folders else ",").join(map(plain, value))
    return plain(value)


def plain(value: object) -> str:
    """5.0 as 5, True as true: what people write."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def about(name: str, field: FieldInfo) -> str:
    """Return the description of the setting, its choices and its other names."""
    choices = [
        match["choices"].split("|")
        for rule in field.metadata
        if (match := CHOICES.fullmatch(getattr(rule, "pattern", None) or ""))
    ]
    said = [
        field.description or f"The {name.replace('_', ' ')}.",
        *(f"One of {', '.join(found)}." for found in choices),
        *(f"Also read from {other}." for other in names(name, field)[1:]),
    ]
    return " ".join(said)


def comment(text: str) -> Iterable[str]:
    """``text`` as comment lines."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def render() -> str:
    """The whole file."""
    lines = [*comment(HEAD)]
    for name, field in Settings.model_fields.items():
        variable = names(name, field)[0]
        lines += ["", *comment(about(name, field)), f"#{variable}={default(name, field)}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
