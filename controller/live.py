"""What a running service takes over when its settings file is edited, and whether it could."""

from collections.abc import Callable

from config.presets import Presets


class Live:
    """Implements `controller.ports.KnownPresets`. Thread-safe: one writer replaces them as a whole."""

    def __init__(self, presets: Presets | None = None, *, valid: bool = True) -> None:
        self._presets: Presets = presets or {}
        self._listeners: list[Callable[[], None]] = []
        self.valid = valid
        """The file could be used when it was last read; if not, what was taken over before is in force."""

    def presets(self) -> Presets:
        """Give the platform's presets by name."""
        return self._presets

    def replace(self, presets: Presets) -> None:
        """Let other presets be the platform's, and tell whoever wants to know."""
        if presets == self._presets:
            return
        self._presets = presets
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever presets have been replaced."""
        self._listeners.append(listener)
