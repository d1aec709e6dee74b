"""The hook that reads commit messages takes good ones, and says of others how to fix them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from meta.checkout import ROOT, text

HOOK = ROOT / ".githooks" / "commit-msg"
BODY = "\n\nA claim that is answered while the runner stops began anyway.\n"
GOOD = "tasks: do not start work claimed after shutdown"


def check(message: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the hook as git does: in a shell of any locale, with the message in a file."""
    file = folder / "COMMIT_EDITMSG"
    file.write_text(message, encoding="utf-8")
    return subprocess.run(  # noqa: S603 - our own hook
        [HOOK, file],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )


@pytest.mark.parametrize(
    "message",
    [
        GOOD + BODY,
        "cli/up: say which port is taken" + BODY,
        "policy, audit: read the schema once" + BODY,
        "# a comment first\n\n" + GOOD + BODY,
        GOOD + BODY + "# Please enter the commit message for your changes.\n",
        GOOD + BODY + f"# {'-' * 24} >8 {'-' * 24}\ndiff --git a/x b/x\n+anything" + "x" * 90,
        f"docs: {'ä' * 66}" + BODY,
        GOOD + BODY + "\nSigned-off-by: Ada <ada@example.org>\n",
        "store: bring the schema up before opening" + BODY,
        "Merge branch 'main' into work\n",
        'Revert "tasks: do not start work claimed after shutdown"\n',
        "fixup! " + GOOD + "\n",
        "squash! " + GOOD + "\n",
    ],
)
def test_a_good_message_passes_in_silence(message: str, tmp_path: Path) -> None:
    done = check(message, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("", "The message is empty"),
        ("# only a comment\n", "The message is empty"),
        ("do not start work claimed after shutdown" + BODY, "has no scope"),
        ("What is taken while its runner stops is not started" + BODY, "has no scope"),
        ("Tasks: do not start late work" + BODY, "has no scope"),
        ("tasks:do" + BODY, "has no scope"),
        (f"docs: {'ä' * 67}" + BODY, "has 73 characters of 72"),
        ("tasks: Do not start late work" + BODY, "begins with a capital"),
        ("tasks: the runner stops" + BODY, "`the` is not a verb"),
        ("tasks: added a check" + BODY, "`added` is not imperative"),
        ("tasks: adding a check" + BODY, "`adding` is not imperative"),
        ("tasks: adds a check" + BODY, "`adds` is not imperative"),
        (GOOD + "." + BODY, "ends in a full stop"),
        (GOOD + "\nand say so" + BODY, "The second line is not blank"),
        (GOOD + "\n", "There is no body"),
        (GOOD + "\n\n# a comment\n", "There is no body"),
        (GOOD + "\n\nSigned-off-by: Ada <ada@example.org>\n", "There is no body"),
    ],
)
def test_a_bad_message_is_refused_and_the_error_says_how_to_fix_it(
    message: str, problem: str, tmp_path: Path
) -> None:
    done = check(message, tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert problem in done.stderr
    assert "fix: write it like this" in done.stderr
    assert str(tmp_path / "COMMIT_EDITMSG") in done.stderr


def test_every_problem_of_a_message_is_named_in_one_go(tmp_path: Path) -> None:
    said = check("added a very long subject " + "x" * 60 + ".\nno blank line", tmp_path).stderr
    for problem in ("has no scope", "characters of 72", "full stop", "second line"):
        assert problem in said


def test_the_example_that_the_hook_shows_is_one_that_it_takes(tmp_path: Path) -> None:
    shown = check("", tmp_path).stderr.split("):\n\n")[1].split("\nThe text is kept")[0]
    example = "\n".join(line.removeprefix("    ") for line in shown.splitlines())
    assert check(example, tmp_path).returncode == 0
    assert example.strip() in text(ROOT / "CONTRIBUTING.md").replace("\n    ", "\n")


def test_git_runs_it_once_make_hooks_was_called(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / ".githooks", tmp_path / ".githooks")

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603 - git and make, in a repository of this test
            command,
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": os.defpath, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"},
        )

    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    assert run("git", "init", "--quiet").returncode == 0
    assert run("make", "hooks").returncode == 0
    refused = run("git", *who, "commit", "--allow-empty", "--message", "Some words")
    assert refused.returncode != 0
    assert "has no scope" in refused.stderr
    assert run("git", *who, "commit", "--allow-empty", "--message", GOOD + BODY).returncode == 0
