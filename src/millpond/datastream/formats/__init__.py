"""Schemas for the bytes of messages, under PyFlink's module paths."""
