"""Streaming word count: words that come at a rate, counted as they come, into files or on screen.

``python streaming_word_count.py --words 100 --output counts`` writes part files.
"""

import argparse

from millpond.common import Encoder, Types, WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.datagen import DataGeneratorSource
from millpond.datastream.connectors.file_system import FileSink, OutputFileConfig, RollingPolicy

WORDS = ("river", "mill", "wheel", "grain", "flour")


def word(number):
    return WORDS[number * number % len(WORDS)]


def main(words, output):
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)
    source = DataGeneratorSource(word, count=words, records_per_second=1000)

    counts = (
        env.from_source(source, WatermarkStrategy.no_watermarks(), "words", Types.STRING())
        .map(lambda word: (word, 1), Types.TUPLE([Types.STRING(), Types.INT()]))
        .key_by(lambda pair: pair[0], Types.STRING())
        .reduce(lambda a, b: (a[0], a[1] + b[1]))
    )
    if output is None:
        counts.print()
    else:
        names = OutputFileConfig.builder().with_part_prefix("counts").with_part_suffix(".txt")
        sink = (
            FileSink.for_row_format(output, Encoder.simple_string_encoder())
            .with_output_file_config(names.build())
            .with_rolling_policy(RollingPolicy.default_rolling_policy())
        )
        counts.sink_to(sink.build())
    env.execute("streaming word count")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=12, help="how many words come")
    parser.add_argument("--output", help="directory for part files; default: the screen")
    arguments = parser.parse_args()
    main(arguments.words, arguments.output)
