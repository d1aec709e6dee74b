"""The words that the project does without, and a count of them for each folder.

    python tests/meta/words.py                  counts by folder and by word
    python tests/meta/words.py --list FOLDER    every place in a folder
    python tests/meta/words.py --root CHECKOUT  the same for another checkout

Searched are the text files of a checkout: code with its identifiers, comments, docstrings and
messages, documentation, settings, contracts. Names of test functions are counted apart.
"""

import argparse
import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = (
    *(".py", ".md", ".yaml", ".yml", ".toml", ".json", ".sh", ".sql", ".xml", ".ini"),
    *("Makefile", "Dockerfile", ".example", ".in"),
)
LEFT_OUT = ("tests/meta/words.py", "tests/meta/test_words.py", "tests/replay/histories/")
"""The list itself, and what was recorded by the product."""
DEEPER = (
    "services/busbar/runtime/store",
    "services/busbar/runtime",
    "services/busbar",
    "tests/unit",
)
"""Folders whose own folders are counted one by one."""
TEST_NAME = re.compile(r"^\s*(?:async )?def (?P<name>test_\w+)", re.MULTILINE)
QUESTION = re.compile(r"\W*(?P<word>What|Whether|How|Where|Why|Who|Whoever|Whatever)\b")


def _word(pattern: str) -> re.Pattern[str]:
    """Match ``pattern`` as a word of prose, of snake_case or of CamelCase."""
    spaced = pattern.replace(" ", r"[\s#>*_]+")
    camel = f"{spaced[:1].upper()}{spaced[1:]}"
    return re.compile(rf"(?:(?<![A-Za-z])(?i:{spaced})|(?<=[a-z]){camel})(?![a-z])")


def _always(_before: str, _after: str) -> bool:
    return True


def _not_there(before: str, _after: str) -> bool:
    """Accept `there is no …`, also as a question and in names."""
    return not re.search(r"\bthere[\s#>*_]+$", before, re.IGNORECASE)


def _not_dead(before: str, after: str) -> bool:
    """Accept letters of the alphabet and dead letters."""
    if re.search(r"dead[\s#>*_-]*$", before, re.IGNORECASE):
        return False
    alphabet = (
        r"(lower[- ]?case|upper[- ]?case|small|capital|ascii|latin|hex\w*|string\.)\W*(ascii_)?$"
    )
    if re.search(alphabet, before, re.IGNORECASE):
        return False
    return not re.match(r",? (and |or )?(digit|number|underscore|hyphen)|[- ]?case", after)


@dataclass(frozen=True, slots=True)
class Rule:
    """A word to avoid, the standard term for it, and when a match counts."""

    name: str
    instead: str
    pattern: re.Pattern[str]
    counts: Callable[[str, str], bool] = _always

    def may_be_in(self, lowered: str) -> bool:
        """Rule out most texts without the pattern."""
        return any(hint in lowered for hint in HINTS.get(self.name, (self.name.split()[-1],)))


def _rule(name: str, instead: str, pattern: str = "") -> Rule:
    return Rule(name, instead, _word(pattern or name))


HINTS = {"tell": ("tell", "told"), "forever": ("ever",)}
"""What every match of a rule has in it, where that is not its last word."""


RULES = (
    _rule("nobody", "no one, or name the subject: no service, no producer"),
    _rule("whoever", "the one that, the caller, the subscriber"),
    _rule("somebody", "someone, a caller, another team"),
    _rule("anybody", "anyone, any caller"),
    _rule("tell", "say, report, show, print", "(?:tells?|told|telling)"),
    _rule("anew", "again"),
    _rule("forever", "indefinitely, permanently", "(?<!serve_)(?<!run_)for(?: |-)?ever"),
    _rule("mend", "fix, repair", "mend(?:s|ed|ing)?"),
    _rule("at the most", "at most"),
    Rule(
        "is no",
        "is not a",
        _word(r"is no (?!longer\b|more\b|doubt\b|one\b|such\b)[a-z]+"),
        _not_there,
    ),
    _rule("dear", "expensive"),
    _rule("by chance", "at random, jittered"),
    _rule("is away", "is unreachable", "(?:is|are|was|were|be|goes|went) away"),
    _rule("at once", "immediately, concurrently, in one batch"),
    _rule("goes on by itself", "continues automatically", "(?:goes?|going) on by itself"),
    _rule("leash", "parent-death signal"),
    _rule("keeper", "supervisor"),
    _rule("copies", "instances"),
    _rule("moment", "time, instant", "moments?"),
    Rule("letter", "dead letter", _word("letters?"), _not_dead),
)
EXEMPT = {
    **{
        (path, word): "a name of before, which a release takes from the folder into the file"
        for path in ("changelog.d/", "CHANGELOG.md")
        for word in ("at once", "copies", "letter")
    },
    ("services/busbar/messages/codec/", "letter"): "letters of the alphabet, in attribute names",
    ("tests/meta/test_new_message.py", "copies"): "copies of the checkout",
    ("tests/meta/test_new_service.py", "copies"): "copies of the checkout",
    ("tests/support/postgres.py", "nobody"): "the user of that name",
    ("tests/support/hostile.py", "letter"): "letters of the alphabet",
    ("tests/unit/cli/test_cli_up.py", "tell"): "the method of files",
    ("tests/unit/messages/codec/", "letter"): "letters of the alphabet, in attribute names",
}
"""Paths (or their beginnings) where a word has another meaning, and that meaning."""
QUESTION_RULE = "docstring that is a question"


@dataclass(frozen=True, slots=True)
class Found:
    """One place with a word to avoid."""

    path: str
    line: int
    rule: str
    text: str


def folder_of(path: str) -> str:
    """Return the folder that ``path`` is counted under."""
    parts = path.split("/")
    for parent in DEEPER:
        if path.startswith(f"{parent}/"):
            depth = parent.count("/") + 2
            return "/".join(parts[:depth]) if len(parts) > depth else parent
    return "/".join(parts[: min(2, len(parts) - 1)]) or "."


def paths(root: Path) -> list[str]:
    """Return the text files of the checkout ``root`` that are tracked or could be added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True)  # noqa: S603 - git itself
    names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return [
        name
        for name in names
        if name.endswith(SUFFIXES) and not name.startswith(LEFT_OUT) and (root / name).is_file()
    ]


def in_text(path: str, text: str) -> Iterator[Found]:
    """Yield every word to avoid in ``text``; names of test functions are left out."""
    lowered = text.lower()
    seen = TEST_NAME.sub(lambda match: re.sub(r"[^\n]", ".", match.group()), text)
    for rule in RULES:
        for match in rule.pattern.finditer(seen) if rule.may_be_in(lowered) else ():
            before = seen[max(0, match.start() - 40) : match.start()]
            if rule.counts(before, seen[match.end() : match.end() + 40]):
                line = text.count("\n", 0, match.start()) + 1
                yield Found(path, line, rule.name, " ".join(match.group().split()))
    if path.endswith(".py"):
        yield from _questions(path, text)


def _questions(path: str, text: str) -> Iterator[Found]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, kinds) and (said := ast.get_docstring(node)):
            match = QUESTION.match(said)
            if match:
                yield Found(path, node.body[0].lineno, QUESTION_RULE, said.splitlines()[0])


def names_of_tests(root: Path) -> list[Found]:
    """Return the test functions whose names have a word to avoid."""
    found = []
    for path in paths(root):
        if not path.endswith(".py"):
            continue
        text = (root / path).read_text(encoding="utf-8")
        for match in TEST_NAME.finditer(text):
            name = match["name"].replace("_", " ")
            rules = [
                rule.name
                for rule in RULES
                for word in rule.pattern.finditer(name)
                if rule.counts(name[: word.start()], name[word.end() :])
            ]
            line = text.count("\n", 0, match.start()) + 1
            found += [Found(path, line, rule, name) for rule in rules]
    return found


def search(root: Path = ROOT) -> list[Found]:
    """Return every word to avoid in the checkout ``root``."""
    return [
        found
        for path in paths(root)
        for found in in_text(path, (root / path).read_text(encoding="utf-8", errors="replace"))
        if not any(path.startswith(start) for start, rule in EXEMPT if rule == found.rule)
    ]


def main() -> None:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description="Count the words to avoid.")
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--list", metavar="FOLDER")
    asked = parser.parse_args()
    found = search(asked.root)
    folders = Counter(folder_of(one.path) for one in found)
    out = sys.stdout.write
    if asked.list is not None:
        for one in found:
            if one.path.startswith(asked.list):
                out(f"{one.path}:{one.line} [{one.rule}] {one.text}\n")
    else:
        rules = Counter(one.rule for one in found)
        names = len(names_of_tests(asked.root))
        for title, counter in (("folder", folders), ("word", rules)):
            out(f"{title}\n")
            for name, count in sorted(counter.items()):
                out(f"  {count:5}  {name}\n")
        out(f"together {len(found)}; besides, in names of tests: {names}\n")


if __name__ == "__main__":
    main()
