"""Tests of others that differ under covsup, each with its reason (docs/transparency.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One documented difference."""

    test: str
    """A pattern for the test's name."""
    why: str
    """Its heading in docs/transparency.md."""
    cores: tuple[str, ...] = ("monitoring", "settrace", "settrace-fast")
    versions: tuple[str, ...] = ()
    """Where it holds; empty: everywhere."""


BYTECODE = "Bytecode as it runs"
SPECIALIZED = ("super_instructions", "loop_quicken", "show_caches", "*_specialize")

C_RETURNS = (
    "MonitoringCountTest.test_c_return_count",
    "MonitoringEventsTest.test_*",
    "SimulateProfileTest.test_*",
    "TestLoadSuperAttr.test_*",
    "TestManyEvents.test_*",
)

KNOWN = (
    *(Difference(test=f"test.test_dis.*.test_{name}", why=BYTECODE) for name in SPECIALIZED),
    Difference(test="test.test_opcache.TestRaces*", why=BYTECODE),
    Difference(
        test="test.test_opcache.TestSpecializer.test_send_*",
        why=BYTECODE,
        versions=("3.14", "3.15"),
    ),
    *(
        Difference(
            test=f"test.test_opcache.TestSpecializer.test_{name}",
            why=BYTECODE,
            cores=("settrace",),
            versions=("3.14",),
        )
        for name in ("for_iter", "load_const")
    ),
    Difference(
        test="test.test_monitoring.TestBranchConsistency.test_async_for",
        why="Branches of an async for",
        versions=("3.14", "3.15"),
    ),
    Difference(
        test="test.test_monitoring.TestDisable.test_disable_legal_events",
        why="Events that a tool has disabled",
        versions=("3.14", "3.15"),
    ),
    Difference(
        test="test.test_code.CodeTest.test_stateless",
        why="Data on code objects",
        versions=("3.14", "3.15"),
    ),
    Difference(
        test="test.test_support.TestSupport.test_recursion", why=BYTECODE, versions=("3.11",)
    ),
    Difference(
        test="test.test_monitoring.ExceptionMonitoringTest.test_implicit_stop_iteration",
        why="The end of a generator in a for loop",
        versions=("3.12", "3.13"),
    ),
    *(
        Difference(
            test=f"test.test_monitoring.{name}",
            why="C_RETURN events of Python functions, under the settrace core",
            cores=("settrace",),
            versions=("3.13", "3.14"),
        )
        for name in C_RETURNS
    ),
    Difference(
        test="test.test_audit.AuditTest.test_threading",
        why="Audit events",
        cores=("settrace",),
        versions=("3.12", "3.13", "3.14"),
    ),
    Difference(
        test="test.test_sys_settrace.*.test_20_async_for_loop",
        why="Exceptions at an await, once opcodes are traced",
        cores=("settrace",),
        versions=("3.12", "3.14"),
    ),
    Difference(
        test="test.test_queue.CSimpleQueueTest.test_reentrancy",
        why="CPython's own behaviour under any trace function",
        cores=("settrace", "quiet"),
        versions=("3.11",),
    ),
    Difference(
        test="*.test_issue251_issue252_need_to_collect_in_background",
        why="CPython's own behaviour under any trace function",
        cores=("settrace",),
        versions=("3.11",),
    ),
)
