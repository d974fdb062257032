"""Proofs for `wdaverify check`: what the searches found is refuted again, in records that an independent judge can follow."""
