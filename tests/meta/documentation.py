"""The code blocks of the documentation, each with the way in which it is tested.

The fence of a block says how, in braces that a rendered page does not show::

    ```sh {run=platform}              run in a scratch folder, beside a platform that is up
    ```sh {run=scratch}               run in a scratch folder, without a platform
    ```sh {check="needs Docker"}      not run, for the reason given: its syntax, commands, options,
                                      files, make targets and services are checked

``console`` is a transcript: lines that begin with ``$`` are run, and the lines below have to be
in their output, in this order (``…`` and UUIDs stand for anything). Python runs by default; the
Python blocks of a page are one program. YAML, TOML and JSON are parsed, and loaded if they are a
promise, rules or an intent. All blocks of a page share a scratch folder. More attributes:

    file=PATH      write the block to PATH in the scratch folder first
    exit=N         the block ends with this exit code
    stop=SECONDS   each command follows something, and is interrupted after so many seconds

``<!-- sh {run=platform}`` … ``-->`` is a block that readers do not see, for what has to be there.
``<!-- blocks {check="tests/x.py follows this page"} -->`` is for all blocks that say nothing else.
"""

import functools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from meta.checkout import ROOT, below, place, text
from meta.containers import compose, containers
from meta.markdown import Block, blocks, hidden_blocks

SHELLS = frozenset({"sh", "bash", "console"})
DATA = frozenset({"yaml", "toml", "json"})
ATTRIBUTES = frozenset({"run", "check", "file", "exit", "stop"})
LOOKS_LIKE_SHELL = re.compile(
    r"^\$? ?(make|busbar|docker|cd|export|source|sh|python|\S+/python|pip|git|curl)( |$)",
    re.MULTILINE,
)
FOLDERS = ("contracts", "docs", "infra/docker")
"""The parts of the checkout that are in a scratch folder."""
PAGE = re.compile(r"^<!-- blocks (?P<info>\{.*\}) -->$", re.MULTILINE)
TEST = re.compile(r"tests/[\w/]+\.py")
FOLLOWED = re.compile(r"tests/.* follows? (this page|it)$")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MODULE = re.compile(
    r"python3? -m (?P<module>(bench|faults|replay|tools\.(contracts|release))[\w.]*)"
    r"(?P<rest>[^\n#|&]*)"
)
HOW = (
    "say in its fence how it is tested: {run=platform}, {run=scratch} or "
    '{check="why it cannot be run"}; see tests/meta/documentation.py'
)


@dataclass(frozen=True, slots=True)
class Example:
    """A block of a page, with the attributes of its fence."""

    page: Path
    block: Block
    attributes: Mapping[str, str]

    @property
    def where(self) -> str:
        """Return the place of the block, as people write it."""
        return place(self.page, self.block.line)

    @property
    def run(self) -> str:
        """Return where the block runs, or an empty string."""
        default = "scratch" if self.block.language == "python" else ""
        return "" if "check" in self.attributes else self.attributes.get("run", default)


def pages() -> list[Path]:
    """Return the pages whose examples are tested; decisions stay as they were taken."""
    return [
        page
        for page in below(".", suffix=".md")
        if not page.is_relative_to(ROOT / "docs" / "adr")
        and not page.is_relative_to(ROOT / "changelog.d")
        and page.name != "CHANGELOG.md"
    ]


def attributes_of(info: str) -> dict[str, str]:
    """Return the attributes in ``{a=b c="d e"}``.

    Raises:
        ValueError: they cannot be read.
    """
    if not info:
        return {}
    if not (info.startswith("{") and info.endswith("}")):
        raise ValueError(f"{info} is not in braces")
    pairs = (word.partition("=") for word in shlex.split(info[1:-1]))
    return {name: value for name, _, value in pairs}


@functools.cache
def examples(page: Path) -> tuple[Example, ...]:
    """Return the blocks of ``page``, those in comments included, in order."""
    found = [*blocks(text(page)), *hidden_blocks(text(page))]
    match = PAGE.search(text(page))
    usual = match["info"] if match else ""
    return tuple(
        Example(page, block, attributes_of(block.info or usual))
        for block in sorted(found, key=lambda block: block.line)
    )


def problem_with(example: Example) -> str | None:
    """Return what is missing in the classification of ``example``."""
    block, attributes = example.block, example.attributes
    if unknown := attributes.keys() - ATTRIBUTES:
        return f"unknown attributes {', '.join(sorted(unknown))}; {HOW}"
    if "check" in attributes and not attributes["check"].strip():
        return f"the reason is missing; {HOW}"
    if lost := [
        name for name in TEST.findall(attributes.get("check", "")) if not (ROOT / name).exists()
    ]:
        return f"{lost[0]} does not exist"
    if "run" in attributes and attributes["run"] not in {"platform", "scratch"}:
        return f"run is platform or scratch; {HOW}"
    if block.language in SHELLS:
        return None if "run" in attributes or "check" in attributes else HOW
    if block.language in DATA | {"python"} or "check" in attributes:
        return None
    if block.language in {"", "text"}:
        return "it has commands: name its language" if LOOKS_LIKE_SHELL.search(block.code) else None
    return f"{block.language} cannot be run: {HOW}"


# Running


def make_scratch(folder: Path, page: Path) -> None:
    """Make a folder like a checkout, with the files that ``page`` says to write."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    for example in examples(page):
        if shown := example.attributes.get("file"):
            file = folder / shown
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{example.block.code}\n", encoding="utf-8")


def script(page: Path, *, run: str) -> str:
    """Return the blocks of ``page`` that run there as one program of the shell."""
    parts = ["set -eu -o pipefail", "mkdir -p .output"]
    runs = [example for example in examples(page) if example.run == run]
    for example in runs:
        if example.block.language not in SHELLS:
            continue
        code = "\n".join(_commands(example))
        if wanted := example.attributes.get("exit"):
            code = f"set +e; ( set -e\n{code}\n); code=$?; set -e; test $code -eq {wanted}"
        parts += [f"echo '--- {example.where}' >&2", code]
    if program := "\n".join(one.block.code for one in runs if one.block.language == "python"):
        parts += [
            f"echo '--- Python of {place(page)}' >&2",
            f"python - <<'PYTHON'\n{program}\nPYTHON",
        ]
    return "\n".join([*parts, ""])


def _commands(example: Example) -> Iterator[str]:
    block, seconds = example.block, example.attributes.get("stop")
    if block.language == "console":
        for number, (command, _) in enumerate(transcript(block.code)):
            file = f".output/{block.line}-{number}"
            yield f"{command} >{file} 2>&1 || {{ code=$?; cat {file} >&2; (exit $code); }}"
    elif seconds:
        for line in re.sub(r"\\\n\s*", " ", block.code).splitlines():
            command = re.sub(r"\s+#.*", "", line)
            yield f"timeout --signal=INT --preserve-status {seconds} {command} || test $? -eq 130"
    else:
        yield block.code


def transcript(code: str) -> list[tuple[str, list[str]]]:
    """Return each command of a transcript with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in re.sub(r"\\\n\s*", "", code).splitlines():
        if line.startswith("$ "):
            found.append((re.sub(r"\s+#.*", "", line[2:]), []))
        elif found and line.strip():
            found[-1][1].append(line)
    return found


def not_printed(page: Path, folder: Path, *, run: str) -> list[str]:
    """Return the lines of transcripts that the commands did not print."""
    missing = []
    for example in examples(page):
        if example.run == run and example.block.language == "console":
            for number, (command, lines) in enumerate(transcript(example.block.code)):
                out = (folder / ".output" / f"{example.block.line}-{number}").read_text()
                printed = iter(out.splitlines())
                missing += [
                    f"{example.where} {command}: {line!r} is not in {out!r}"
                    for line in lines
                    if not any(_pattern(line).fullmatch(_plain(other)) for other in printed)
                ]
    return missing


def _plain(line: str) -> str:
    return " ".join(line.split())


def _pattern(line: str) -> re.Pattern[str]:
    shown = UUID.sub("…", _plain(line))
    return re.compile(".*".join(re.escape(part) for part in shown.split("…")))


# Checking


def mistakes(example: Example) -> list[str]:
    """Return what is wrong with a block of the shell that is not run."""
    code = example.block.code
    if FOLLOWED.search(example.attributes.get("check", "")):
        return []  # it runs there, perhaps on files that it makes
    if example.block.language == "console":
        code = "\n".join(command for command, _ in transcript(code))
    plain = re.sub(r"<([a-z][a-z_-]*)>", r"\1", code)  # a placeholder, not a redirection
    done = subprocess.run(["bash", "-n"], input=plain, text=True, capture_output=True, check=False)  # noqa: S607 - reads, runs nothing
    found = [done.stderr.strip()] if done.returncode else []
    for line in re.sub(r"\\\n\s*", " ", plain).splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a quotation over several lines
            words = line.split()
        found += [f"no make target {name}" for name in _targets(words) if name not in targets()]
        found += [f"no file {name}" for name in _files(words) if not (ROOT / name).exists()]
        found += _unknown_services(words)
        found += _unknown_options(line)
    return found


@functools.cache
def targets() -> frozenset[str]:
    """Return the targets of the Makefile."""
    return frozenset(re.findall(r"^([a-z][a-z-]*):", text(ROOT / "Makefile"), re.MULTILINE))


def _targets(words: list[str]) -> list[str]:
    return (
        [word for word in words[1:] if re.fullmatch(r"[a-z-]+", word)]
        if words[:1] == ["make"]
        else []
    )


def _files(words: list[str]) -> list[str]:
    start = ("docs/", "infra/", "contracts/", "tests/", "services/", "tools/", "schemas/")
    return [word for word in words if word.startswith(start) and not re.search(r"[<>*…$]", word)]


def _unknown_services(words: list[str]) -> list[str]:
    if words[:2] != ["docker", "compose"]:
        return []
    profiles = {name for one in containers().values() for name in one.get("profiles", [])}
    rest, found = words[2:], list[str]()
    while rest and rest[0].startswith("-"):
        if rest[0] == "--profile" and rest[1] not in profiles:
            found.append(f"no profile {rest[1]}")
        rest = rest[2 if rest[0] in {"--profile", "--file", "-f"} else 1 :]
    verb, named = (rest[0], rest[1:]) if rest else ("", [])
    if verb in {"exec", "run", "stop", "start", "restart", "logs", "up", "ps"}:
        scaled = [
            named[at + 1].partition("=")[0] for at, word in enumerate(named) if word == "--scale"
        ]
        plain = [word for word in named if re.fullmatch(r"[a-z][a-z-]*", word)]
        asked = scaled + (plain[:1] if verb in {"exec", "run"} else plain)
        found += [f"no service {name}" for name in asked if name not in compose()["services"]]
    return found


def _unknown_options(line: str) -> list[str]:
    match = MODULE.search(line)
    if match is None:
        return []
    options = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", match["rest"])
    printed = help_of(match["module"])
    return [f"{match['module']} has no {name}" for name in options if name not in printed]


@functools.cache
def help_of(module: str) -> str:
    """Return what ``python -m MODULE --help`` prints."""
    folder = ROOT if module.startswith("tools") else ROOT / "tests"
    command = [sys.executable, "-m", module, "--help"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own module
