"""Solver backends of wdaverify, one file each."""
