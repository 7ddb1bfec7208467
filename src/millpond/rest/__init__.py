"""The dashboard: Flink's REST API over the running jobs of a user, and a page that shows it."""
