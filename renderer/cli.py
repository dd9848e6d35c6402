"""The commands. The only place that prints or exits: 0 all is well · 1 takes failed · 2 bad input · 130 interrupted."""

from __future__ import annotations

import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from renderer.collector import collector_rests
from renderer.commands import bench, export, loras, models, review, starting, training
from renderer.commands.console import count, err, escaped, out, say_error
from renderer.commands.rendering import Asked, observer_for, open_page, say_result, watch_story
from renderer.commands.workers import PackageTrainer, Trainer, Workers
from renderer.errors import StoryboardError

if TYPE_CHECKING:
    from renderer.plan import Plan
    from renderer.take import Painter

app = typer.Typer(
    name="storyboard",
    help="Write a story as a YAML file, render it with Kolors, review the pictures on one HTML sheet.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models.app, name="models")
app.add_typer(loras.app, name="loras")

Story = Annotated[Path, typer.Argument(help="The storyboard file.", metavar="STORY.yaml", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", help="The run folder. Default: renders/<story's name>.")]
Loras = loras.Folders
Templates = Annotated[
    Path | None, typer.Option("--templates", help="A folder with templates of your own for the sheet.", exists=True)
]
Scenes = Annotated[list[str] | None, typer.Option("--scene", help="Only this scene. May be given again.")]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Only takes of this seed. May be given again.")]


def main(painter: Painter | None = None, trainer: Trainer | None = None) -> NoReturn:
    """The entry point of the command `storyboard`; works with `painter` and `trainer` where they are given."""
    _say_what_is_logged()
    try:
        # Without its standalone mode, Typer returns the code of `typer.Exit`.
        sys.exit(app(standalone_mode=False, obj=Workers(painter, trainer or PackageTrainer())) or 0)
    except StoryboardError as error:
        say_error(error)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        err.print("Interrupted.")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        # Wrong usage of the command itself (click's own errors know how to show themselves).
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            sys.exit(2)
        raise


@app.callback(invoke_without_command=True)
def _top(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    if version:
        from renderer.metadata import version as installed

        out.print(f"kolors-storyboard {installed()}")
        raise typer.Exit


app.command()(starting.new)


@app.command()
def check(story: Story, loras: Loras = None) -> None:
    """Say everything that is wrong with a story, each with its place, or that all is well."""
    with collector_rests():
        from renderer.plan import plan_story

    plan = plan_story(story, loras=loras or ())
    _say_warnings(plan)
    scenes = len(plan.storyboard.scenes)
    out.print(f"{story}: all is well. {count(scenes, 'scene')}, {count(len(plan.takes), 'take')}.", markup=False)


@app.command()
def plan(
    story: Story,
    out_: Out = None,
    scene: Scenes = None,
    seed: Seeds = None,
    more: Annotated[int, typer.Option(help="As if so many more seeds were asked for.", min=0)] = 0,
    draft: Annotated[bool, typer.Option("--draft", help="As if drafts were asked for.")] = False,
    picks: Annotated[bool, typer.Option("--picks", help="As if only the story's picks were asked for.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    loras: Loras = None,
) -> None:
    """Say what would be painted and why, how long it will take, and how much disk it needs."""
    with collector_rests():
        from renderer.commands.planning import plan_data, say_plan
        from renderer.plan import plan_story

    planned = plan_story(story, out=out_, more=more, more_for=scene or (), loras=loras or (), draft=draft)
    if scene or seed or picks:
        from renderer.line import check_selection

        check_selection(planned, scene or (), seed or (), picks)
    if as_json:
        print(json.dumps(plan_data(planned), ensure_ascii=False, indent=1))
        return
    _say_warnings(planned)
    say_plan(planned, scene or [], seed or [], picks)


@app.command()
def render(
    ctx: typer.Context,
    story: Story,
    out_: Out = None,
    scene: Scenes = None,
    seed: Seeds = None,
    more: Annotated[int, typer.Option(help="Paint so many more seeds of each scene chosen.", min=0)] = 0,
    draft: Annotated[
        bool, typer.Option("--draft", help="Quick drafts for takes without a picture; a later render paints in full.")
    ] = False,
    picks: Annotated[bool, typer.Option("--picks", help="Only the takes that the story picks.")] = False,
    limit: Annotated[int | None, typer.Option(help="Paint at most so many takes now.", min=0)] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the sheet in the browser.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another render paints into the folder.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on: render again whenever the story is edited.")] = False,
    compile_: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the UNet first. Default: where so many takes repay it."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but what goes wrong.")] = False,
    loras: Loras = None,
    templates: Templates = None,
) -> None:
    """Paint what is not painted yet, and write the grid and the sheet."""
    with collector_rests():
        from renderer.line import open_kolors
        from renderer.line import render as render_story

    opened = partial(open_kolors, compiled=compile_)
    asked = Asked(story, scene or (), seed or (), picks, limit, compile_, loras or (), templates)
    once = partial(
        render_story,
        story,
        out=out_,
        scenes=scene or (),
        seeds=seed or (),
        draft=draft,
        picks=picks,
        limit=limit,
        loras=loras or (),
        templates=templates,
        painter=ctx.obj.painter,
        open_painter=opened,
    )
    if watch:
        watch_story(once, opened, asked, more=more, open_=open_, quiet=quiet)
        return
    result = once(more=more, wait=wait, observer=observer_for(quiet))
    say_result(result, asked, quiet)
    if open_ and not result.outcome.interrupted:
        open_page(result.sheet)
    if result.outcome.interrupted:
        raise typer.Exit(130)
    raise typer.Exit(1 if result.outcome.failed else 0)


@app.command()
def sheet(
    story: Story,
    out_: Out = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the sheet in the browser.")] = False,
    loras: Loras = None,
    templates: Templates = None,
) -> None:
    """Write grid and sheet anew from the pictures that are there, painting nothing."""
    with collector_rests():
        from renderer.line import rebuild

    result = rebuild(story, out=out_, loras=loras or (), templates=templates)
    out.print(str(result.sheet), markup=False)
    if open_:
        open_page(result.sheet)


app.command()(review.review)
app.command()(review.apply)
app.command()(export.export)
app.command()(training.train)
app.command()(bench.bench)


@app.command()
def inspect(
    picture: Annotated[Path, typer.Argument(help="A picture that was painted here.", metavar="PICTURE.png")],
    as_json: Annotated[bool, typer.Option("--json", help="The exact record instead.")] = False,
) -> None:
    """Give back, as YAML for a storyboard, the scene that a picture was painted from."""
    from renderer.inspection import picture_record, scene_yaml

    print(json.dumps(picture_record(picture), ensure_ascii=False, indent=1) if as_json else scene_yaml(picture), end="")
    if as_json:
        print()


@app.command()
def clean(
    story: Story,
    out_: Out = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete them.")] = False,
    loras: Loras = None,
    templates: Templates = None,
) -> None:
    """List superseded pictures and what a kill left behind; delete them with --yes."""
    from renderer.clean import find_leftovers, remove
    from renderer.line import rebuild
    from renderer.paint import open_run
    from renderer.plan import plan_story

    planned = partial(plan_story, story, out=out_, loras=loras or ())
    with open_run(planned(), planned) as held:
        leftovers = find_leftovers(held)
        for path in leftovers.files:
            out.print(str(held.folder / path), markup=False)
        words = f"{count(len(leftovers.files), 'file')}, {leftovers.bytes / 1e6:.1f} MB"
        if leftovers.compared:
            compared = f"{count(leftovers.compared, 'scene')} with a picture among these"
            out.print(f"The sheet compares {compared}: its before/after goes with it, what was edited is still named.")
        if yes:
            remove(held, leftovers)
        out.print(
            f"{words}{' deleted' if yes else '; nothing deleted yet: --yes deletes them' * bool(leftovers.files)}."
        )
    if yes and leftovers.compared:
        rebuild(story, out=out_, loras=loras or (), templates=templates)


@app.command()
def verify(
    ctx: typer.Context,
    story: Story,
    out_: Out = None,
    scene: Scenes = None,
    seed: Seeds = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only name takes that differ.")] = False,
    loras: Loras = None,
) -> None:
    """Paint again and compare: equal to the bit, close (at least 30 dB), or different (exit code 1)."""
    from renderer.line import verify_story

    worst = 0
    compared = verify_story(
        story, out=out_, scenes=scene or (), seeds=seed or (), loras=loras or (), painter=ctx.obj.painter
    )
    for found in compared:
        bad = found.verdict in ("different", "failed")
        worst = max(worst, int(bad))
        detail = found.failure or f"largest difference {found.largest}, PSNR {found.psnr:.1f} dB"
        if bad or not quiet:
            out.print(f"{found.take.scene}, {found.take.name}: {found.verdict} ({detail})", markup=False)
    raise typer.Exit(worst)


@app.command()
def doctor() -> None:
    """Say what this machine can run, and what is missing."""
    from renderer.doctor import examine

    marks = {"good": "[green]good[/]   ", "poor": "[yellow]poor[/]   ", "missing": "[red]missing[/]"}
    bad = False
    for finding in examine():
        bad = bad or finding.state == "missing"
        out.print(
            f"{marks[finding.state]}  {finding.subject}: {escaped(finding.words)}. {escaped(finding.todo)}".rstrip()
        )
    raise typer.Exit(1 if bad else 0)


app.command()(starting.schema)


def _say_what_is_logged() -> None:
    """Few lines (memory, broken connections, damaged checkpoints, files set aside), for whoever is at the terminal."""

    class ToTerminal(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            err.print(record.getMessage(), markup=False)

    for name in ("renderer.kolors", "renderer.trainer", "renderer.looking", "renderer.paint"):
        log = logging.getLogger(name)
        log.handlers = [ToTerminal()]
        log.setLevel(logging.INFO)
        log.propagate = False


def _say_warnings(planned: Plan) -> None:
    for problem in planned.warnings:
        err.print(f"[yellow]warning:[/] {escaped(str(problem))}")
