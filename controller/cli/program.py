"""The command line put together: commands of our own and of others, errors without traceback."""

import importlib.metadata
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
import typer

from config.settings import SettingsError
from controller.cli import backtest, doctor, explain, files, get, orders, plan, service, status
from controller.cli.reading import ExitCode
from controller.cli.session import CommandError, with_session
from controller.errors import EdgeError


COMMANDS = "crossfade.commands"
"""Entry points of this group become commands; the name of the extra that brings one is the command's."""


_WITH_CLUSTER: Sequence[Callable[..., int]] = (
    get.get,
    status.status,
    get.history,
    orders.promote,
    orders.approve,
    orders.abort,
    orders.pause,
    orders.resume,
    orders.retry,
    doctor.doctor,
)
_WITHOUT_CLUSTER: Sequence[Callable[..., int]] = (
    files.validate,
    files.crd,
    plan.plan,
    backtest.backtest,
    explain.explain,
    service.run,
    service.version,
)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; give the exit code. Errors are told on standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )  # `run` sets up its own
    try:
        code = program()(args=list(arguments), prog_name=_name(), standalone_mode=False)
    except typer.TyperException as error:
        return _failed(error.format_message().replace("Value error, ", ""), getattr(error, "ctx", None))
    except (CommandError, EdgeError, SettingsError) as error:
        return _failed(str(error))
    return code if isinstance(code, int) else ExitCode.OK


def program() -> typer.Typer:
    """Build the program with all its commands."""
    app = typer.Typer(
        help="Progressive delivery for Gloo: moves traffic in steps, goes back by itself.",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_help)
    for command in _WITH_CLUSTER:
        app.command()(with_session(command))
    for command in _WITHOUT_CLUSTER:
        app.command()(command)
    for entry in sorted(importlib.metadata.entry_points(group=COMMANDS), key=lambda entry: entry.name):
        _add_foreign(app, entry)
    return app


def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _add_foreign(app: typer.Typer, entry: importlib.metadata.EntryPoint) -> None:
    """Add a command that is loaded only when it is called, with all its arguments."""

    def command(context: typer.Context) -> int:
        try:
            foreign = entry.load()
        except ImportError as error:
            raise CommandError(
                f"{entry.name} needs an extra: pip install 'crossfade[{entry.name}]' ({error})"
            ) from error
        code = foreign(args=context.args, prog_name=context.command_path, standalone_mode=False)
        return code if isinstance(code, int) else ExitCode.OK

    command.__doc__ = f"Commands of the extra crossfade[{entry.name}]."
    passing = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(entry.name, context_settings=passing, add_help_option=False)(command)


def _failed(message: str, context: typer.Context | None = None) -> int:
    typer.echo(f"error: {message}", err=True)
    if context is not None:
        typer.echo(f"See: {context.command_path} --help", err=True)
    return ExitCode.ERROR


def _name() -> str:
    """Give the words that people typed: kubectl finds its plugins by a name with a dash."""
    name = Path(sys.argv[0]).name
    return "kubectl crossfade" if name == "kubectl-crossfade" else "crossfade"
