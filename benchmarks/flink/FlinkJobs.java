// The jobs of benchmarks/jobs.py on Java Flink: the same records, keys, state and results.
//
//   FlinkJobs <job> <heap|rocksdb> <events> <keys> <repetitions> <directory for checkpoints>
//
// Prints a line of JSON for each repetition; the first ones warm the JIT up. The span begins when
// the stateful operator opens and ends when it closes, as on Millpond's side.
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Locale;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.util.Collector;

public class FlinkJobs {
    static final TypeInformation<Tuple3<Long, Long, Long>> RECORD =
            Types.TUPLE(Types.LONG, Types.LONG, Types.LONG);
    static final TypeInformation<Tuple2<Long, Long>> PAIR = Types.TUPLE(Types.LONG, Types.LONG);
    static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    static volatile long startedNs, endedNs, startedCpuNs, endedCpuNs;

    static void start() {
        startedNs = System.nanoTime();
        startedCpuNs = SYSTEM.getProcessCpuTime();
    }

    static void end() {
        endedNs = System.nanoTime();
        endedCpuNs = SYSTEM.getProcessCpuTime();
    }

    public static class ByFirst implements KeySelector<Tuple3<Long, Long, Long>, Long> {
        @Override
        public Long getKey(Tuple3<Long, Long, Long> record) {
            return record.f0;
        }
    }

    public static class RunningSum
            extends KeyedProcessFunction<Long, Tuple3<Long, Long, Long>, Tuple2<Long, Long>> {
        private transient ValueState<Long> sum;

        @Override
        public void open(OpenContext context) {
            sum = getRuntimeContext().getState(new ValueStateDescriptor<>("sum", Types.LONG));
            start();
        }

        @Override
        public void processElement(
                Tuple3<Long, Long, Long> value, Context context, Collector<Tuple2<Long, Long>> out)
                throws Exception {
            Long before = sum.value();
            long total = before == null ? value.f1 : before + value.f1;
            sum.update(total);
            out.collect(Tuple2.of(value.f0, total));
        }

        @Override
        public void close() {
            end();
        }
    }

    public static class CountAndSum
            implements AggregateFunction<
                    Tuple3<Long, Long, Long>, Tuple2<Long, Long>, Tuple2<Long, Long>> {
        @Override
        public Tuple2<Long, Long> createAccumulator() {
            return Tuple2.of(0L, 0L);
        }

        @Override
        public Tuple2<Long, Long> add(Tuple3<Long, Long, Long> value, Tuple2<Long, Long> before) {
            return Tuple2.of(before.f0 + 1, before.f1 + value.f1);
        }

        @Override
        public Tuple2<Long, Long> getResult(Tuple2<Long, Long> accumulator) {
            return accumulator;
        }

        @Override
        public Tuple2<Long, Long> merge(Tuple2<Long, Long> a, Tuple2<Long, Long> b) {
            return Tuple2.of(a.f0 + b.f0, a.f1 + b.f1);
        }
    }

    /** Times a job whose stateful operator is built in; chained behind it. */
    public static class Timed<T> extends RichMapFunction<T, T> {
        @Override
        public void open(OpenContext context) {
            start();
        }

        @Override
        public T map(T value) {
            return value;
        }

        @Override
        public void close() {
            end();
        }
    }

    static void build(String job, DataStream<Tuple3<Long, Long, Long>> records) {
        if (job.equals("windows")) {
            WatermarkStrategy<Tuple3<Long, Long, Long>> strategy =
                    WatermarkStrategy.<Tuple3<Long, Long, Long>>forMonotonousTimestamps()
                            .withTimestampAssigner((record, timestamp) -> record.f2);
            records.assignTimestampsAndWatermarks(strategy)
                    .keyBy(new ByFirst(), Types.LONG)
                    .window(TumblingEventTimeWindows.of(Duration.ofSeconds(1)))
                    .aggregate(new CountAndSum(), PAIR, PAIR)
                    .map(new Timed<>())
                    .returns(PAIR)
                    .sinkTo(new DiscardingSink<>());
            return;
        }
        KeyedStream<Tuple3<Long, Long, Long>, Long> keyed =
                records.keyBy(new ByFirst(), Types.LONG);
        if (job.equals("process")) {
            keyed.process(new RunningSum()).returns(PAIR).sinkTo(new DiscardingSink<>());
            return;
        }
        DataStream<Tuple3<Long, Long, Long>> sums =
                job.equals("sum")
                        ? keyed.sum(1)
                        : keyed.reduce((a, b) -> Tuple3.of(a.f0, a.f1 + b.f1, b.f2));
        sums.map(new Timed<>()).returns(RECORD).sinkTo(new DiscardingSink<>());
    }

    public static void main(String[] arguments) throws Exception {
        String job = arguments[0];
        long events = Long.parseLong(arguments[2]);
        long keys = Long.parseLong(arguments[3]);
        for (int repetition = 0; repetition < Integer.parseInt(arguments[4]); repetition++) {
            Configuration configuration = new Configuration();
            configuration.set(
                    StateBackendOptions.STATE_BACKEND,
                    arguments[1].equals("heap") ? "hashmap" : "rocksdb");
            configuration.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(512));
            configuration.set(
                    CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(10));
            configuration.set(
                    CheckpointingOptions.CHECKPOINTS_DIRECTORY,
                    java.nio.file.Path.of(arguments[5]).toUri().toString());
            configuration.set(RestOptions.BIND_PORT, "0");
            StreamExecutionEnvironment environment =
                    StreamExecutionEnvironment.createLocalEnvironment(1, configuration);
            build(
                    job,
                    environment
                            .fromSequence(0, events - 1)
                            .map(i -> Tuple3.of(i * 2654435761L % keys, i, i / 100))
                            .returns(RECORD));
            environment.execute(job);
            System.out.println(
                    String.format(
                            Locale.ROOT,
                            "{\"wall_s\": %.6f, \"cpu_s\": %.6f}",
                            (endedNs - startedNs) / 1e9,
                            (endedCpuNs - startedCpuNs) / 1e9));
        }
        System.exit(0);
    }
}
