"""Mutate every kind of file that users hand in, and hold the readers to their promise.

``python -m tests.fuzz --seconds S [--reader NAME] [--start N] [--keep FOLDER]``: the same number is the same mutation on every
machine. `readers` is the table of what reads what, `mutations` and `formats` change files, `isolation` runs a case where it
cannot do harm and says in which way the promise was broken.
"""
