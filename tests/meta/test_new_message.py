"""``add-a-message.md`` is true: followed in a copy, it ends in a checkout that passes."""

import pytest
import yaml

from meta.checkout import ROOT
from meta.checkout_copy import Copy

PAGE = ROOT / "docs" / "how-to" / "add-a-message.md"
MESSAGES = "services/busbar/messages"
HANDLERS = "services/busbar/provisioner/handlers/provisioner.py"
GENERATED = ("schemas/", "contracts/")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A checkout in which the page was followed to its end; `make check` is part of it."""
    copy = Copy.make(tmp_path_factory.mktemp("message"))
    copy.follow(PAGE, TYPED=f"{MESSAGES} {HANDLERS}")
    return copy


def test_a_message_touches_three_files_and_a_family_two_more(followed: Copy) -> None:
    by_hand = {name for name in followed.changed() if not name.startswith(GENERATED)}
    message = {f"{MESSAGES}/resource.py", f"{MESSAGES}/catalogue.py", HANDLERS}
    assert by_hand == message | {f"{MESSAGES}/topics.py", f"{MESSAGES}/capacity.py"}


def test_what_the_page_adds_is_in_the_contracts(followed: Copy) -> None:
    folder = followed.root / "schemas"
    assert (folder / "resource" / "suspended" / "v1.json").is_file()
    assert (folder / "capacity" / "exhausted" / "examples" / "v1-1.json").is_file()
    text = (followed.root / "contracts" / "asyncapi.yaml").read_text(encoding="utf-8")
    sent = yaml.safe_load(text)["operations"]["provisioner.send.facts.capacity"]
    assert len(sent["messages"]) == 1


def test_the_new_fact_is_listed_as_a_draft(followed: Copy) -> None:
    (line,) = [
        line
        for line in followed.shell("busbar schema list").splitlines()
        if line.startswith("busbar.resource.suspended.v1")
    ]
    assert line.split()[1:3] == ["fact", "draft"]
