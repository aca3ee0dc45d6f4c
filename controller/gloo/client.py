"""Gloo's objects at the cluster's edge: read from watches, changed by guarded patches."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from config.canary import CanarySpec
from controller.errors import Conflict, EdgeError, NotFound, Refused, Unavailable
from controller.gloo.acceptance import acceptance, withdrawn, worst
from controller.gloo.delegation import Place, places
from controller.gloo.destinations import Target
from controller.gloo.documents import name_of
from controller.gloo.objects import RouteHolders
from controller.gloo.overview import overview, rises
from controller.gloo.reading import read
from controller.gloo.routes import patch
from controller.gloo.upstreams import OwnUpstreams, Standing, blocked, unnamed
from controller.kube.client import Cluster
from controller.kube.resources import unchanged
from controller.kube.watch import Watched
from controller.rollout.moves import Form
from controller.rollout.observation import Routes


def _always() -> None:
    """Stand by what was decided."""


class GlooRoutes:
    """`ports.RouteObjects` for everything that may hold routes to an application."""

    def __init__(self, cluster: Cluster, holders: RouteHolders, upstreams: Watched) -> None:
        self._holders = holders
        self._own = OwnUpstreams(cluster, upstreams, holders.watched)

    def see(self, spec: CanarySpec, form: Form | None) -> Routes:
        """Compare the routes with a form; no request is made. `form` None: only say what is there.

        Routes can be in form and have a problem at the same time, when the form has
        not the effect that it should: no subsets, another route to the Upstream, or
        a cluster that can no longer be read.
        """
        standing = self._own.standing(spec, form)
        found = places(spec.routes, standing.target, self._holders)
        whole = overview(spec, found, standing.target, form)
        other_way = "" if whole.in_form else _other_way(spec, found, standing.target, form)
        absent = self._absent(spec)
        state, reason = worst([*(acceptance(place.document) for place in whole.holders), *standing.reports])
        problems = [
            *self._holders.problems,
            *map(str, absent),
            *whole.missing,
            *whole.problems,
            standing.problem,
        ]
        return Routes(
            in_form=whole.in_form and not absent and not standing.lacking,
            version=whole.version,
            unpinned=whole.unpinned,
            weight=whole.weight,
            acceptance=state,
            acceptance_reason=reason,
            kept=whole.kept,
            shape="; ".join(filter(None, (whole.shape, other_way, standing.lacking))),
            lacking=standing.lacking,
            waits_for=_waits_for(found, standing, form),
            leftover=standing.leftover,
            problem="; ".join(dict.fromkeys(filter(None, problems))),
            own_shadowing=whole.own_shadowing,
        )

    def write(self, spec: CanarySpec, form: Form, still_meant: Callable[[], None] = _always) -> None:
        """Patch every object that is not in this form: one request each, none if all are.

        The Upstreams of the versions come first; an object that would name one that
        Gloo does not know yet waits for that, and is as it was. An object whose routes
        changed in the meantime is read again and patched once more, if that is
        `still_meant`: another controller may have decided otherwise, and the second
        patch would undo that.

        Objects where the candidate's share falls come before those where it rises.
        Whatever happens to one of them, all are tried; but once something has failed
        no share rises any more. Then the first error is raised.

        Raises:
            Conflict: somebody keeps changing the very routes that the patch is about,
                or the server stores something else.
            Refused: the API server or a webhook said no; the message is theirs.
            NotFound: an object, or a route to manage in it, is not there.

        """
        if problem := unnamed(spec, form):
            raise Refused(problem)
        errors: list[EdgeError] = self._absent(spec)
        with _collected(errors):
            self._own.keep(spec, form)
        target = self._own.target(spec, form)
        found = places(spec.routes, target, self._holders)
        for rise in (False, True):
            for place in found:
                if rises(place, target, form) is rise and not (rise and errors):
                    with _collected(errors):
                        self._bring(spec, place, form, still_meant)
        errors += [NotFound(missing) for missing in overview(spec, found, target, form).missing]
        if errors:
            raise errors[0]

    def remove(self, spec: CanarySpec, form: Form) -> None:
        """Delete the Upstreams of ours that this form does not need and that no route names any more."""
        self._own.remove(spec, form)

    def _bring(self, spec: CanarySpec, place: Place, form: Form, still_meant: Callable[[], None]) -> None:
        try:
            self._patch(place, spec, form)
        except Conflict:
            place = replace(place, document=self._holders.read(place.document))
            still_meant()
            self._patch(place, spec, form)

    def _patch(self, place: Place, spec: CanarySpec, form: Form) -> None:
        """Patch an object once.

        A rise only applies to the very object that was read. Whoever has changed that since may
        have acted on a newer decision, also if the routes look the same again; so a rise that
        comes late, from a process that was frozen, is refused by the server. Going back is
        never held up by what else is edited.
        """
        standing = self._own.standing(spec, form)
        document, target = place.document, standing.target
        operations = patch(document, target, form, place.scope)
        if not operations or blocked(document, standing, form):
            return
        guard = unchanged(document) if rises(place, target, form) else ()
        stored = self._holders.patch(document, (*guard, *operations, *withdrawn(document)))
        if patch(stored, target, form, place.scope):
            shape = read(stored, target, form, place.scope).shape
            raise Conflict(f"{name_of(stored)}: stored other than sent; the routes give {shape}")

    def _absent(self, spec: CanarySpec) -> list[EdgeError]:
        """Say which objects are not at hand, and which cannot be followed as long as others are not."""
        absent: list[EdgeError] = []
        for at, ref in enumerate(spec.routes):
            if self._holders.get(ref.kind, ref.namespace, ref.name) is None:
                error = NotFound if self._holders.listed(ref.kind) else Unavailable
                what = f"spec.routes[{at}]: {ref.kind} {ref.namespace}/{ref.name}"
                absent.append(error(self._holders.why_absent(ref.kind, what)))
        if unread := self._holders.unread:
            absent.append(Unavailable(f"{unread} have not been read yet"))
        return absent


@contextlib.contextmanager
def _collected(errors: list[EdgeError]) -> Iterator[None]:
    try:
        yield
    except EdgeError as error:
        errors.append(error)


def _other_way(spec: CanarySpec, found: Sequence[Place], target: Target, form: Form | None) -> str:
    """Say how the routes name versions, if they are in form but for that."""
    other = replace(target, by_upstream=not target.by_upstream)
    by = "an Upstream each" if other.by_upstream else "subsets"
    return f"by {by}" if overview(spec, found, other, form).in_form else ""


def _waits_for(found: Sequence[Place], standing: Standing, form: Form | None) -> str:
    """Name the Upstreams that all remains to be done has to wait for."""
    if form is None or standing.lacking:
        return ""
    undone = [place.document for place in found if patch(place.document, standing.target, form, place.scope)]
    waiting = [blocked(document, standing, form) for document in undone]
    refs = dict.fromkeys(chain.from_iterable(waiting)) if all(waiting) else ()
    return ", ".join(f"Upstream {namespace}/{name}" for namespace, name in refs)
