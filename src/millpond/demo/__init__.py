"""The demo: a stateful job on the flights of 2013, run, crashed, recovered and checked."""
