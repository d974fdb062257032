"""The judge: certificates re-proved in rational arithmetic, with the Python standard library only.

It imports nothing of this project outside its own folder, and nothing that is not in the standard library. Three ways in:

* ``python -I -S wdaverify/check CERTIFICATE.json``: the folder is a program, also when it is copied somewhere alone;
* ``wdaverify check CERTIFICATE.json``;
* ``wdaverify.check("certificate.json")``, which returns a `Verdict`: this room and the call share their name, so that the room
  can be called.

In the order in which a reviewer reads them:

=====================================  ==================================================================================
``num``, ``matrix``                    numbers and every rounding; limits; products of integer matrices
``wire``, ``onnxwire``                 the model file
``signatures``, ``lower*``, ``model``  its operators and stages: this fixes what every number in a proof speaks about
``program``                            variables, neurons and their numbering; exact values
``data``, ``vnnlib``, ``domain``       the other files
``context``, ``concave``, ``engine``   what is known at a node, and the rule `query` that bounds everything
``adjoint``, ``mixing``                the same for gradients
``stream``, ``tree``                   records, and why the leaves of a stream cover its claim
``claims``, ``losses``                 what each claim says, and the losses that claims speak about
``softmax``, ``far``, ``questions``    what the stream of a claim must prove
``points``, ``risk``                   claims by exact evaluation; risks from prices, distances, constants and plans
``binding``, ``report``                what the report says is compared with what was proved
=====================================  ==================================================================================
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
