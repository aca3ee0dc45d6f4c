"""`crossfade validate` and `crossfade crd`: what needs no cluster."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from config.canary import Canary
from config.crd import as_yaml, definitions
from config.documents import MAX_BYTES
from config.load import Templates, load_canaries, templates_in
from config.problems import Problem, SpecError
from config.settings import FILE_VARIABLE
from controller.cli.get import Data, DataFormat, as_data
from controller.cli.presets import known_presets
from controller.cli.reading import ExitCode
from controller.cli.session import CommandError


STDIN = "-"


def validate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Files, folders (all YAML in them), or - for standard input."),
    ],
    *,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help=f"The controller's settings with its presets; default: {FILE_VARIABLE}."
        ),
    ] = None,
    output: DataFormat = None,
) -> int:
    """Check the Canaries and MetricTemplates in YAML files.

    Needs no cluster; other objects in the files are passed over. A template that a Canary
    refers to must be in one of the files, a preset of the platform in the settings.
    Prints file:line:column: field: what is wrong.
    0 all valid, 1 nothing to check, 5 something is invalid.
    """
    problems: list[tuple[str, Problem]] = []
    read = list(texts(files))
    templates, presets = _templates(read), known_presets(config)
    valid = 0
    for file, text in read:
        try:
            valid += len(load_canaries(text, templates, presets))
        except SpecError as error:
            problems += [(file, problem) for problem in error.errors]
    if not valid and not templates and not problems:
        raise CommandError(f"no Canary in {', '.join(files)}")
    if output is not None:
        typer.echo(as_data([_plain(*each) for each in problems], output))
    else:
        for file, problem in problems:
            typer.echo(f"{file}:{problem}" if problem.line else f"{file}: {problem}")
    if problems:
        return ExitCode.INVALID
    counted = [_counted(valid, "Canary", "Canaries"), _counted(len(templates), "MetricTemplate")]
    are = "is" if valid + len(templates) == 1 else "are"
    typer.echo(f"{' and '.join(filter(None, counted))} {are} valid", err=output is not None)
    return ExitCode.OK


def crd(
    *,
    output: Annotated[Data, typer.Option("--output", "-o", help="How to print.")] = Data.YAML,
) -> int:
    """Print the definitions of Canary and MetricTemplate.

    A cluster learns them by: crossfade crd | kubectl apply -f -
    """
    listed = {"apiVersion": "v1", "kind": "List", "items": list(definitions())}
    typer.echo(as_yaml().rstrip() if output is Data.YAML else as_data(listed, output))
    return ExitCode.OK


def canary_in(file: str, name: str | None) -> Canary:
    """Read the Canary of this name, or the only one, from a file (`-`: from standard input).

    Raises:
        CommandError: the file cannot be read, something in it is invalid, or which one is meant is not clear.

    """
    text = _text(file)
    try:
        canaries = load_canaries(text, presets=known_presets())
    except SpecError as error:
        raise CommandError("\n".join(f"{file}:{problem}" for problem in error.errors)) from error
    chosen = [canary for canary in canaries if name in {None, canary.metadata.name}]
    if len(chosen) == 1:
        return chosen[0]
    if not canaries:
        raise CommandError(f"no Canary in {file}")
    known = ", ".join(canary.metadata.name for canary in canaries)
    raise CommandError(f"{file}: {'no such Canary' if name else 'say --name'}; there are: {known}")


def _templates(texts: list[tuple[str, str]]) -> Templates:
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for _, text in texts:
        with contextlib.suppress(SpecError):  # told when the Canaries are read
            found |= templates_in(text)
    return found


def _counted(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}" if number else ""


def texts(files: list[str]) -> Iterator[tuple[str, str]]:
    """Read files, all YAML in folders, and - for standard input: name and text of each.

    Raises:
        CommandError: one cannot be read, or is not text.

    """
    for file in files:
        if file == STDIN:
            yield "stdin", _text(STDIN)
            continue
        for path in _paths(Path(file)):
            yield str(path), _text(str(path))


def _paths(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(found for found in path.rglob("*") if found.suffix in (".yaml", ".yml") and found.is_file())


def _text(file: str) -> str:
    """Read a file, or standard input, up to one byte more than is accepted.

    Raises:
        CommandError: it cannot be read, or is not text.

    """
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise CommandError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    name = "stdin" if file == STDIN else file
    try:
        return content.decode(errors="replace" if len(content) > MAX_BYTES else "strict")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{name}: not UTF-8 text: byte {error.start} is {content[error.start]:#04x}"
        ) from error


def _plain(file: str, problem: Problem) -> dict[str, object]:
    return {
        "file": file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
    }
