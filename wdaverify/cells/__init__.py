"""Activation cells: the polyhedra on which a network is affine, and which of them have an interior.

This room and the public call `wdaverify.cells` share their name. Once any file of the room is imported, Python binds the name to
the room; so that ``wv.cells(network, domain)`` means the same before and after, the room can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallableRoom(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """What `wdaverify.cells.enumerate.cells` returns."""
        from wdaverify.cells.enumerate import cells

        return cells(*args, **options)


sys.modules[__name__].__class__ = _CallableRoom
