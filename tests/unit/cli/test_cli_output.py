"""Output is printed exactly as it is, even where a library sees markup or emoji in it."""

import pytest

from busbar.cli.shared.output import console, errors, plain, print_table


def test_foreign_text_becomes_no_picture_and_no_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = "secret:a: [red]payments[/red] :bug:"
    console().print(plain(said))
    errors().print(plain(said))
    print_table(("what",), [(plain(said),)])
    printed = capsys.readouterr()
    assert printed.out.count(said) == 2
    assert printed.err.count(said) == 1
