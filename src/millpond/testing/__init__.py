"""What users test jobs with, and the conformance suites that authors of state backends run."""
