"""`crossfade run` and `crossfade version`."""

import importlib.metadata
from typing import Annotated

import typer

from config.settings import PREFIX, load_settings


def run(
    *,
    prometheus_url: Annotated[str | None, typer.Option(help="Where Prometheus answers.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="The only namespace to look after; default: all.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    kubeconfig: Annotated[
        str | None, typer.Option(help="Kubeconfig file; default: the cluster it runs in.")
    ] = None,
) -> int:
    """Look after Canaries until SIGTERM: the service itself."""
    from controller import app  # noqa: PLC0415  # no other command needs the service's parts

    settings = load_settings(
        prometheus_url=prometheus_url, namespace=namespace, context=context, kubeconfig=kubeconfig
    )
    return app.run(settings)


def version() -> int:
    """Print the version."""
    typer.echo(importlib.metadata.version("crossfade"))
    return 0


run.__doc__ = f"{run.__doc__}\n\nEvery setting is a variable that begins with {PREFIX}; options win."
