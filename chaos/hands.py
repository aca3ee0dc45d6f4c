"""What people do to one application: they release, give orders, edit objects and apply what is in Git.

They try again for a while when the API server does not answer, as people do.
"""

import copy
import functools
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from kubernetes.client.exceptions import ApiException

from chaos.diary import Diary
from chaos.estate import CANARY, GLOO, Document, Estate
from chaos.records import What
from sandbox.cluster import Cluster
from sandbox.kube import DEPLOYMENTS, NAMESPACES, UNREACHABLE, Kube, Resource


CANARIES = Resource("crossfade.dev", "v1alpha1", "canaries", "Canary")
COMMAND = "crossfade.dev/command"
KUBECTL = Path(sys.executable).with_name("kubectl")
CROSSFADE = Path(sys.executable).with_name("crossfade")
PATIENCE = 180.0
"""Seconds that people go on trying: storms may take the API server away again and again."""
TAKEN = 30.0
"""Seconds that they wait for an order to be taken."""
PAUSE = 0.3
"""Seconds between two attempts, and between two looks at whether an order was taken."""
MARK = "example.org/mark"

Answer = TypeVar("Answer")
Look = Callable[[str], Document]
"""Gives the Canary of a namespace, as it was a moment ago; empty if there is none."""


class GaveUpError(Exception):
    """The API server did not answer for too long."""


class Hands:
    """Those who work on one application. Every method that changes something notes a deed."""

    def __init__(self, cluster: Cluster, estate: Estate, diary: Diary, look: Look) -> None:
        self.estate = estate
        self._kube = Kube(cluster.kubeconfig, manager="chaos")
        self._environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        self._diary = diary
        self._look = look

    def install(self) -> None:
        """Create all but the Canary, with the first version."""
        namespace, *rest = self.estate.manifests()
        self._patiently(lambda: self._kube.create(NAMESPACES, namespace))
        self._kubectl("apply", *rest, self.estate.deployment("v1", ()))

    def adopt(self) -> None:
        """Create the Canary."""
        details = {"host": self.estate.host, "canary": CANARY}
        with self._diary.deed(What.APPLICATION, self.estate.name, **details):
            self._kubectl("apply", self.estate.canary())

    def release(self, version: str, trait: str, arguments: list[str]) -> None:
        """Apply the Deployment of a new version."""
        document = self.estate.deployment(version, arguments)
        details = {"version": version, "trait": trait, "deployment": document["metadata"]["name"]}
        with self._diary.deed(What.RELEASE, self.estate.name, **details):
            self._patiently(lambda: self._create(document))

    def order(self, do: str, *, typed: bool = False) -> bool:
        """Give a command, typed or by an annotation, and wait whether it is taken."""
        if typed:
            return self._typed(do)
        identity = str(uuid.uuid4())
        value = json.dumps({"do": do, "id": identity, "by": "chaos"})
        patch = {"metadata": {"annotations": {COMMAND: value}}}
        with self._diary.deed(What.ORDER, self.estate.name, do=do) as details:
            self._patiently(lambda: self._kube.merge(CANARIES, self._key, patch))
            details["ok"] = self._taken(identity)
            return bool(details["ok"])

    def edit_canary(self, how: str, steps: list[int]) -> None:
        """Change how it is released, or what has nothing to do with that."""
        patch: Document
        meant: Document
        match how:
            case "steps":
                patch, meant = {"spec": {"shifting": {"steps": steps}}}, {"/spec/shifting/steps": steps}
            case "interval":
                patch, meant = {"spec": {"shifting": {"interval": "2s"}}}, {"/spec/shifting/interval": "2s"}
            case _:
                mark = uuid.uuid4().hex
                patch = {"metadata": {"annotations": {MARK: mark}}}
                meant = {f"/metadata/annotations/{_escaped(MARK)}": mark}
        named = f"Canary {self.estate.name}/{CANARY}"
        with self._diary.deed(What.EDIT, self.estate.name, object=named, how=how, meant=meant):
            self._patiently(lambda: self._kube.merge(CANARIES, self._key, patch))

    def edit_routes(self, how: str) -> None:
        """Change what nobody else has: in the cluster, or in Git and from there."""
        if how == "git":
            self.estate.revision += 1
            self.apply_from_git()
            return
        mark = uuid.uuid4().hex
        patch: Any
        match how:
            case "route":
                self.estate.revision += 1
                route = self.estate.foreign()
                patch = [{"op": "replace", "path": "/spec/virtualHost/routes/0", "value": route}]
                meant: Document = {"/spec/virtualHost/routes/0": route}
            case "label":
                patch = [{"op": "add", "path": "/metadata/labels/mark", "value": mark}]
                meant = {"/metadata/labels/mark": mark}
            case _:
                patch = {"metadata": {"annotations": {MARK: mark}}}
                meant = {f"/metadata/annotations/{_escaped(MARK)}": mark}
        kind = "json" if isinstance(patch, list) else "merge"
        with self._diary.deed(What.EDIT, self.estate.name, object=self._routes, how=how, meant=meant):
            where = ("virtualservice", "-n", GLOO, self.estate.name)
            self._kubectl("patch", arguments=(*where, f"--type={kind}", "-p", json.dumps(patch)))

    def apply_from_git(self) -> None:
        """Apply the VirtualService as it was before anything was released, as a pipeline might."""
        document = self.estate.virtual_service()
        meant = {
            "/spec/virtualHost/routes/0": self.estate.foreign(),
            "/metadata/labels/team": document["metadata"]["labels"]["team"],
        }
        how = "kubectl apply"
        with self._diary.deed(What.EDIT, self.estate.name, object=self._routes, how=how, meant=meant):
            self._kubectl("apply", document)

    def tidy(self, needed: set[str]) -> None:
        """Delete the Deployments of versions that nobody needs any more, as cleaners do at rest."""
        listed, _ = self._patiently(lambda: self._kube.list(DEPLOYMENTS))
        for each in listed:
            metadata = each["metadata"]
            version = each["spec"]["template"]["metadata"]["labels"].get("version")
            if metadata["namespace"] == self.estate.name and version not in needed:
                self._patiently(functools.partial(self._delete, metadata))

    def _typed(self, do: str) -> bool:
        verb, full = ("promote", ("--full",)) if do == "promote-full" else (do, ())
        command = [str(CROSSFADE), verb, CANARY, "-n", self.estate.name, *full]
        with self._diary.deed(What.ORDER, self.estate.name, do=do, typed=True) as details:
            done = subprocess.run(  # noqa: S603  # our own command line
                command, env=self._environment, capture_output=True, text=True, check=False
            )
            details["ok"] = done.returncode == 0
            details["said"] = (done.stdout + done.stderr).strip()[-300:]
            return bool(details["ok"])

    @property
    def _key(self) -> tuple[str, str]:
        return self.estate.name, CANARY

    @property
    def _routes(self) -> str:
        return f"VirtualService {GLOO}/{self.estate.name}"

    def _create(self, document: Document) -> None:
        try:
            self._kube.create(DEPLOYMENTS, copy.deepcopy(document))
        except ApiException as error:
            if error.status != 409:  # an attempt before this one was taken, and its answer lost
                raise

    def _delete(self, metadata: Document) -> None:
        try:
            self._kube.delete(DEPLOYMENTS, (metadata["namespace"], metadata["name"]), metadata["uid"])
        except ApiException as error:
            if error.status not in {404, 409}:  # the controller was quicker
                raise

    def _taken(self, identity: str) -> bool:
        deadline = time.monotonic() + TAKEN
        while time.monotonic() < deadline:
            if self._look(self.estate.name).get("status", {}).get("lastCommand") == identity:
                return True
            time.sleep(PAUSE)
        return False

    def _kubectl(self, verb: str, *documents: Mapping[str, Any], arguments: tuple[str, ...] = ()) -> None:
        if documents:
            arguments = (*arguments, "-f", "-")
        command = [str(KUBECTL), verb, *arguments, "--request-timeout=5s"]
        text = yaml.safe_dump_all(documents)

        def run() -> None:
            subprocess.run(  # noqa: S603  # our own command line
                command, input=text, env=self._environment, capture_output=True, text=True, check=True
            )

        self._patiently(run)

    def _patiently(self, attempt: Callable[[], Answer]) -> Answer:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return attempt()
            except (*UNREACHABLE, subprocess.CalledProcessError) as error:
                if time.monotonic() > deadline:
                    said = getattr(error, "stderr", None) or str(error)
                    raise GaveUpError(f"{self.estate.name}: {said}") from error
            time.sleep(PAUSE)


def _escaped(key: str) -> str:
    """Write a key as part of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1")
