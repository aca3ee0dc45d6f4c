"""Orders to the controller: one annotation, taken once, answered in the Canary's status."""

import contextlib
import datetime as dt
import getpass
import json
import uuid
from collections.abc import Callable
from typing import Annotated

import typer

from config.quantities import format_duration
from config.status import HeldReason, Phase
from controller.cli.reading import Canary, canary_of
from controller.cli.session import CommandError, Name, Session, duration
from controller.errors import Conflict, Unavailable
from controller.kube.answers import Expired
from controller.kube.resources import CANARIES, Document
from controller.ports import ANNOTATION
from controller.rollout.observation import Do


PATIENCE = dt.timedelta(seconds=10)
ATTEMPTS = 20
"""How often an order is written while the Canary changes in the same moment."""

Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the history and in events.")
]
Timeout = Annotated[
    dt.timedelta | None,
    typer.Option(
        parser=duration, metavar="DURATION", help="How long to wait for the controller; default: 10s."
    ),
]


def promote(
    session: Session,
    name: Name = None,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Go to 100% at once: all steps, without evidence.")
    ] = False,
    reason: Reason = "",
    timeout: Timeout = None,
) -> int:
    """Leave the current step now; with --full, all steps."""
    return _order(session, name, Do.PROMOTE_FULL if full else Do.PROMOTE, reason, timeout)


def _command(do: Do, summary: str) -> Callable[..., int]:
    def command(session: Session, name: Name = None, *, reason: Reason = "", timeout: Timeout = None) -> int:
        return _order(session, name, do, reason, timeout)

    command.__name__, command.__doc__ = do.value, summary
    return command


approve = _command(Do.APPROVE, "Let a rollout that waits for approval go on.")
abort = _command(Do.ABORT, "Roll back now: all traffic to stable.")
pause = _command(Do.PAUSE, "Hold where it is; going back stays possible.")
resume = _command(Do.RESUME, "Go on after a pause or a refusal.")
retry = _command(Do.RETRY, "Try a version again that was rolled back.")


def objection(canary: Canary, do: Do) -> str:
    """Say why an order makes no sense now; empty if it does."""
    status = canary.status
    version = status.candidate.version if status.candidate else ""
    waits_for = status.held.reason if status.held else None
    now = f"{canary.key} is {status.phase} ({canary.sentence})"
    match do:
        case Do.APPROVE | Do.PROMOTE | Do.PROMOTE_FULL | Do.ABORT if canary.at_rest:
            return f"nothing to {do.value.partition('-')[0]}: {now}"
        case Do.APPROVE | Do.PROMOTE | Do.PROMOTE_FULL | Do.ABORT if status.phase is Phase.ROLLING_BACK:
            return f"too late: {now}"
        case Do.PROMOTE | Do.PROMOTE_FULL if waits_for is HeldReason.STOPPED:
            return f"nothing hurries past that: {now}"
        case Do.APPROVE if waits_for is not HeldReason.AWAITING_APPROVAL:
            return f"{version} does not wait for approval: {now}"
        case Do.PAUSE if status.paused:
            return f"paused already: {now}"
        case Do.RESUME if canary.spec and canary.spec.paused:
            return f"paused by its spec: set spec.paused of {canary.key} to false"
        case Do.RESUME if not (status.paused or status.refusal or status.held):
            return f"nothing to resume: {now}"
        case Do.RETRY if not status.rejected:
            return f"nothing to retry, no version has been rejected: {now}"
        case _:
            return ""


def _order(session: Session, name: str | None, do: Do, reason: str, timeout: dt.timedelta | None) -> int:
    command_id = str(uuid.uuid4())
    by = session.cluster.user or getpass.getuser()
    order = {"do": do.value, "by": by, "reason": reason, "id": command_id}
    written = _written(session, name, do, order)
    patience = timeout or PATIENCE
    taken = _taken(session, written, command_id, patience)
    key = canary_of(written).key
    if taken.status.last_command != command_id:
        if (instead := _waiting_order(taken)) and instead["id"] != command_id:
            raise CommandError(f"{key}: {_named(instead)} came between, so that {do} was not carried out")
        raise CommandError(
            f"{key}: the order is written, but no controller took it within "
            f"{format_duration(patience)}; is one running? It is carried out as soon as one is"
        )
    typer.echo(f"{key}: {taken.status.reason}")
    return 0


def _written(session: Session, name: str | None, do: Do, order: dict[str, str]) -> Document:
    """Write an order where there is room for one; only an abort pushes aside what still waits."""
    for _ in range(ATTEMPTS):
        canary = session.canary(name)
        if unwanted := objection(canary, do):
            raise CommandError(unwanted)
        if do is not Do.ABORT and (waiting := _waiting_order(canary)):
            raise CommandError(f"{canary.key}: {_named(waiting)} still waits for the controller")
        metadata = {
            "annotations": {ANNOTATION: json.dumps(order)},
            "resourceVersion": canary.metadata["resourceVersion"],
        }
        with contextlib.suppress(Conflict):
            return session.cluster.patch(CANARIES, *canary.key, {"metadata": metadata})
    raise CommandError("the Canary keeps changing, so that the order could not be written; try again")


def _waiting_order(canary: Canary) -> dict[str, str] | None:
    """Give the order that is written and not carried out yet; None too if it cannot be understood."""
    try:
        order = json.loads(canary.metadata.get("annotations", {}).get(ANNOTATION, ""))
        waiting = {"do": str(Do(order["do"])), "id": str(order["id"]), "by": str(order.get("by", "unknown"))}
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return None if waiting["id"] == canary.status.last_command else waiting


def _named(order: dict[str, str]) -> str:
    return f"{order['do']} by {order['by']}"


def _taken(session: Session, written: Document, command_id: str, patience: dt.timedelta) -> Canary:
    """Wait until the status names the order; give the Canary as it was seen last."""
    key = canary_of(written).key
    watch = session.cluster.watch(
        CANARIES,
        *key,
        resource_version=written["metadata"]["resourceVersion"],
        seconds=patience.total_seconds(),
    )
    try:
        for change in watch:
            seen = canary_of(change.document) if change.type == "MODIFIED" else None
            if seen is not None and seen.status.last_command == command_id:
                return seen
    except (Expired, Unavailable):
        pass  # one look at where it stands now
    finally:
        watch.close()
    return canary_of(session.cluster.read(CANARIES, *key))
