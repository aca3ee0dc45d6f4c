"""Gloo's objects at the cluster's edge: read from watches, changed by guarded patches."""

from collections.abc import Sequence

from config.canary import CanarySpec
from controller.errors import Conflict, EdgeError, NotFound, Unavailable
from controller.gloo.acceptance import acceptance, worst
from controller.gloo.destinations import Target
from controller.gloo.reading import Reading, name_of, read
from controller.gloo.routes import patch
from controller.gloo.subsets import subset_problem
from controller.kube.client import Cluster
from controller.kube.resources import VIRTUAL_SERVICES, Document
from controller.kube.watch import Watched
from controller.rollout.moves import Form
from controller.rollout.observation import Routes


class GlooRoutes:
    """`ports.RouteObjects` for VirtualServices whose routes tell versions apart by subsets."""

    def __init__(self, cluster: Cluster, virtual_services: Watched, upstreams: Watched) -> None:
        self._cluster = cluster
        self._virtual_services = virtual_services
        self._upstreams = upstreams

    def see(self, spec: CanarySpec, form: Form | None) -> Routes:
        """Compare the routes with a form; no request is made. `form` None: only say what is there.

        Routes can be in form and have a problem at the same time, when the form has
        not the effect that it should: no subsets, another route to the Upstream, or
        a cluster that can no longer be read.
        """
        target = _target(spec)
        documents = [self._virtual_services.get(ref.namespace, ref.name) for ref in spec.routes]
        found = [document for document in documents if document is not None]
        readings = [read(document, target, form) for document in found]
        state, reason = worst([acceptance(document) for document in found])
        problems = [
            self._virtual_services.problem,
            *(self._absence(spec, at) for at, document in enumerate(documents) if document is None),
            *(reading.missing or reading.problem for reading in readings),
            self._upstream_problem(target),
        ]
        versions = {reading.version for reading in readings}
        return Routes(
            in_form=form is not None
            and None not in documents
            and not any(reading.missing for reading in readings)
            and not any(patch(document, target, form) for document in found),
            version=versions.pop() if len(versions) == 1 else None,
            unpinned=any(reading.unpinned for reading in readings),
            weight=_largest(readings),
            acceptance=state,
            acceptance_reason=reason,
            kept=frozenset().union(*(reading.kept for reading in readings)),
            shape=_shape(found, readings),
            problem="; ".join(dict.fromkeys(filter(None, problems))),
        )

    def write(self, spec: CanarySpec, form: Form) -> None:
        """Patch every object that is not in this form: one request each, none if all are.

        An object whose routes changed in the meantime is read again and patched once
        more. All objects are tried, whatever happens to one of them; then the first
        error is raised.

        Raises:
            Conflict: somebody keeps changing the very routes that the patch is about,
                or the server stores something else.
            Refused: the API server or a webhook said no; the message is theirs.
            NotFound: an object, or a route to manage in it, is not there.

        """
        errors = []
        for at in range(len(spec.routes)):
            try:
                self._bring(spec, at, form)
            except EdgeError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _bring(self, spec: CanarySpec, at: int, form: Form) -> None:
        namespace, name = spec.routes[at].namespace, spec.routes[at].name
        document = self._virtual_services.get(namespace, name)
        if document is None:
            error = NotFound if self._virtual_services.synced else Unavailable
            raise error(self._absence(spec, at))
        try:
            self._patch(document, _target(spec), form)
        except Conflict:
            document = self._cluster.read(VIRTUAL_SERVICES, namespace, name)
            self._virtual_services.put(document)
            self._patch(document, _target(spec), form)

    def _patch(self, document: Document, target: Target, form: Form) -> None:
        if missing := read(document, target, form).missing:
            raise NotFound(missing)
        operations = patch(document, target, form)
        if not operations:
            return
        metadata = document["metadata"]
        stored = self._cluster.patch(VIRTUAL_SERVICES, metadata["namespace"], metadata["name"], operations)
        self._virtual_services.put(stored)
        if patch(stored, target, form):
            shape = read(stored, target, form).shape
            raise Conflict(f"{name_of(stored)}: stored other than sent; the routes give {shape}")

    def _absence(self, spec: CanarySpec, at: int) -> str:
        ref = spec.routes[at]
        return _why_absent(
            f"spec.routes[{at}]: {ref.kind} {ref.namespace}/{ref.name}", self._virtual_services
        )

    def _upstream_problem(self, target: Target) -> str:
        upstream = self._upstreams.get(target.upstream_namespace, target.upstream_name)
        if upstream is None:
            return _why_absent(f"spec.upstream: Upstream {target}", self._upstreams)
        return self._upstreams.problem or subset_problem(upstream, target)


def _target(spec: CanarySpec) -> Target:
    return Target(spec.upstream.name, spec.upstream.namespace, spec.workload.version_label)


def _why_absent(what: str, watched: Watched) -> str:
    return watched.problem or f"{what} {'not found' if watched.synced else 'has not been read yet'}"


def _largest(readings: Sequence[Reading]) -> int | None:
    weights = [reading.weight for reading in readings]
    known = [weight for weight in weights if weight is not None]
    return max(known) if known and len(known) == len(weights) else None


def _shape(documents: Sequence[Document], readings: Sequence[Reading]) -> str:
    shapes = [reading.shape or "no route" for reading in readings]
    if len(set(shapes)) <= 1:
        return "".join(shapes[:1])
    named = zip(documents, shapes, strict=True)
    return "; ".join(
        f"{document['metadata']['namespace']}/{document['metadata']['name']}: {shape}"
        for document, shape in named
    )
