"""The judge: certificates re-proved in rational arithmetic, with the Python standard library only.

It imports nothing of this project outside its own folder, and nothing that is not in the standard library. Three ways in:

* ``python -I -S wdaverify/check CERTIFICATE.json``: the folder is a program, also when it is copied somewhere alone;
* ``wdaverify check CERTIFICATE.json``;
* ``wdaverify.check("certificate.json")``, which returns a `Verdict`: this room and the call share their name, so that the room
  can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .report import Verdict as Verdict
from .report import check as check


class _CallableRoom(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Verdict:
        """What `check` returns."""
        return check(*args, **options)


sys.modules[__name__].__class__ = _CallableRoom
