"""Between rollouts: adopt an application, notice a new version, retire an old one."""

from dataclasses import replace

from config.status import HeldReason, Phase, Retirement, Status
from controller.rollout import choice
from controller.rollout.form import intended_form
from controller.rollout.going_back import beginning
from controller.rollout.moves import DeleteDeployment, RemoveUpstreams, ScaleToZero, SetFinalizer, WriteRoutes
from controller.rollout.situation import Decision, Situation, readiness, unsettled


def adopt(at: Situation) -> Decision | None:
    """Find out which version serves today, and pin the routes to it."""
    if at.status.stable is not None:
        return None
    if at.problem:
        return at.hold(HeldReason.STALLED, at.problem, needs_human=True)
    version = _version_that_serves(at)
    if version is None:
        return at.hold(HeldReason.STALLED, _cannot_tell(at), needs_human=True)
    workload = choice.serving(at.seen.workloads, version)
    if workload is None or workload.ready == 0:
        message = f"stable should be {version}, but {readiness(workload, version)}"
        return at.hold(HeldReason.NOT_READY, message)
    stable = choice.revision_of(workload)
    status = replace(at.status, phase=Phase.PREPARING, stable=stable, held=None, intended_at=at.seen.now)
    form = intended_form(at.spec, status)
    pinned = at.seen.routes.version == version
    because = f"adopting {version} as stable" + ("" if pinned else ": pinning the routes to it")
    return Decision(status, None if pinned or form is None else WriteRoutes(form), because)


def rest(at: Situation) -> Decision:
    """Stay with stable: tidy up, and begin when a new version appears."""
    status = at.status
    if status.phase is Phase.PREPARING and status.candidate is None:
        return _adopted(at)
    if at.seen.finalizer:
        return Decision(status, SetFinalizer(present=False), status.reason or "nothing is divided any more")
    if at.problem:
        return at.hold(HeldReason.STALLED, at.problem, needs_human=True)
    left = tuple(each for each in status.retiring if _still_there(at, each))
    at = replace(at, status=replace(status, retiring=left))
    begun = _retire(at) or _begin(at)
    if begun is not None and (begun.move is not None or begun.status.phase is Phase.PREPARING):
        return begun
    return remove_leftovers(at) or begun or _serving(at)


def remove_leftovers(at: Situation) -> Decision | None:
    """Take away the Upstreams that we made and nothing needs, once the old version is gone as well."""
    form, names = intended_form(at.spec, at.status), sorted(at.seen.routes.leftover)
    if form is None or not names or at.status.retiring or not at.settled:
        return None
    because = f"removing Upstream {', '.join(names)}: no route names it"
    return Decision(at.status, RemoveUpstreams(form), because)


def _adopted(at: Situation) -> Decision:
    if not at.settled:
        return unsettled(at)
    return _serving(replace(at, status=replace(at.status, phase=Phase.IDLE, testing=(), shadowed=())))


def _version_that_serves(at: Situation) -> str | None:
    if at.seen.routes.version is not None:
        return at.seen.routes.version
    if at.spec.workload.stable is not None:
        return at.spec.workload.stable
    alive = {workload.version for workload in at.seen.workloads if workload.wanted > 0}
    return alive.pop() if at.seen.routes.unpinned and len(alive) == 1 else None


def _cannot_tell(at: Situation) -> str:
    alive = sorted({workload.version for workload in at.seen.workloads if workload.wanted > 0})
    if not alive:
        selector = ",".join(f"{key}={value}" for key, value in at.spec.workload.selector.items())
        label = at.spec.workload.version_label
        return f"spec.workload.selector: no Deployment with pods labelled {selector} and a label {label}"
    shape = at.seen.routes.shape or "all versions"
    return (
        f"spec.workload.stable: the routes lead to {shape}, running: {', '.join(alive)}; "
        f"say which one serves today, for example stable: {alive[0]}"
    )


def _retire(at: Situation) -> Decision | None:
    """Scale down or delete what is due; it is struck off once it is seen to be gone."""
    due = next((each for each in _due(at) if not _is_kept(at, each)), None)
    if due is None or not at.settled or at.seen.stopped:
        return None
    if due.action == "Delete":
        return Decision(at.status, DeleteDeployment(due.deployment, due.hash), f"deleting {due.deployment}")
    return Decision(at.status, ScaleToZero(due.deployment, due.hash), f"scaling {due.deployment} to 0")


def _due(at: Situation) -> tuple[Retirement, ...]:
    return tuple(each for each in at.status.retiring if at.seen.now >= each.due_at)


def _is_kept(at: Situation, old: Retirement) -> bool:
    """Tell whether a route of the user's own still needs it."""
    return any(w.name == old.deployment and w.version in at.seen.routes.kept for w in at.seen.workloads)


def _still_there(at: Situation, old: Retirement) -> bool:
    if at.stable is not None and at.stable.name == old.deployment:
        return False
    return any(
        w.name == old.deployment and w.hash == old.hash and (w.wanted > 0 or old.action == "Delete")
        for w in at.seen.workloads
    )


def _begin(at: Situation) -> Decision | None:
    wanted = choice.wanted(at.spec, at.seen.workloads, at.status.replaced)
    if wanted is None and at.spec.workload.version not in {None, at.stable_version}:
        missing = f"spec.workload.version: no Deployment runs {at.spec.workload.version}"
        return at.hold(HeldReason.NOT_READY, f"{missing}; {at.stable_version} serves everybody")
    if wanted is None or wanted.version == at.stable_version:
        return None
    if wanted.wanted == 0:
        return at.hold(
            HeldReason.NOT_READY, f"{wanted.version} is wanted, but {readiness(wanted, wanted.version)}"
        )
    if twins := choice.shared_version(at.seen.workloads, wanted.version):
        both = " and ".join(twins)
        message = f"Deployments {both} carry the same version {wanted.version}; a version is one Deployment"
        return at.hold(HeldReason.STALLED, message, needs_human=True)
    revision = choice.revision_of(wanted)
    if revision in at.status.rejected:
        return _rejected(at, revision.version)
    if at.spec.paused or at.status.paused:
        return at.hold(
            HeldReason.PAUSED, f"{wanted.version} is there, but releases are paused", needs_human=True
        )
    begun = beginning(at, revision)
    found = f"found {wanted.version} in {wanted.name}; {at.stable_version} is stable"
    form = intended_form(at.spec, begun)
    if form is None or form.prepared is None:
        return Decision(begun, None, found)
    return Decision(replace(begun, intended_at=at.seen.now), WriteRoutes(form), found)


def _rejected(at: Situation, version: str) -> Decision:
    if at.stable is None or at.stable.ready == 0:
        return _serving(at)
    last = next((entry for entry in at.status.history if entry.revision.version == version), None)
    why = f": {last.reason}" if last else ""
    return Decision(
        replace(at.status, held=None),
        None,
        f"{version} was rolled back{why}; it waits for a change or for retry",
    )


def _serving(at: Situation) -> Decision:
    at = replace(at, status=_with_stable_as_it_is(at))
    if at.stable is None or at.stable.ready == 0:
        what = readiness(at.stable, at.stable_version)
        return at.hold(HeldReason.NOT_READY, f"stable is {at.stable_version}, but {what}", needs_human=True)
    kept = next((each.deployment for each in _due(at) if _is_kept(at, each)), "")
    why = f"; {kept} is kept, a route of your own is fixed to its version" if kept else ""
    return Decision(replace(at.status, held=None), None, f"{at.stable_version} serves everybody{why}")


def _with_stable_as_it_is(at: Situation) -> Status:
    """Follow a stable Deployment that was changed in place: it is not ours to stop."""
    if at.stable is None:
        return at.status
    return replace(at.status, stable=choice.revision_of(at.stable))
