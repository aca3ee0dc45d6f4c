"""What the kubelet does at each look: start and end processes, and write down what is seen."""

import asyncio
from collections.abc import Callable

import structlog

from sandbox.kube import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JOBS,
    PODS,
    SERVICES,
    UNREACHABLE,
    Document,
    Key,
    Kube,
    Resource,
    gone,
    key_of,
    merge_patch,
)
from sandbox.kubelet import deployments, jobs
from sandbox.kubelet.addresses import Addresses
from sandbox.kubelet.containers import Container, Host
from sandbox.kubelet.pods import (
    FINISHED,
    HASH_LABEL,
    NODE,
    container_of,
    controller_uid,
    owned,
    phase,
    pod_of,
    status_of,
    template_hash,
    terminating,
)
from sandbox.kubelet.services import endpoint_slice, slice_name
from sandbox.kubelet.targets import targets
from sandbox.mirror import Mirror
from sandbox.process import write_atomically


RESOURCES = (DEPLOYMENTS, JOBS, PODS, SERVICES, ENDPOINT_SLICES)

log = structlog.get_logger()


class Agent:
    """One node's kubelet, and the controllers for what runs on it."""

    def __init__(self, kube: Kube, mirror: Mirror, addresses: Addresses, host: Host) -> None:
        self._kube = kube
        self._mirror = mirror
        self._addresses = addresses
        self._host = host
        self._clock = host.clock
        self._containers: dict[str, Container] = {}  # by the pod's uid
        self.failed = False

    async def sync(self) -> None:
        """Make every move that is due; `failed` says whether one has to be tried again."""
        self.failed = False
        await self._remove_orphans()
        await self._drive_deployments()
        await self._drive_jobs()
        self._run_pods()
        statuses = self._statuses()
        self._write_targets(statuses)
        await self._write_slices(statuses)
        await self._write_pods(statuses)
        await self._write_owners()
        await self._bury()

    def _pods(self) -> list[Document]:
        return list(self._mirror.objects(PODS).values())

    async def _remove_orphans(self) -> None:
        owners = [*self._mirror.objects(DEPLOYMENTS).values(), *self._mirror.objects(JOBS).values()]
        alive = {owner["metadata"]["uid"] for owner in owners}
        kinds = {DEPLOYMENTS.kind, JOBS.kind}
        for pod in self._pods():
            references = pod["metadata"].get("ownerReferences") or [{}]
            if references[0].get("kind") in kinds and controller_uid(pod) not in alive:
                await self._delete(pod)

    async def _drive_deployments(self) -> None:
        for deployment in self._mirror.objects(DEPLOYMENTS).values():
            if terminating(deployment):
                continue
            plan = deployments.plan(deployment, owned(self._pods(), deployment))
            template = deployment["spec"]["template"]
            label = {HASH_LABEL: template_hash(template)}
            for _ in range(plan.create):
                await self._create(PODS, pod_of(deployment, DEPLOYMENTS, template, label))
            for pod in plan.delete:
                await self._delete(pod)

    async def _drive_jobs(self) -> None:
        for job in self._mirror.objects(JOBS).values():
            for _ in range(0 if terminating(job) else jobs.to_create(job, owned(self._pods(), job))):
                await self._create(PODS, pod_of(job, JOBS, job["spec"]["template"], {}))

    def _run_pods(self) -> None:
        ours = {p["metadata"]["uid"]: p for p in self._pods() if p["spec"].get("nodeName") == NODE}
        for uid, pod in ours.items():
            if uid not in self._containers and not terminating(pod) and phase(pod) not in FINISHED:
                self._start(uid, pod)
        for uid, container in self._containers.items():
            if uid not in ours or terminating(ours[uid]):
                container.leave()

    def _start(self, uid: str, pod: Document) -> None:
        ports = [port["containerPort"] for port in container_of(pod).get("ports") or []]
        try:
            address = self._addresses.take(ports, wanted=(pod.get("status") or {}).get("podIP"))
        except LookupError as error:
            log.warning("kubelet.no_address", pod=pod["metadata"]["name"], error=str(error))
            self.failed = True
        else:
            self._containers[uid] = Container(pod, address, self._host)

    def _statuses(self) -> dict[Key, Document]:
        """Return every pod of ours with the status it should have."""
        now = self._clock()
        result = {}
        for key, pod in self._mirror.objects(PODS).items():
            container = self._containers.get(pod["metadata"]["uid"])
            status = status_of(pod, container.life, now) if container else pod.get("status") or {}
            result[key] = {**pod, "status": status}
        return result

    def _write_targets(self, pods: dict[Key, Document]) -> None:
        path, text = self._host.targets, targets(pods.values())
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text)

    async def _write_slices(self, pods: dict[Key, Document]) -> None:
        present = self._mirror.objects(ENDPOINT_SLICES)
        for (namespace, name), service in self._mirror.objects(SERVICES).items():
            local = [pod for (place, _), pod in pods.items() if place == namespace]
            wanted = None if terminating(service) else endpoint_slice(service, local)
            if wanted is None:
                continue
            before = present.get((namespace, slice_name(name)))
            if before is None:
                await self._create(ENDPOINT_SLICES, wanted)
            elif patch := {
                p: wanted[p] for p in ("endpoints", "ports") if (before.get(p) or []) != wanted[p]
            }:
                await self._merge(ENDPOINT_SLICES, before, patch)

    async def _write_pods(self, pods: dict[Key, Document]) -> None:
        for key, pod in self._mirror.objects(PODS).items():
            if pod["metadata"]["uid"] in self._containers and key in pods:
                await self._write_status(PODS, pod, pods[key]["status"])

    async def _write_owners(self) -> None:
        now = self._clock()
        for deployment in self._mirror.objects(DEPLOYMENTS).values():
            status = deployments.status(deployment, owned(self._pods(), deployment), now)
            await self._write_status(DEPLOYMENTS, deployment, status)
        for job in self._mirror.objects(JOBS).values():
            await self._write_status(JOBS, job, jobs.status(job, owned(self._pods(), job), now))

    async def _bury(self) -> None:
        pods = {pod["metadata"]["uid"]: pod for pod in self._pods()}
        for uid, container in list(self._containers.items()):
            if container.gone:
                if uid in pods and not await self._delete(pods[uid], grace=0):
                    continue
                del self._containers[uid]
                self._addresses.give_back(container.life.address)
        for uid, pod in pods.items():
            if uid not in self._containers and terminating(pod) and pod["spec"].get("nodeName") == NODE:
                await self._delete(pod, grace=0)

    async def _create(self, resource: Resource, document: Document) -> None:
        await self._put(resource, lambda: self._kube.create(resource, document))

    async def _delete(self, pod: Document, grace: int | None = None) -> bool:
        if terminating(pod) and grace is None:
            return True
        uid = pod["metadata"]["uid"]
        answer = await self._call(lambda: self._kube.delete(PODS, key_of(pod), uid, grace))
        if answer and answer.get("kind") == "Pod" and grace is None:
            self._mirror.put(PODS, answer)
        return answer is not None

    async def _write_status(self, resource: Resource, document: Document, status: Document) -> None:
        if patch := merge_patch(document.get("status") or {}, status):
            await self._merge(resource, document, {"status": patch}, "/status")

    async def _merge(
        self, resource: Resource, document: Document, patch: Document, subresource: str = ""
    ) -> None:
        key = key_of(document)
        await self._put(resource, lambda: self._kube.merge(resource, key, patch, subresource))

    async def _put(self, resource: Resource, write: Callable[[], Document]) -> None:
        answer = await self._call(write)
        if answer:
            self._mirror.put(resource, answer)

    async def _call(self, write: Callable[[], Document]) -> Document | None:
        """Do a write; None if it failed and has to be tried again, empty if its object is not there."""
        try:
            return await asyncio.to_thread(write)
        except UNREACHABLE as error:
            if gone(error):
                return {}
            log.warning("kubelet.write_failed", error=str(error).split("\n")[0])
            self.failed = True
            return None
