"""Operators: one kind a module."""
