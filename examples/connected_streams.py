"""Connected streams: prices change while orders come; each order is charged what counts now."""

from millpond.common import Types
from millpond.datastream import (
    KeyedCoProcessFunction,
    RuntimeContext,
    StreamExecutionEnvironment,
)
from millpond.datastream.state import ListStateDescriptor, ValueStateDescriptor

PAIR = Types.TUPLE([Types.STRING(), Types.INT()])
PRICES = [("flour", 120), ("oats", 90)]
ORDERS = [("flour", 2), ("rye", 1), ("oats", 3), ("flour", 1)]


class Charge(KeyedCoProcessFunction):
    """Keeps the price of each grain, and the orders that came before it had one."""

    def open(self, runtime_context: RuntimeContext):
        self.price = runtime_context.get_state(ValueStateDescriptor("price", Types.INT()))
        self.waiting = runtime_context.get_list_state(ListStateDescriptor("waiting", Types.INT()))

    def process_element1(self, value, ctx: KeyedCoProcessFunction.Context):
        grain, price = value
        self.price.update(price)
        for amount in self.waiting.get():
            yield grain, amount * price
        self.waiting.clear()

    def process_element2(self, value, ctx: KeyedCoProcessFunction.Context):
        grain, amount = value
        price = self.price.value()
        if price is None:
            self.waiting.add(amount)
        else:
            yield grain, amount * price


def main():
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)
    prices = env.from_collection(PRICES, PAIR)
    orders = env.from_collection(ORDERS, PAIR)

    charged = (
        prices.connect(orders)
        .key_by(lambda price: price[0], lambda order: order[0], Types.STRING())
        .process(Charge(), PAIR)
    )
    charged.print()
    env.execute("connected streams")


if __name__ == "__main__":
    main()
