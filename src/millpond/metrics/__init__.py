"""Metrics: what a job counts and measures."""
