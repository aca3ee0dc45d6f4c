"""`crossfade run` and `crossfade version`."""

import contextlib
import functools
import importlib.metadata
import os
from collections.abc import Callable
from typing import Annotated

import typer
from pydantic.alias_generators import to_camel

from config.settings import (
    FILE_VARIABLE,
    PREFIX,
    Loaded,
    Settings,
    SettingsError,
    load_settings,
    load_with_origins,
)
from controller.cli.reading import ExitCode


def run(  # noqa: PLR0913  # a command's options
    *,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help=f"Settings as YAML; default: {FILE_VARIABLE}.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether the settings can be used, and whence they are.")
    ] = False,
    prometheus_url: Annotated[str | None, typer.Option(help="Where Prometheus answers.")] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Of these namespaces only, like a,b; default: all."),
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    kubeconfig: Annotated[
        str | None, typer.Option(help="Kubeconfig file; default: the cluster it runs in.")
    ] = None,
) -> int:
    """Look after Canaries until SIGTERM: the service itself."""
    options = {
        "prometheus_url": prometheus_url, "namespace": namespace, "context": context, "kubeconfig": kubeconfig
    }  # fmt: skip
    if check:
        return _check(config, options)
    from controller import app  # noqa: PLC0415  # no other command needs the service's parts
    from controller.cli.reload import followed  # noqa: PLC0415  # as above
    from controller.live import Live  # noqa: PLC0415  # as above

    load = functools.partial(load_settings, config, **options)
    written = config or os.environ.get(FILE_VARIABLE)
    settings, valid = _usable(load) if written else (load(), True)
    live = Live(settings.presets, valid=valid)
    with followed(load, settings, live) if written else contextlib.nullcontext():
        return app.run(settings, live)


def version() -> int:
    """Print the version."""
    typer.echo(importlib.metadata.version("crossfade"))
    return 0


def _usable(load: Callable[..., Settings]) -> tuple[Settings, bool]:
    """Read the settings, without presets if only these are wrong: somebody has to be there to roll back."""
    try:
        return load(), True
    except SettingsError as error:
        with contextlib.suppress(SettingsError):
            return load(presets={}), False
        raise error from None


def _check(config: str | None, options: dict[str, str | None]) -> int:
    """Read the settings and nothing else: no cluster, no Prometheus."""
    try:
        loaded = load_with_origins(config, **options)
    except SettingsError as error:
        typer.echo(f"error: {error}", err=True)
        return ExitCode.INVALID
    typer.echo("\n".join(["These settings can be used.", *_lines(loaded)]))
    return ExitCode.OK


def _lines(loaded: Loaded) -> list[str]:
    """Show what is not a default; secrets as asterisks."""
    shown = loaded.settings.model_dump(mode="json")
    shown["presets"] = ", ".join(sorted(shown["presets"]))
    names = sorted(loaded.origins)
    width = max(map(len, map(to_camel, names)), default=0)
    return [f"  {to_camel(name):<{width}}  {shown[name]}  ({loaded.origins[name]})" for name in names]


run.__doc__ = (
    f"{run.__doc__}\n\nEvery setting is a field of the file and a variable that begins with {PREFIX}; "
    "options win over variables, variables over the file."
)
