"""Groups of commands beside those for stories, which are in `renderer/cli.py`."""
