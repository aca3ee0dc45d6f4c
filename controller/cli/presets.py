"""The platform's presets as they are known where a command runs: they stand in the controller's settings."""

import os

from config.presets import Presets
from config.settings import FILE_VARIABLE, PREFIX, load_settings


def known_presets(config: str | None = None) -> Presets | None:
    """Read them from this file of settings, or from the one that CROSSFADE_CONFIG names; None: there is none.

    Raises:
        SettingsError: the settings cannot be used.

    """
    named = (config, os.environ.get(FILE_VARIABLE), os.environ.get(f"{PREFIX}PRESETS"))
    return load_settings(config).presets if any(named) else None
