"""The program of the round trip: every kind of state that PyFlink and Millpond share.

Written for PyFlink; the round trip runs it on Millpond with nothing but `pyflink` replaced by
`millpond`. Events are data: (operator, key, actions, event time in ms), where an action is (state,
method, arguments ...), ("@timer", method, time) or ("@probe",), which writes down what user code
reads. Window operators take a number instead of actions. Waves of events are released one by one
by files, so that a savepoint lies between them.
"""

import datetime as dt
import decimal
import json
import os
import time

from pyflink.common import Row, Types, WatermarkStrategy
from pyflink.common.time import Instant, Time
from pyflink.common.watermark_strategy import TimestampAssigner
from pyflink.datastream.connectors.number_seq import NumberSequenceSource
from pyflink.datastream.functions import (
    AggregateFunction,
    FilterFunction,
    FlatMapFunction,
    KeyedBroadcastProcessFunction,
    KeyedProcessFunction,
    ProcessWindowFunction,
)
from pyflink.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from pyflink.datastream.window import EventTimeSessionWindows, TumblingEventTimeWindows

START_MS = 1_700_000_000_000
FAR_MS = 4_102_444_800_000  # the year 2100: such timers do not fire
TTL_MS = 36_500 * 86_400_000
PICKLED = Types.PICKLED_BYTE_ARRAY()


class SumAndCount(AggregateFunction):
    """The mean, from a sum and a count."""

    def create_accumulator(self):
        return 0, 0

    def add(self, value, accumulator):
        return accumulator[0] + value, accumulator[1] + 1

    def get_result(self, accumulator):
        return accumulator[0] / accumulator[1]

    def merge(self, acc_a, acc_b):
        return acc_a[0] + acc_b[0], acc_a[1] + acc_b[1]


def add(a, b):
    """Add two numbers or join two texts."""
    return a + b


# Operator: type of its key, and its states as (name, kind, types ..., [function]).
STATES = {
    "five-kinds": (
        Types.STRING(),
        [
            ("count", "VALUE", Types.LONG()),
            ("names", "LIST", Types.STRING()),
            ("scores", "MAP", Types.STRING(), Types.LONG()),
            ("total", "REDUCING", Types.LONG()),
            ("mean", "AGGREGATING", Types.TUPLE([Types.LONG(), Types.LONG()])),
        ],
    ),
    "pickled-key": (
        None,
        [
            ("anything", "VALUE", PICKLED),
            ("bag", "LIST", PICKLED),
            ("table", "MAP", PICKLED, PICKLED),
            ("longest", "REDUCING", PICKLED),
            ("mean", "AGGREGATING", PICKLED),
        ],
    ),
    "long-key": (
        Types.LONG(),
        [
            ("v-double", "VALUE", Types.DOUBLE()),
            ("v-int", "VALUE", Types.INT()),
            ("v-boolean", "VALUE", Types.BOOLEAN()),
            ("v-row", "VALUE", Types.ROW([Types.STRING(), Types.LONG(), Types.BOOLEAN()])),
            ("v-named", "VALUE", Types.ROW_NAMED(["city", "size"], [Types.STRING(), Types.INT()])),
            ("v-tuple", "VALUE", Types.TUPLE([Types.STRING(), Types.INT(), Types.DOUBLE()])),
            ("v-list", "VALUE", Types.LIST(Types.STRING())),
            ("v-map", "VALUE", Types.MAP(Types.STRING(), Types.LONG())),
            ("v-bytes", "VALUE", Types.PRIMITIVE_ARRAY(Types.BYTE())),
            ("v-decimal", "VALUE", Types.BIG_DEC()),
            ("v-date", "VALUE", Types.SQL_DATE()),
            ("v-time", "VALUE", Types.SQL_TIME()),
            ("v-timestamp", "VALUE", Types.SQL_TIMESTAMP()),
            ("v-instant", "VALUE", Types.INSTANT()),
            ("l-row", "LIST", Types.ROW([Types.STRING(), Types.LONG()])),
            (
                "m-tuple",
                "MAP",
                Types.TUPLE([Types.STRING(), Types.INT()]),
                Types.LIST(Types.DOUBLE()),
            ),
        ],
    ),
    "tuple-key": (
        Types.TUPLE([Types.STRING(), Types.LONG()]),
        [("last", "VALUE", Types.LONG()), ("fired", "LIST", Types.LONG())],
    ),
    "expiring": (
        Types.STRING(),
        [
            ("token", "VALUE", Types.STRING()),
            ("events", "LIST", Types.LONG()),
            ("limits", "MAP", Types.STRING(), Types.DOUBLE()),
            ("peak", "REDUCING", Types.LONG()),
            ("average", "AGGREGATING", PICKLED),
        ],
    ),
    "broadcasting": (Types.STRING(), [("hits", "VALUE", Types.LONG())]),
}
BROADCAST = [
    ("rules", "MAP", Types.STRING(), Types.LONG()),
    ("anything", "MAP", PICKLED, PICKLED),
]
WINDOWS = {
    "tumbling-list": ("tumbling", "list"),
    "tumbling-sum": ("tumbling", "sum"),
    "session-list": ("session", "list"),
}


def _states_of(operator, keys, actions):
    return [(operator, key, actions(index, key), 0) for index, key in enumerate(keys)]


TEXT_KEYS = ["", "a", "key-1", "key-2", "long-" + "k" * 130, "grüße", "世界", "\U0001f600"]
PICKLED_KEYS = ["text", 42, ("pair", -5), 2.5, -(2**40)]
LONG_KEYS = [0, 1, -1, 2**63 - 1, -(2**63)]
TUPLE_KEYS = [("x", 1), ("x", 2), ("", -1), ("ü", 2**40)]
TTL_KEYS = ["t1", "t2", "t3"]


def waves():
    """Return the three waves of events."""
    first = [
        *_states_of(
            "five-kinds",
            TEXT_KEYS,
            lambda i, _: [
                ("count", "update", i),
                ("names", "add", f"n{i}"),
                ("names", "add", ""),
                ("scores", "put", "one", i),
                ("scores", "put", "", -i),
                ("total", "add", 10 * i),
                ("mean", "add", i),
            ],
        ),
        *_states_of(
            "pickled-key",
            PICKLED_KEYS,
            lambda i, key: [
                (
                    "anything",
                    "update",
                    {"a": [i, 2.5, None, (key, "x")], "row": Row(name="r", n=i)},
                ),
                ("bag", "add", Row(1, "plain")),
                ("bag", "add", (None, 1.5)),
                ("table", "put", ("t", i), {"x": b"\0"}),
                ("longest", "add", "p"),
                ("mean", "add", i),
            ],
        ),
        *_states_of(
            "long-key",
            LONG_KEYS,
            lambda i, key: [
                ("v-double", "update", float(key) / 3),
                ("v-int", "update", -(2**31) + i),
                ("v-boolean", "update", i % 2 == 0),
                ("v-row", "update", Row("r", None, True)),
                ("v-named", "update", Row(city="Köln", size=i)),
                ("v-tuple", "update", ("t", i, -0.0)),
                ("v-list", "update", ["a", "", "c"][:i]),
                ("v-map", "update", {"x": i, "y": None}),
                ("v-bytes", "update", b"\x00\xff" * i),
                ("v-decimal", "update", decimal.Decimal("12345678901234567890.123456789")),
                ("v-date", "update", dt.date(1969, 7, 20)),
                ("v-time", "update", dt.time(23, 59, 58, 123000)),
                ("v-timestamp", "update", dt.datetime(2021, 2, 3, 4, 5, 6, 789000)),
                ("v-instant", "update", Instant(1_600_000_000, 123_456_789)),
                ("l-row", "add_all", [Row("a", 1), Row(None, i)]),
                ("m-tuple", "put", ("k", 1), [1.5, 2.5]),
                ("m-tuple", "put", ("k", i), []),
            ],
        ),
        *_states_of(
            "tuple-key",
            TUPLE_KEYS,
            lambda i, _: [
                ("last", "update", i),
                ("@timer", "register_event_time_timer", START_MS + 7_000 + i),
                ("@timer", "register_event_time_timer", START_MS + 17_000 + i),
                ("@timer", "register_event_time_timer", START_MS + 3_600_000 + i),
                ("@timer", "register_processing_time_timer", FAR_MS + i),
            ],
        ),
        *_states_of(
            "expiring",
            TTL_KEYS,
            lambda i, _: [
                ("token", "update", f"tok{i}"),
                ("events", "add", i),
                ("events", "add", -i),
                ("limits", "put", "low", i / 2),
                ("peak", "add", i),
                ("average", "add", i),
            ],
        ),
        (
            "broadcasting/broadcast",
            "",
            [
                ("rules", "put", "limit", 10),
                ("rules", "put", "off", 0),
                ("rules", "put", "x", -1),
                ("anything", "put", ("p", 1), {"q": [1, Row(a=2)]}),
            ],
            0,
        ),
        ("broadcasting", "b1", [("hits", "update", 1)], 0),
    ]
    second = [
        *_states_of(
            "five-kinds",
            TEXT_KEYS[:5],
            lambda i, _: [
                ("count", "update", 1000 + i),
                ("names", "add_all", [f"m{i}", "w"]),
                ("scores", "put", "two", -i),
                ("scores", "remove", "one"),
                ("total", "add", 1),
                ("mean", "add", 3),
            ],
        ),
        ("five-kinds", "key-2", [("names", "clear"), ("scores", "clear"), ("count", "clear")], 0),
        *_states_of(
            "pickled-key",
            PICKLED_KEYS[:3],
            lambda i, _: [
                ("bag", "add", {"second": i}),
                ("longest", "add", "pp"),
                ("mean", "add", 7),
                ("table", "put", "more", Row(1, 2)),
            ],
        ),
        (
            "tuple-key",
            ("new", 9),
            [("last", "update", 5), ("@timer", "register_event_time_timer", START_MS + 16_000)],
            0,
        ),
        ("tuple-key", ("x", 2), [("@timer", "delete_event_time_timer", START_MS + 17_001)], 0),
        (
            "expiring",
            "t1",
            [
                ("token", "update", "again"),
                ("events", "add_all", [10, 11]),
                ("peak", "add", 7),
                ("limits", "put", "high", 9.75),
                ("average", "add", 9),
            ],
            0,
        ),
        (
            "broadcasting/broadcast",
            "",
            [("rules", "put", "limit", 20), ("rules", "remove", "x")],
            0,
        ),
        ("broadcasting", "b2", [("hits", "update", 2)], 0),
    ]
    third = [
        ("five-kinds", "new", [("count", "update", 77)], 0),
        (
            "five-kinds",
            "a",
            [("names", "add", "third"), ("total", "add", 5), ("mean", "add", 1)],
            0,
        ),
        ("expiring", "t2", [("events", "add", 99), ("peak", "add", 1)], 0),
        *[
            (operator, key, [("@probe",)], 0)
            for operator, keys in (
                ("five-kinds", [*TEXT_KEYS, "new"]),
                ("pickled-key", PICKLED_KEYS),
                ("long-key", LONG_KEYS),
                ("tuple-key", [*TUPLE_KEYS, ("new", 9)]),
                ("expiring", TTL_KEYS),
                ("broadcasting", ["b1", "b2"]),
            )
            for key in keys
        ],
    ]
    numbers = (
        [(1_000, "w1", 1), (2_000, "w2", 2), (3_000, "w1", 3), (6_000, "w3", 8)],
        [(9_000, "w1", 4), (11_000, "w1", 5), (12_000, "w3", 6)],
        [(16_500, "w1", 7), (18_000, "w2", 8), (18_500, "w1", 9)],
    )
    released = []
    for wave, windowed in zip((first, second, third), numbers, strict=True):
        base = windowed[0][0]
        events = [(*event[:3], START_MS + base) for event in wave]
        for offset, key, value in windowed:
            for operator in WINDOWS:
                own_key = value if operator == "tumbling-sum" else key
                events.append((operator, own_key, value, START_MS + offset))
        released.append(events)
    return released


def descriptor(state, *, ttl=False):
    """Return the descriptor of a state as listed above."""
    name, kind, *types = state
    if kind == "VALUE":
        result = ValueStateDescriptor(name, *types)
    elif kind == "LIST":
        result = ListStateDescriptor(name, *types)
    elif kind == "MAP":
        result = MapStateDescriptor(name, *types)
    elif kind == "REDUCING":
        result = ReducingStateDescriptor(name, max if ttl else add, *types)
    else:
        result = AggregatingStateDescriptor(name, SumAndCount(), *types)
    if ttl:
        result.enable_time_to_live(StateTtlConfig.new_builder(_ttl_time()).build())
    return result


def _ttl_time():
    return _milliseconds(TTL_MS)


def _milliseconds(number):
    # PyFlink 2 has Duration where 1.20 has Time.
    try:
        return Time.milliseconds(number)
    except AttributeError:
        return dt.timedelta(milliseconds=number)


def append(path, text):
    """Append a line as one write."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, (text + "\n").encode())
    finally:
        os.close(handle)


class Waves(FlatMapFunction):
    """Emits a wave once its file is there; idles in between."""

    def __init__(self, run):
        self.directory = run["directory"]
        self.next = run["first_wave"]
        self.waves = waves()

    def flat_map(self, value):
        if self.next < len(self.waves) and os.path.exists(f"{self.directory}/go-{self.next}"):
            wave = self.waves[self.next]
            self.next += 1
            yield from wave
            append(f"{self.directory}/progress", f"wave {self.next - 1}")
        else:
            time.sleep(0.02)


class EventTime(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[3]


class For(FilterFunction):
    def __init__(self, operator):
        self.operator = operator

    def filter(self, value):
        return value[0] == self.operator


class Interpreter(KeyedProcessFunction):
    """Applies the actions of events to the states of the current key."""

    def __init__(self, operator, directory):
        self.operator = operator
        self.directory = directory

    def open(self, runtime_context):
        self.states = open_states(runtime_context, self.operator)

    def process_element(self, value, ctx):
        for name, *call in value[2]:
            if name == "@timer":
                getattr(ctx.timer_service(), call[0])(*call[1:])
            elif name == "@probe":
                probe(self.directory, self.operator, value[1], self.states)
            else:
                getattr(self.states[name], call[0])(*call[1:])
        append(f"{self.directory}/progress", "event")
        return []

    def on_timer(self, timestamp, ctx):
        self.states["fired"].add(timestamp - START_MS)
        append(f"{self.directory}/progress", "timer")
        return []


class BroadcastInterpreter(KeyedBroadcastProcessFunction):
    """The same with broadcast state."""

    def __init__(self, operator, directory):
        self.operator = operator
        self.directory = directory

    def open(self, runtime_context):
        self.states = open_states(runtime_context, self.operator)
        self.descriptors = {state[0]: descriptor(state) for state in BROADCAST}

    def process_element(self, value, ctx):
        for name, *call in value[2]:
            if name == "@probe":
                seen = {
                    state: sorted(repr(item) for item in ctx.get_broadcast_state(described).items())
                    for state, described in self.descriptors.items()
                }
                append(
                    f"{self.directory}/probes", json.dumps([self.operator, repr(value[1]), seen])
                )
                probe(self.directory, self.operator, value[1], self.states)
            else:
                getattr(self.states[name], call[0])(*call[1:])
        append(f"{self.directory}/progress", "event")
        return []

    def process_broadcast_element(self, value, ctx):
        for name, method, *arguments in value[2]:
            getattr(ctx.get_broadcast_state(self.descriptors[name]), method)(*arguments)
        append(f"{self.directory}/progress", "broadcast")
        return []


class Fired(ProcessWindowFunction):
    """Writes down what a window held."""

    def __init__(self, operator, directory):
        self.operator = operator
        self.directory = directory

    def process(self, key, context, elements):
        window = context.window()
        content = [self.operator, repr(key), window.start, window.end, sorted(map(repr, elements))]
        append(f"{self.directory}/windows", json.dumps(content))
        return []


def open_states(context, operator):
    """Return the states of an operator by name."""
    getters = {
        "VALUE": context.get_state,
        "LIST": context.get_list_state,
        "MAP": context.get_map_state,
        "REDUCING": context.get_reducing_state,
        "AGGREGATING": context.get_aggregating_state,
    }
    ttl = operator == "expiring"
    return {
        state[0]: getters[state[1]](descriptor(state, ttl=ttl)) for state in STATES[operator][1]
    }


def shown(value):
    """Return repr(value); a row that went through a coder has default names, another none."""
    names = getattr(value, "_fields", None) if isinstance(value, Row) else None
    if names and list(names) == [f"f{position}" for position in range(len(value))]:
        value = Row(*value)
    return repr(value)


def probe(directory, operator, key, states):
    """Write down everything that user code reads for the current key."""
    seen = {}
    for name, kind, *_ in STATES[operator][1]:
        state = states[name]
        if kind == "VALUE":
            seen[name] = shown(state.value())
        elif kind == "LIST":
            seen[name] = [shown(item) for item in state.get() or []]
        elif kind == "MAP":
            seen[name] = sorted(repr(item) for item in state.items())
        else:
            seen[name] = shown(state.get())
    append(f"{directory}/probes", json.dumps([operator, repr(key), seen]))


def build(env, run):
    """Describe the job. `run`: directory, parallelism, first_wave, operators (None: all)."""
    directory = run["directory"]
    env.set_parallelism(1)
    env.set_max_parallelism(run.get("max_parallelism", 128))
    events = (
        env.from_source(
            NumberSequenceSource(0, 10**9), WatermarkStrategy.no_watermarks(), "sequence"
        )
        .uid("sequence-source")
        .flat_map(Waves(run), output_type=PICKLED)
        .uid("waves")
        .assign_timestamps_and_watermarks(
            WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(EventTime())
        )
        .uid("event-time")
    )
    for operator in (*STATES, *WINDOWS):
        if run.get("operators") and operator not in run["operators"]:
            continue
        branch = events.filter(For(operator)).uid(f"for-{operator}")
        if operator in WINDOWS:
            result = _windowed(branch, operator, directory)
        else:
            key_type = STATES[operator][0]
            keyed = branch.key_by(lambda event: event[1], key_type=key_type)
            if operator == "broadcasting":
                rules = events.filter(For(f"{operator}/broadcast")).uid(f"rules-{operator}")
                side = rules.broadcast(*[descriptor(state) for state in BROADCAST])
                function = BroadcastInterpreter(operator, directory)
                result = keyed.connect(side).process(function, PICKLED)
            else:
                result = keyed.process(Interpreter(operator, directory), PICKLED)
        result.name(operator).set_parallelism(run["parallelism"]).uid(operator)
        result.print().name(f"print-{operator}").uid(f"print-{operator}").set_parallelism(1)


def _windowed(branch, operator, directory):
    kind, function = WINDOWS[operator]
    key_type = Types.LONG() if function == "sum" else Types.STRING()
    pair = Types.TUPLE([key_type, Types.LONG()])
    pairs = branch.map(lambda event: (event[1], event[2]), output_type=pair).uid(
        f"pairs-{operator}"
    )
    keyed = pairs.key_by(lambda event: event[0], key_type=key_type)
    if kind == "tumbling":
        windowed = keyed.window(TumblingEventTimeWindows.of(_milliseconds(10_000)))
    else:
        windowed = keyed.window(EventTimeSessionWindows.with_gap(_milliseconds(5_000)))
    fired = Fired(operator, directory)
    if function == "sum":
        return windowed.reduce(lambda a, b: (a[0], a[1] + b[1]), fired, PICKLED)
    return windowed.process(fired, PICKLED)


def expected_progress(wave, run):
    """Return how many lines this wave alone adds to the file progress, timers not counted."""
    chosen = run.get("operators") or (*STATES, *WINDOWS)
    count = 1
    for operator, *_ in waves()[wave]:
        name, _, side = operator.partition("/")
        if name in chosen and name not in WINDOWS:
            count += run["parallelism"] if side else 1
    return count
