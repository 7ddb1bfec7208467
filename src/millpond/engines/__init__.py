"""Engines: ways to run a program."""
