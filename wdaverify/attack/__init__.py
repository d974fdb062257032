"""Attacks: points, and so distributions, that raise the risk. What they find are lower ends; they prove no absence.

This room and the public call `wdaverify.attack` share their name. Once any file of the room is imported, Python binds the name to
the room; so that ``wv.attack(model, data, ball)`` means the same before and after, the room can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallableRoom(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """What `wdaverify.attack.distributional.attack` returns."""
        from wdaverify.attack.distributional import attack

        return attack(*args, **options)


sys.modules[__name__].__class__ = _CallableRoom
