"""Canaries as a watch knows them, for what only reads their statuses."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from config.status import Status
from controller.ports import CanaryObject, Key


class Cached:
    """Implements `controller.ports.Canaries` as far as it reads: Canaries of the namespace `shop`."""

    def __init__(self, **statuses: dict[str, Any]) -> None:
        self.statuses = statuses

    def all(self) -> Sequence[CanaryObject]:
        now = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
        return [
            CanaryObject(
                Key("shop", name),
                name,
                "1",
                1,
                now,
                annotations={},
                finalizers=(),
                deleting=False,
                spec={},
                status=status,
            )
            for name, status in self.statuses.items()
        ]

    def rivals(self, canary: CanaryObject) -> Sequence[CanaryObject]:
        return ()

    def get(self, key: Key) -> CanaryObject | None:
        raise NotImplementedError

    def refresh(self, key: Key) -> CanaryObject | None:
        raise NotImplementedError

    def record(self, canary: CanaryObject, status: Status) -> CanaryObject:
        raise NotImplementedError

    def clear_command(self, canary: CanaryObject, command_id: str) -> None:
        raise NotImplementedError

    def set_finalizer(self, canary: CanaryObject, *, present: bool) -> CanaryObject:
        raise NotImplementedError
