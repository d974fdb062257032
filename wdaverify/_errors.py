"""What can go wrong, as a tree. Every message names the object, the value and the way out.

::

    WdaverifyError
    ├── InputError (ValueError)         what the user gave cannot be used: exit status 2
    │   ├── ModelError                  the model file or module
    │   │   └── UnsupportedOpError      an operator that is not piecewise linear, or not known
    │   ├── DataError                   samples, labels, weights
    │   ├── PropertyError               the VNN-LIB property
    │   └── DomainError                 the set of inputs that exist, or a sample outside it
    ├── SolverError (RuntimeError)      a backend is missing or failed beyond repair
    ├── WorkerStartError (RuntimeError) no worker process can start
    ├── WorkerLostError (RuntimeError)  a worker process gave no answer: its own task is lost, the others go on
    │   ├── WorkerDiedError             it crashed or was killed
    │   └── WorkerHungError             it was stopped long after its deadline
    ├── RunStoppedError (RuntimeError)  a long run cannot go on; what is finished is kept, and another run goes on
    └── AuditError (RuntimeError)       our own answer failed its independent check: exit status 1
"""

from __future__ import annotations


class WdaverifyError(Exception):
    """Base of every error that wdaverify raises on purpose."""


class InputError(WdaverifyError, ValueError):
    """Something that the user gave cannot be used."""


class ModelError(InputError):
    """The model cannot be read, is malformed, or means something else than it says."""


class UnsupportedOpError(ModelError):
    """The model uses an operator that has no exact piecewise-linear form here."""


class DataError(InputError):
    """Samples, labels or weights cannot be used."""


class PropertyError(InputError):
    """A property cannot be read, is malformed, or does not fit the network."""


class DomainError(InputError):
    """The domain is malformed, or a sample lies outside it."""


class SolverError(WdaverifyError, RuntimeError):
    """A solver backend is missing, or failed in a way that leaves no valid bound."""


class WorkerStartError(WdaverifyError, RuntimeError):
    """No worker process can start."""


class WorkerLostError(WdaverifyError, RuntimeError):
    """A worker process gave no answer: its own task is lost, the others go on."""


class WorkerDiedError(WorkerLostError):
    """A worker process crashed or was killed."""


class WorkerHungError(WorkerLostError):
    """A worker process went on long after the deadline of its task, and was stopped."""


class RunStoppedError(WdaverifyError, RuntimeError):
    """A long run cannot go on: a disk is full, a scheduler is gone. What is finished is kept."""


class AuditError(WdaverifyError, RuntimeError):
    """An answer did not survive its independent recomputation and is therefore withheld."""
