"""The ``undrift`` command. Nothing here, nor in what it imports, loads torch: ``--help`` has to be quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from undrift import __version__
from undrift.cli import (
    batch,
    bench,
    catalogue,
    demo,
    doctor,
    extend,
    files,
    mcp,
    plug_ins,
    run,
    serve,
    studio,
    tree,
    turns,
    video,
)
from undrift.cli.errors import did_you_mean, guarded
from undrift.cli.logs import quiet
from undrift.cli.options import Shell, common
from undrift.cli.output import begin, say
from undrift.cli.strings import only_text
from undrift.cli.warm import handed_over
from undrift.errors import InputError

COMMANDS = {
    "One go": (run.run, batch.batch, video.video, demo.demo),
    "In the browser": (studio.studio,),
    "For other programs": (serve.serve, mcp.mcp),
    "Sessions": (
        turns.new,
        turns.edit,
        turns.restore,
        turns.rebase,
        extend.extend,
        tree.log,
        tree.show,
        tree.undo,
        tree.redo,
        tree.keep,
        tree.branch,
        tree.checkout,
    ),
    "Results": (tree.compare, files.export, files.unpack, files.replay, files.info),
    "Benchmark": (bench.bench,),
    "What there is": (catalogue.methods, catalogue.models, doctor.doctor, catalogue.completion),
}

WIDTH = 100
"""Widest help text, in characters."""


class Undrift(click.Group):
    """A group that reports every failure in one line and lists its commands by topic."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        run = super().main
        if not standalone_mode:
            return run(args, prog_name, complete_var, standalone_mode=False, **extra)
        settings = Shell()
        begin()
        with quiet():
            code = guarded(
                lambda: run(args, prog_name, complete_var, standalone_mode=False, obj=settings, **extra),
                lambda: settings.debug,
            )
        sys.exit(code)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, *(name for name in plug_ins.offered() if name not in self.commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.commands.get(cmd_name) or plug_ins.command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            others = [name for name in self.list_commands(ctx) if name != args[0]]
            hint = did_you_mean(args[0], others) or "see: undrift --help"
            raise InputError(f"no command '{args[0]}': {hint.rstrip()}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(str(c.name), c.get_short_help_str(limit=72)) for c in commands])
        plug_ins.check_names(self.commands)
        added = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx) if name not in self.commands]
        rows = [(name, command.get_short_help_str(limit=72)) for name, command in added if command is not None]
        if rows:
            with formatter.section("From plug-ins"):
                formatter.write_dl(rows)


@click.group(
    cls=Undrift,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)
@click.version_option(__version__, prog_name="undrift")
@common
@click.pass_context
def cli(context: click.Context) -> None:
    """Edit a picture over many turns with text, and keep everything else where it was.

    \b
    undrift demo
    undrift run photo.jpg -p "a cat on a sofa" -e "a cat with a red hat on a sofa"
    """
    if context.invoked_subcommand is None:
        say(context.get_help())


for _commands in COMMANDS.values():
    for _command in _commands:
        cli.add_command(only_text(_command))


def main() -> None:
    """Entry point of the ``undrift`` command: run by ``undrift serve`` if that runs and the command needs a model."""
    begin()
    answer: list[int | None] = []
    failed = guarded(lambda: answer.append(handed_over(sys.argv[1:])), lambda: "--debug" in sys.argv)
    ended = failed if failed else answer[0]
    if ended is not None:
        sys.exit(ended)
    cli(prog_name="undrift")


if __name__ == "__main__":
    main()
