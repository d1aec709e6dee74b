"""Names of variables that look as if they were settings: which of them are not, and what was meant.

Kubernetes gives every container the addresses of the Services of its namespace as variables, so a
Service named ``busbar-gateway`` makes ``BUSBAR_GATEWAY_PORT=tcp://10.0.0.1:8080``. Those are
recognized by name and value and passed over; no setting has such a name.

Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from dotenv.parser import Binding, parse_stream

from busbar.kernel.suggest import closest
from busbar.kernel.text import truncate

PREFIX: Final = "BUSBAR_"

_LOOKS_LIKE_OURS: Final = re.compile(r"busbar[_.-]", re.IGNORECASE)
_NEARLY: Final = 0.85
_NUMBER = r"[0-9]{1,5}"
_URL = rf"(?:tcp|udp|sctp)://\S+:{_NUMBER}"
_ADDRESS: Final = None
_LINKS: Final[tuple[tuple[re.Pattern[str], re.Pattern[str] | None], ...]] = tuple(
    (re.compile(name), re.compile(value) if value else _ADDRESS)
    for name, value in (
        (r"[A-Z0-9_]+_SERVICE_HOST", ""),
        (r"[A-Z0-9_]+_SERVICE_PORT(?:_[A-Z0-9_]+)?", _NUMBER),
        (r"[A-Z0-9_]+_PORT", _URL),
        (rf"[A-Z0-9_]+_PORT_{_NUMBER}_(?:TCP|UDP|SCTP)", _URL),
        (rf"[A-Z0-9_]+_PORT_{_NUMBER}_(?:TCP|UDP|SCTP)_PROTO", "tcp|udp|sctp"),
        (rf"[A-Z0-9_]+_PORT_{_NUMBER}_(?:TCP|UDP|SCTP)_PORT", _NUMBER),
        (rf"[A-Z0-9_]+_PORT_{_NUMBER}_(?:TCP|UDP|SCTP)_ADDR", ""),
    )
)
"""The forms of names, each with the form of its value; None stands for an IP address."""


def is_link(name: str, value: str) -> bool:
    """Return whether ``name=value`` is what Kubernetes sets for a Service."""
    return any(
        named.fullmatch(name) and (form.fullmatch(value) if form else _is_address(value))
        for named, form in _LINKS
    )


def could_be_link(name: str) -> bool:
    """Return whether Kubernetes could set a variable ``name``; no setting may have such a name."""
    return any(named.fullmatch(name) for named, _ in _LINKS)


def unknown_variables(environment: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """Return a sentence for each variable that is meant for busbar and is not a setting.

    That is one that starts with ``BUSBAR_``, however it is written, or nearly does and is close to
    a setting. Values are not repeated: they can be secrets.
    """
    settings = frozenset(known)
    return [
        f"{_shown(name)} is not a setting{_suggestion(name, settings)}"
        for name, value in sorted(environment.items())
        if name not in settings
        and not is_link(name, value)
        and (_LOOKS_LIKE_OURS.match(name) or _is_nearly(name, _ours(settings)))
    ]


def unknown_lines(path: Path, known: Iterable[str]) -> list[str]:
    """Return a sentence for each line of the file at ``path`` that cannot take effect.

    Lines of other programs are passed over, unless their names are close to a setting. Docker
    Compose reads the same file.
    """
    settings = frozenset(known)
    try:
        with path.open(encoding="utf-8") as file:
            lines = list(parse_stream(file))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        return [f"{path} cannot be read as a text file in UTF-8"]
    found: list[str] = []
    for line in lines:
        if problem := _problem_of(line, settings):
            number = _first_line(line.original.string, line.original.line)
            found.append(f"line {number} of {path}: {problem}")
    return found


def _problem_of(line: Binding, settings: frozenset[str]) -> str | None:
    name = line.key
    if line.error:
        return "this is not NAME=value"
    if name is None or is_link(name, line.value or ""):
        return None
    if name in settings:
        return f"{name} has no value" if line.value is None else None
    if _LOOKS_LIKE_OURS.match(name) or _is_nearly(name, settings):
        return f"{_shown(name)} is not a setting{_suggestion(name, settings)}"
    return None


def _ours(settings: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in settings if name.startswith(PREFIX))


def _is_nearly(name: str, settings: Iterable[str]) -> bool:
    return any(
        SequenceMatcher(None, name.upper(), setting).ratio() >= _NEARLY for setting in settings
    )


def _suggestion(name: str, settings: frozenset[str]) -> str:
    close = _closest(name.upper().replace("-", "_"), settings)
    return f" (did you mean {close}?)" if close else ""


def _closest(name: str, settings: frozenset[str]) -> str | None:
    if not name.startswith(PREFIX):
        return closest(name, settings)
    if longer := [setting for setting in settings if setting.startswith(f"{name}_")]:
        return min(longer)
    # The prefix, which is the same in all of them, would make any two names alike.
    found = closest(name[len(PREFIX) :], [one.removeprefix(PREFIX) for one in _ours(settings)])
    return f"{PREFIX}{found}" if found else None


def _shown(name: str) -> str:
    return truncate(name)


def _first_line(text: str, number: int) -> int:
    """Return the number of the line with the content: blank lines before it are part of it."""
    blank = text[: len(text) - len(text.lstrip())]
    return number + blank.count("\n")


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True
