"""Which pod had which address when, since addresses are handed out again."""

from typing import NamedTuple

from chaos.records import Write


PODS = "pods"
_EVER = float("inf")


class Pod(NamedTuple):
    """Who had an address, and until when."""

    app: str
    version: str
    since: float
    until: float


class Pods:
    """All pods of a run, by address."""

    def __init__(self) -> None:
        self._known: dict[str, list[Pod]] = {}

    def see(self, write: Write) -> None:
        """Take note of a write of a pod."""
        address = (write.object.get("status") or {}).get("podIP")
        if not address:
            return
        known = self._known.setdefault(address, [])
        last = known[-1] if known else None
        if last is not None and last.until == _EVER and last.app == write.namespace:
            if is_gone(write):
                known[-1] = last._replace(until=write.time)
        elif not is_gone(write):
            labels = write.object["metadata"].get("labels") or {}
            known.append(Pod(write.namespace, str(labels.get("version", "")), write.time, _EVER))

    def at(self, address: str, time: float) -> Pod | None:
        """Say who had an address, with or without a port, at some time."""
        known = self._known.get(address.rpartition(":")[0] or address, ())
        return next((pod for pod in known if pod.since <= time < pod.until), None)


def is_gone(write: Write) -> bool:
    """Tell whether an object is there no more: nothing holds it any longer."""
    metadata = write.object["metadata"]
    grace = metadata.get("deletionGracePeriodSeconds") or 0
    held = bool(metadata.get("finalizers")) or (write.resource == PODS and grace > 0)
    if write.resource == PODS and write.deletes and write.user_agent == "kubelet":
        return True
    return (write.deletes or "deletionTimestamp" in metadata) and not held
