"""Nothing in the checkout ties it to one machine, one registry or one mirror."""

import re

import pytest

from meta.checkout import files, place, text

BINARY = (".jar", ".png", ".ico", ".gz", ".whl", ".woff2", ".db")
INDEX = re.compile(
    r"(?<![\w-])(--(extra-)?index-url|--find[-]links|--trusted[-]host|-i\s+https?:|PIP_INDEX[_]URL|"
    r"UV_[A-Z_]*INDEX|GOPROXY\s*=|<mirror[>]|registry\s*=\s*https?:)"
)
HOSTS = re.compile(
    r"\b(pypi\.org|pythonhosted\.org|registry\.npmjs\.org|npmmirror\.com|yarnpkg\.com|"
    r"repo1?\.maven\.(org|apache\.org)|repo1\.maven\.org|proxy\.golang\.org|"
    r"[\w.-]*(artifactory|nexus|jfrog|devpi)[\w-]*\.[\w.-]+)",
    re.IGNORECASE,
)
PATHS = re.compile(
    r"(?<![\w.:/$}~<>*+-])(/(home|Users|root|work|workspace|workspaces|builds|mnt|srv)/[\w.-]+"
    r"|[A-Za-z]:\\Users\\)"
)
RULES = {"index": INDEX, "registry host": HOSTS, "machine path": PATHS}


@pytest.mark.parametrize("rule", RULES)
def test_no_file_names_it(rule: str) -> None:
    found = [
        f"{place(path, number)} {match.group()}"
        for path in files()
        if not path.name.endswith(BINARY)
        for number, line in enumerate(text(path).splitlines(), start=1)
        if (match := RULES[rule].search(line))
    ]
    assert not found


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("index", "--index" + "-url https://mirror.example/simple"),
        ("index", "-i https" + "://mirror.example/simple"),
        ("registry host", "https://files.python" + "hosted.org/packages"),
        ("registry host", "https://art" + "ifactory.corp.example/pypi"),
        ("machine path", "-e /ho" + "me/someone/busbar"),
        ("machine path", "see `/wo" + "rk/main/docs`"),
    ],
)
def test_the_rule_sees_it(rule: str, line: str) -> None:
    assert RULES[rule].search(line)


@pytest.mark.parametrize(
    "line",
    [
        "https://github.com/cloudevents/spec/blob/v1.0.2/work/bench",
        "uv pip compile --no-emit-index-url",
        "the folder <home>/secrets/orders",
        "http://maven.apache.org/POM/4.0.0",
    ],
)
def test_the_rule_lets_sources_and_placeholders_pass(line: str) -> None:
    assert [name for name, rule in RULES.items() if rule.search(line)] == []
