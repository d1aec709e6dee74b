"""The commands, one module each; ``cli/lazy.py`` lists them and loads the one that runs."""
