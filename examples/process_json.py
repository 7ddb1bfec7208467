"""JSON records: parse, change a field, filter, and print as JSON again."""

import json

from millpond.common import Types
from millpond.datastream import StreamExecutionEnvironment

ORDERS = [
    '{"id": 1, "customer": {"name": "Ann", "town": "Ulm"}, "cents": 1250}',
    '{"id": 2, "customer": {"name": "Ben", "town": "Bonn"}, "cents": 80}',
    '{"id": 3, "customer": {"name": "Cleo", "town": "Ulm"}, "cents": 4300}',
]


def with_price(text):
    order = json.loads(text)
    order["price"] = f"{order.pop('cents') / 100:.2f} EUR"
    return json.dumps(order)


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)

    orders = env.from_collection(ORDERS, type_info=Types.STRING())
    orders.filter(lambda text: json.loads(text)["customer"]["town"] == "Ulm").map(
        with_price, output_type=Types.STRING()
    ).print()
    env.execute("process JSON")


if __name__ == "__main__":
    main()
