"""Jobs, purely: pods until enough of them have succeeded or too many have failed."""

from collections import Counter
from collections.abc import Sequence

from sandbox.clock import timestamp
from sandbox.kube import Document
from sandbox.kubelet.pods import FINISHED, phase


RETRIES = 6


def finished(job: Document) -> bool:
    """Say whether the Job's status says that it has completed or failed."""
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in conditions)


def to_create(job: Document, pods: Sequence[Document]) -> int:
    """Return how many pods to make now."""
    if finished(job) or _outcome(job, pods):
        return 0
    spec = job["spec"]
    done = Counter(map(phase, pods))
    active = len(pods) - done["Succeeded"] - done["Failed"]
    missing = int(spec.get("completions", 1)) - done["Succeeded"]
    return max(0, min(int(spec.get("parallelism", 1)), missing) - active)


def status(job: Document, pods: Sequence[Document], now: float) -> Document:
    """Return the Job's status; once it is finished it stays as it is."""
    before: Document = job.get("status") or {}
    if finished(job):
        return before
    done = Counter(map(phase, pods))
    active = sum(phase(pod) not in FINISHED for pod in pods)
    counts = {"active": active, "succeeded": done["Succeeded"], "failed": done["Failed"]}
    result: Document = {
        "startTime": before.get("startTime") or timestamp(now),
        **{name: count for name, count in counts.items() if count},
    }
    outcome = _outcome(job, pods)
    if outcome == "Complete":
        result["completionTime"] = timestamp(now)
        result["conditions"] = [_condition(kind, "", now) for kind in ("SuccessCriteriaMet", "Complete")]
    elif outcome == "Failed":
        reason = "BackoffLimitExceeded"
        result["conditions"] = [_condition(kind, reason, now) for kind in ("FailureTarget", "Failed")]
    return result


def _outcome(job: Document, pods: Sequence[Document]) -> str:
    done = Counter(map(phase, pods))
    if done["Succeeded"] >= job["spec"].get("completions", 1):
        return "Complete"
    return "Failed" if done["Failed"] > job["spec"].get("backoffLimit", RETRIES) else ""


def _condition(kind: str, reason: str, now: float) -> Document:
    why = {"reason": reason} if reason else {}
    times = {"lastProbeTime": timestamp(now), "lastTransitionTime": timestamp(now)}
    return {"type": kind, "status": "True", **why, **times}
