"""A note on files that are not those of the platform that the user may have in mind."""

from busbar.cli.local.files import other_files
from busbar.cli.shared.options import Options
from busbar.cli.shared.output import errors, plain


def note_other_files(options: Options) -> None:
    """Print to standard error whether a platform uses other files than those of this shell."""
    if named := options.named_gateway():
        note = f"these are files of this machine; the platform at {named} may use others"
    elif difference := other_files(options.settings()):
        note = f"{difference}. What follows is read from those here"
    else:
        return
    errors().print(f"[yellow]note:[/] {plain(note)}.")
