"""The commands, one file each; ``cli/lazy.py`` lists them and loads the one that runs."""
