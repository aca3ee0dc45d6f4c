"""`crossfade validate` and `crossfade crd`: what needs no cluster."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from config.crd import as_yaml, definition
from config.load import load_canaries
from config.problems import Problem, SpecError
from controller.cli.get import Data, DataFormat, as_data
from controller.cli.reading import ExitCode
from controller.cli.session import CommandError


STDIN = "-"


def validate(
    files: Annotated[
        list[str], typer.Argument(help="Files, folders (all YAML in them), or - for standard input.")
    ],
    *,
    output: DataFormat = None,
) -> int:
    """Check the Canaries in YAML files.

    Needs no cluster; other objects in the files are passed over. Prints
    file:line:column: field: what is wrong. 0 all valid, 1 nothing to check, 5 something is invalid.
    """
    problems: list[tuple[str, Problem]] = []
    valid = 0
    for file, text in _texts(files):
        try:
            valid += len(load_canaries(text))
        except SpecError as error:
            problems += [(file, problem) for problem in error.errors]
    if not valid and not problems:
        raise CommandError(f"no Canary in {', '.join(files)}")
    if output is not None:
        typer.echo(as_data([_plain(*each) for each in problems], output))
    else:
        for file, problem in problems:
            typer.echo(f"{file}:{problem}" if problem.line else f"{file}: {problem}")
    if problems:
        return ExitCode.INVALID
    typer.echo(f"{valid} {'Canary is' if valid == 1 else 'Canaries are'} valid", err=output is not None)
    return ExitCode.OK


def crd(
    *,
    output: Annotated[Data, typer.Option("--output", "-o", help="How to print.")] = Data.YAML,
) -> int:
    """Print the definition of the Canary resource."""
    typer.echo(as_yaml().rstrip() if output is Data.YAML else as_data(definition(), output))
    return ExitCode.OK


def _texts(files: list[str]) -> Iterator[tuple[str, str]]:
    for file in files:
        if file == STDIN:
            yield "stdin", _decoded("stdin", sys.stdin.buffer.read())
            continue
        for path in _paths(Path(file)):
            try:
                yield str(path), _decoded(str(path), path.read_bytes())
            except OSError as error:
                raise CommandError(f"{path}: {error.strerror}") from error


def _paths(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(found for found in path.rglob("*") if found.suffix in (".yaml", ".yml") and found.is_file())


def _decoded(file: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{file}: not UTF-8 text: byte {error.start} is {content[error.start]:#04x}"
        ) from error


def _plain(file: str, problem: Problem) -> dict[str, object]:
    return {
        "file": file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
    }
