"""Gloo's objects at the cluster's edge: read from watches, changed by guarded patches."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Self

from config.canary import CanarySpec
from controller.errors import Conflict, EdgeError, NotFound, Refused, Unavailable
from controller.gloo.acceptance import acceptance, withdrawn, worst
from controller.gloo.delegation import Place, places
from controller.gloo.destinations import Target
from controller.gloo.documents import name_of
from controller.gloo.grants import Denial, Grants, Reach, leads_back
from controller.gloo.objects import RouteHolders
from controller.gloo.overview import Overview, overview, rises
from controller.gloo.reading import read
from controller.gloo.routes import patch
from controller.gloo.upstreams import OwnUpstreams, Standing, blocked, unnamed
from controller.kube.client import Cluster
from controller.kube.kept import Kept
from controller.kube.resources import unchanged
from controller.rollout.moves import Form
from controller.rollout.observation import Routes


UNBOUND = Grants()
"""Everything may be moved."""


def _always() -> None:
    """Stand by what was decided."""


class GlooRoutes:
    """`ports.RouteObjects` for everything that may hold routes to an application."""

    def __init__(
        self, cluster: Cluster, holders: RouteHolders, upstreams: Kept, grants: Grants = UNBOUND
    ) -> None:
        self._cluster = cluster
        self._holders = holders
        self._upstreams = upstreams
        self._own = OwnUpstreams(cluster, upstreams, holders.watched)
        self._grants = grants

    def of(self, namespace: str) -> Self:
        """Give the same for the Canaries of this namespace, which may not move everything."""
        grants = replace(self._grants, home=namespace)
        return type(self)(self._cluster, self._holders, self._upstreams, grants)

    def see(self, spec: CanarySpec, form: Form | None) -> Routes:
        """Compare the routes with a form; no request is made. `form` None: only say what is there.

        Routes can be in form and have a problem at the same time, when the form has
        not the effect that it should: no subsets, another route to the Upstream, or
        a cluster that can no longer be read. Where something may not be moved, nothing
        is told but that, and no Upstream is to be put right.
        """
        standing = self._own.standing(spec, form)
        reach = self._reach(spec, standing.target, form)
        seen = self._seen(spec, form, standing, reach)
        if not reach.denials:
            return seen
        return replace(seen, problem=reach.problem, lacking="", leftover=frozenset(), own_shadowing="")

    def _seen(self, spec: CanarySpec, form: Form | None, standing: Standing, reach: Reach) -> Routes:
        found = reach.places
        whole = overview(spec, found, standing.target, form)
        in_form = whole.in_form or _is_in_form_as_far_as_it_is_ours(whole, reach, standing.target, form)
        other_way = "" if in_form else _other_way(spec, found, standing.target, form)
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
            in_form=in_form and not absent and not standing.lacking,
            version=whole.version,
            unpinned=whole.unpinned,
            weight=whole.weight,
            acceptance=state,
            acceptance_reason=reason,
            kept=whole.kept,
            shape="; ".join(filter(None, (whole.shape, other_way, standing.lacking))),
            lacking=standing.lacking,
            waits_for=_waits_for(reach.ours, standing, form),
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
            Refused: the API server or a webhook said no, and the message is theirs; or
                something may not be moved, and this is no way back.
            NotFound: an object, or a route to manage in it, is not there.

        """
        if problem := unnamed(spec, form):
            raise Refused(problem)
        target = self._own.target(spec, form)
        reach = self._reach(spec, target, form)
        found, errors = reach.ours, self._absent(spec)
        back = form.candidate is None and form.prepared is None
        if reach.denials and not back:
            errors.append(Refused(reach.problem))
        if not reach.denials or (back and self._own.has_any(spec)):
            with _collected(errors):
                self._own.keep(spec, form)
        for rise in (False, True):
            for place in found:
                if rises(place, target, form) is rise and not (rise and errors):
                    with _collected(errors):
                        self._bring(spec, place, form, still_meant)
        errors += [NotFound(missing) for missing in overview(spec, reach.places, target, form).missing]
        if errors:
            raise errors[0]

    def remove(self, spec: CanarySpec, form: Form) -> None:
        """Delete the Upstreams of ours that this form does not need and that no route names any more.

        Raises:
            Refused: the Upstream that they were made of may not be used any more.

        """
        if denied := self._denied_upstreams(spec):
            raise Refused(denied[0].words)
        self._own.remove(spec, form)

    def _reach(self, spec: CanarySpec, target: Target, form: Form | None) -> Reach:
        found = places(spec.routes, target, self._holders)
        reach = self._grants.reach(spec, found, target, form)
        return replace(reach, denials=(*self._denied_upstreams(spec), *reach.denials))

    def _denied_upstreams(self, spec: CanarySpec) -> tuple[Denial, ...]:
        return self._grants.of_upstreams(spec, self._own.get)

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
        never held up by what else is edited, nor by an owner who allows nothing any more.
        """
        standing = self._own.standing(spec, form)
        document, target = place.document, standing.target
        if not self._grants.covers(document) and not leads_back(place, target, form):
            raise Refused(f"{name_of(document)}: Canaries of {self._grants.home} may not move it any more")
        operations = patch(document, target, form, place.scope)
        if not operations or blocked(document, standing, form):
            return
        rising = rises(place, target, form)
        guard = (*unchanged(document), *self._grants.guard(document)) if rising else ()
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


def _is_in_form_as_far_as_it_is_ours(
    whole: Overview, reach: Reach, target: Target, form: Form | None
) -> bool:
    """Tell whether only what its owner has taken back, or never granted, is in another form."""
    if form is None or whole.missing or not reach.denials:
        return False
    return not any(patch(place.document, target, form, place.scope) for place in reach.ours)


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
