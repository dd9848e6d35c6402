"""What `storyboard review` says while it serves."""

from __future__ import annotations

import os
import shlex
import threading
import webbrowser
from pathlib import Path

from renderer.commands.console import out
from renderer.plan import RUNS
from renderer.reading.yaml_file import read_yaml
from renderer.reviewing.decisions import REVIEW_FILE
from renderer.reviewing.server import ReviewServer


def serve(story: Path, folder: Path | None, port: int | None, templates: Path | None, *, open_: bool) -> None:
    """Serves the sheet of a story until Ctrl-C. Raises StoryboardError where there is nothing to serve."""
    if not os.path.exists(story):
        read_yaml(story)  # says so, and which may be meant
    with ReviewServer(story, folder or RUNS / story.stem, port, templates) as server:
        out.print(f"Review {server.folder} at\n\n  {server.guard.address}\n\nCtrl-C ends.", markup=False)
        if open_:
            # In a thread of its own: a browser in the terminal would wait for us, and we for it.
            threading.Thread(target=webbrowser.open, args=(server.guard.one_visit(),), daemon=True).start()
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            pass
    review = server.folder / REVIEW_FILE
    if review.exists():
        out.print(
            f"All decisions are in {review}. To bring them into the story: "
            f"storyboard apply {shlex.quote(str(review))} {shlex.quote(str(story))}",
            markup=False,
        )
    else:
        out.print("Nothing was decided.", markup=False)
