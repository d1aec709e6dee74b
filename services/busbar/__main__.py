"""``python -m busbar`` is the command ``busbar``."""

from busbar.cli.app import main

main()
