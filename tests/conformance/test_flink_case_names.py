"""Which of our tests is which case of Flink's: the names of its classes' methods, looked up here.

Cases about Java's serializers, class loaders and queryable state have no counterpart and are not
listed. A case of the shipped suite is named by its method; others by file and function.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from millpond.testing.state_backend_suite import StateBackendSuite

TESTS = Path(__file__).parents[1]

STATE_BACKEND_TEST_BASE = """
    testGetKeys testGetKeysAndNamespaces testMapStateGetKeys testMapStateGetKeysAndNamespaces
    testValueState testValueStateWorkWithTtl testMultipleValueStates testValueStateNullUpdate
    testListState testListStateAddNull testListStateAddAllNullEntries testListStateAddAllNull
    testListStateUpdateNullEntries testListStateUpdateNull testListStateAPIs testListStateMerging
    testReducingState testReducingStateAddAndGet testReducingStateMerging
    testAggregatingStateAddAndGet testAggregatingStateMerging
    testMapState testMapStateIsEmpty testMapStateIteratorArbitraryAccess testMapStateEntryCompare
    testValueStateNullAsDefaultValue testValueStateDefaultValue testReducingStateDefaultValue
    testListStateDefaultValue testMapStateDefaultValue testSnapshotNonAccessedState
    testKeyGroupSnapshotRestoreScaleDown testKeyGroupSnapshotRestoreScaleUp
    testKeyGroupSnapshotRestoreNoRescale testKeyGroupSnapshotRestoreScaleUpUneven
    testKeyGroupSnapshotRestoreScaleDownUneven testRestoreWithWrongKeySerializer
    testStateRestoreWithWrongSerializers testCopyDefaultValue testRequireNonNullNamespace
    testEmptyStateCheckpointing testNumStateEntries testParallelAsyncSnapshots
    testNonConcurrentSnapshotTransformerAccess testAsyncSnapshot testAsyncSnapshotCancellation
    testCheckConcurrencyProblemWhenPerformingCheckpointAsync
    testConcurrentModificationWithApplyToAllKeys testApplyToAllKeysLambdaFunction
    testKeyGroupedInternalPriorityQueue testKeyGroupedInternalPriorityQueueAddAll
    testIsSafeToReuseState
"""
"""Accumulators that are mutated or copied, and the kinds of wrong serializers, are parameters."""

TTL_STATE_TEST_BASE = """
    testTtlNonExistentValue testTtlValueSetNull testTtlExactExpirationOnWrite
    testTtlRelaxedExpirationOnWrite testTtlExactExpirationOnRead testTtlRelaxedExpirationOnRead
    testTtlExpirationTimestampOverflow testTtlMergeNamespaces testTtlMultipleKeys
    testTtlMultipleKeysWithSnapshotCleanup testTtlMultipleNamespaces
    testTtlMultipleNamespacesWithSnapshotCleanup testTtlSnapshotChangeRestore
    testRestoreTtlAndRegisterNonTtlStateCompatFailure testIncrementalCleanup
    testIncrementalCleanupWholeState testCompactFilter testCompactFilterWithSnapshot
    testCompactFilterCutsElementsAndEntries
"""
"""Flink's names behind `testTtl…` have no such prefix; each runs for every kind of state."""

OPERATOR_STATE = {
    "testRegisterStates": "operator_state/test_backend.py::test_a_name_gives_the_same_object",
    "testRegisterStatesDistributionMismatch": (
        "operator_state/test_backend.py::test_a_name_cannot_have_two_modes_or_types"
    ),
    "testSnapshotEmpty": "operator_state/test_backend.py::test_nothing_registered_gives_no_handle",
    "testSnapshotBroadcastStateWithEmptyOperatorState": (
        "operator_state/test_backend.py::test_registered_but_empty_states_come_back_empty"
    ),
    "testSnapshotRestoreSync": "operator_state/test_backend.py::test_redistribution",
    "testSnapshotRestoreAsync": (
        "operator_state/test_backend.py::test_a_snapshot_is_isolated_from_later_changes"
    ),
    "testSnapshotAsyncClose": (
        "operator_state/test_backend.py::test_cancelling_and_failing_leave_no_stream_open"
    ),
    "testSnapshotAsyncCancel": (
        "operator_state/test_backend.py::test_cancelling_and_failing_leave_no_stream_open"
    ),
    "testRepartitionSplitDistributeStates": (
        "operator_state/test_redistribution.py::test_split_lists_are_cut_into_consecutive_blocks"
    ),
    "testRepartitionSplitUnchangedParallelism": (
        "operator_state/test_redistribution.py::test_split_lists_stay_with_unchanged_parallelism"
    ),
    "testRepartitionSplitRotates": (
        "operator_state/test_redistribution.py::test_the_next_state_starts_where_the_remainder_ended"
    ),
    "testRepartitionUnionState": (
        "operator_state/test_redistribution.py::test_every_subtask_gets_a_whole_union_list"
    ),
    "testRepartitionBroadcastState": (
        "operator_state/test_redistribution.py::test_broadcast_copies_are_dealt_in_turn"
    ),
    "testRepartitionNullOrEmptySubtasks": (
        "operator_state/test_redistribution.py::test_subtasks_without_elements_get_nothing"
    ),
}


def snake(name: str) -> str:
    """Turn a name of Java's into one of Python's: testListStateAPIs, test_list_state_apis."""
    name = name.replace("APIs", "Apis")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / "unit" / "state" / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("case", (STATE_BACKEND_TEST_BASE + TTL_STATE_TEST_BASE).split())
def test_a_case_of_every_keyed_store_is_in_the_suite(case):
    assert callable(getattr(StateBackendSuite, snake(case), None))


@pytest.mark.parametrize("case", OPERATOR_STATE)
def test_a_case_of_operator_state_is_there(case):
    file, function = OPERATOR_STATE[case].split("::")
    assert function in functions_of(file)


def test_no_case_is_listed_twice():
    cases = (STATE_BACKEND_TEST_BASE + TTL_STATE_TEST_BASE).split()
    assert len(cases) == len(set(cases))
