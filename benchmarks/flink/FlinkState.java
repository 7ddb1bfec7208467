// Java Flink's keyed state backends without a job: benchmarks/state_operations.py and snapshots.py.
//
//   FlinkState access <heap|rocksdb> <keys>
//   FlinkState snapshots <heap|rocksdb|incremental> <entries> <directory>
//
// Prints lines of JSON. The backends are the real ones; only the task's environment around them is
// a proxy that answers what they ask. Operations are counted by CPU time of the calling thread,
// snapshots by CPU time of the process and, for the pause, by the wall.
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RunnableFuture;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.TaskInfoImpl;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.State;
import org.apache.flink.api.common.state.StateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.core.fs.CloseableRegistry;
import org.apache.flink.core.fs.local.LocalFileSystem;
import org.apache.flink.runtime.checkpoint.CheckpointOptions;
import org.apache.flink.runtime.checkpoint.SavepointType;
import org.apache.flink.runtime.execution.Environment;
import org.apache.flink.runtime.io.disk.iomanager.IOManagerAsync;
import org.apache.flink.runtime.jobgraph.JobVertexID;
import org.apache.flink.runtime.memory.MemoryManager;
import org.apache.flink.runtime.memory.SharedResources;
import org.apache.flink.runtime.metrics.groups.UnregisteredMetricGroups;
import org.apache.flink.runtime.query.KvStateRegistry;
import org.apache.flink.runtime.state.CheckpointStorageLocationReference;
import org.apache.flink.runtime.state.CheckpointableKeyedStateBackend;
import org.apache.flink.runtime.state.CompositeStateHandle;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyedStateBackendParametersImpl;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.LocalRecoveryConfig;
import org.apache.flink.runtime.state.SharedStateRegistryImpl;
import org.apache.flink.runtime.state.SnapshotResult;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.TaskStateManager;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.runtime.state.filesystem.FsCheckpointStreamFactory;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.runtime.state.ttl.TtlTimeProvider;
import org.apache.flink.runtime.taskmanager.TaskManagerRuntimeInfo;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.apache.flink.state.rocksdb.RocksDBKeyedStateBackend;
import org.apache.flink.state.rocksdb.RocksDBOptions;
import org.apache.flink.streaming.api.operators.StreamOperatorStateHandler;
import org.apache.flink.util.SimpleUserCodeClassLoader;

public class FlinkState {
    static final int KEY_GROUPS = 128;
    static final long MANAGED_BYTES = 64L << 20;
    static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    static Path work;
    static long sink;

    @SuppressWarnings("unchecked")
    static <T> T answering(Class<T> type, Map<String, Object> answers) {
        return (T)
                Proxy.newProxyInstance(
                        FlinkState.class.getClassLoader(),
                        new Class<?>[] {type},
                        (proxy, method, given) -> {
                            String name = method.getName();
                            if (answers.containsKey(name)) {
                                return answers.get(name);
                            }
                            if (method.isDefault()) {
                                return InvocationHandler.invokeDefault(proxy, method, given);
                            }
                            return switch (name) {
                                case "toString" -> type.getSimpleName();
                                case "hashCode" -> System.identityHashCode(proxy);
                                case "equals" -> proxy == given[0];
                                default -> throw new UnsupportedOperationException(name);
                            };
                        });
    }

    /** One backend that owns all key groups, with the environment it needs. */
    static final class Backend implements AutoCloseable {
        final CheckpointableKeyedStateBackend<Long> keyed;
        final CloseableRegistry registry = new CloseableRegistry();
        private final Path directory = Files.createTempDirectory(work, "backend");
        private final MemoryManager memory = MemoryManager.create(MANAGED_BYTES, 32 * 1024);
        private final IOManagerAsync files = new IOManagerAsync(directory.toString());

        Backend(String kind, Collection<KeyedStateHandle> restored) throws Exception {
            Configuration configuration = new Configuration();
            // As in Flink's own benchmarks: RocksDB's default options without the shared budget.
            configuration.set(RocksDBOptions.USE_MANAGED_MEMORY, false);
            boolean incremental = kind.equals("incremental");
            configuration.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, incremental);
            StateBackend backend =
                    kind.equals("heap")
                            ? new HashMapStateBackend()
                            : new EmbeddedRocksDBStateBackend(incremental)
                                    .configure(configuration, FlinkState.class.getClassLoader());
            JobID job = new JobID();
            JobVertexID vertex = new JobVertexID();
            KvStateRegistry states = new KvStateRegistry();
            Map<String, Object> manager = new HashMap<>();
            manager.put("getConfiguration", configuration);
            manager.put("getTmpDirectories", new String[] {directory.toString()});
            manager.put("getTmpWorkingDirectory", directory.toFile());
            manager.put("shouldExitJvmOnOutOfMemoryError", false);
            Map<String, Object> answers = new HashMap<>();
            answers.put("getExecutionConfig", new ExecutionConfig());
            answers.put("getJobID", job);
            answers.put("getJobVertexId", vertex);
            answers.put("getTaskConfiguration", configuration);
            answers.put("getJobConfiguration", configuration);
            answers.put("getTaskManagerInfo", answering(TaskManagerRuntimeInfo.class, manager));
            answers.put(
                    "getMetricGroup",
                    UnregisteredMetricGroups.createUnregisteredTaskMetricGroup());
            answers.put("getIOManager", files);
            answers.put("getMemoryManager", memory);
            answers.put("getSharedResources", new SharedResources());
            answers.put(
                    "getUserCodeClassLoader",
                    SimpleUserCodeClassLoader.create(FlinkState.class.getClassLoader()));
            answers.put(
                    "getTaskStateManager",
                    answering(
                            TaskStateManager.class,
                            Map.of(
                                    "createLocalRecoveryConfig",
                                    LocalRecoveryConfig.BACKUP_AND_RECOVERY_DISABLED)));
            answers.put("getTaskKvStateRegistry", states.createTaskRegistry(job, vertex));
            answers.put("getTaskInfo", new TaskInfoImpl("benchmark", KEY_GROUPS, 0, 1, 0));
            answers.put("getAsyncOperationsThreadPool", ForkJoinPool.commonPool());
            keyed =
                    backend.createKeyedStateBackend(
                            new KeyedStateBackendParametersImpl<>(
                                    answering(Environment.class, answers),
                                    job,
                                    "benchmark",
                                    LongSerializer.INSTANCE,
                                    KEY_GROUPS,
                                    new KeyGroupRange(0, KEY_GROUPS - 1),
                                    states.createTaskRegistry(job, vertex),
                                    TtlTimeProvider.DEFAULT,
                                    UnregisteredMetricGroups.createUnregisteredTaskMetricGroup(),
                                    (name, value) -> {},
                                    restored,
                                    registry,
                                    1.0));
        }

        @SuppressWarnings("unchecked")
        <S extends State> S state(StateDescriptor<S, ?> descriptor) throws Exception {
            return keyed.getPartitionedState(
                    VoidNamespace.INSTANCE, VoidNamespaceSerializer.INSTANCE, descriptor);
        }

        void compact(StateDescriptor<?, ?> descriptor) throws Exception {
            if (keyed instanceof RocksDBKeyedStateBackend) {
                ((RocksDBKeyedStateBackend<Long>) keyed).compactState(descriptor);
            }
        }

        @Override
        public void close() throws Exception {
            keyed.dispose();
            registry.close();
            files.close();
            memory.shutdown();
            delete(directory);
        }
    }

    interface Pass {
        void run() throws Exception;
    }

    static void delete(Path path) throws IOException {
        try (var paths = Files.walk(path)) {
            paths.sorted(Comparator.reverseOrder()).forEach(each -> each.toFile().delete());
        }
    }

    static double median(double[] runs) {
        Arrays.sort(runs);
        return runs[runs.length / 2];
    }

    /** Prints millions of operations a second of the thread's CPU time, after warming up. */
    static void measure(String what, int operations, boolean heap, Pass pass) throws Exception {
        var threads = ManagementFactory.getThreadMXBean();
        int warm = heap ? 10 : 2;
        double[] rates = new double[5];
        for (int round = -warm; round < rates.length; round++) {
            long before = threads.getCurrentThreadCpuTime();
            pass.run();
            long spent = threads.getCurrentThreadCpuTime() - before;
            if (round >= 0) {
                rates[round] = operations * 1e3 / spent;
            }
        }
        System.out.printf(Locale.ROOT, "{\"what\": \"%s\", \"rate\": %.6f}%n", what, median(rates));
    }

    static Long[] shuffled(int count) {
        Long[] keys = new Long[count];
        Arrays.setAll(keys, index -> (long) index);
        Collections.shuffle(Arrays.asList(keys), new Random(7));
        return keys;
    }

    static void access(String kind, int count) throws Exception {
        boolean heap = kind.equals("heap");
        Long[] keys = shuffled(count);
        Long seven = 7L;
        var valueOf = new ValueStateDescriptor<>("value", LongSerializer.INSTANCE);
        try (Backend backend = new Backend(kind, List.of())) {
            var keyed = backend.keyed;
            ValueState<Long> state = backend.state(valueOf);
            for (long key = 0; key < count; key++) {
                keyed.setCurrentKey(key);
                state.update(key);
            }
            backend.compact(valueOf);
            measure("value get", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    sink += state.value();
                }
            });
            measure("value update", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    state.update(seven);
                }
            });
            measure("value get, update", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    state.update(state.value() + 1);
                }
            });
        }
        accessMaps(kind, heap, keys);
        accessLists(kind, heap, shuffled(count / 5));
    }

    static void accessMaps(String kind, boolean heap, Long[] keys) throws Exception {
        int count = keys.length;
        Long seven = 7L;
        Long wanted = 500L;
        var mapOf =
                new MapStateDescriptor<>("map", LongSerializer.INSTANCE, LongSerializer.INSTANCE);
        try (Backend backend = new Backend(kind, List.of())) {
            var keyed = backend.keyed;
            MapState<Long, Long> state = backend.state(mapOf);
            for (long key = 0; key < count; key++) {
                keyed.setCurrentKey(key);
                for (long userKey = 0; userKey < 1000; userKey += 100) {
                    state.put(userKey, key);
                }
            }
            backend.compact(mapOf);
            measure("map get", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    sink += state.get(wanted);
                }
            });
            measure("map contains", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    sink += state.contains(wanted) ? 1 : 0;
                }
            });
            measure("map iterate 10", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    for (Map.Entry<Long, Long> entry : state.entries()) {
                        sink += entry.getValue();
                    }
                }
            });
            measure("map put existing", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    state.put(wanted, seven);
                }
            });
        }
    }

    static void accessLists(String kind, boolean heap, Long[] keys) throws Exception {
        int count = keys.length;
        Long seven = 7L;
        List<Long> hundred = new ArrayList<>();
        for (long element = 0; element < 100; element++) {
            hundred.add(element);
        }
        var listOf = new ListStateDescriptor<>("list", LongSerializer.INSTANCE);
        try (Backend backend = new Backend(kind, List.of())) {
            var keyed = backend.keyed;
            ListState<Long> state = backend.state(listOf);
            Pass fill = () -> {
                for (long key = 0; key < count; key++) {
                    keyed.setCurrentKey(key);
                    state.update(hundred);
                }
                backend.compact(listOf);
            };
            fill.run();
            measure("list get 100", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    sink += state.get() == null ? 0 : 1;
                }
            });
            measure("list iterate 100", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    for (Long element : state.get()) {
                        sink += element;
                    }
                }
            });
            measure("list add 1", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    state.add(seven);
                }
            });
            fill.run();
            measure("list add 100", count, heap, () -> {
                for (Long key : keys) {
                    keyed.setCurrentKey(key);
                    state.addAll(hundred);
                }
            });
        }
    }

    // -- snapshots

    static final class Taken {
        double pauseMs, pauseCpuMs, writeCpuMs;
        long bytes;
        KeyedStateHandle handle;
    }

    static Taken take(Backend backend, String how, long id, Path directory) throws Exception {
        Path exclusive = Files.createDirectories(directory.resolve("chk-" + id));
        Path shared = Files.createDirectories(directory.resolve("shared"));
        var streams =
                new FsCheckpointStreamFactory(
                        LocalFileSystem.getSharedInstance(),
                        new org.apache.flink.core.fs.Path(exclusive.toUri()),
                        new org.apache.flink.core.fs.Path(shared.toUri()),
                        20 * 1024,
                        4096);
        Taken taken = new Taken();
        long cpu = SYSTEM.getProcessCpuTime();
        long started = System.nanoTime();
        RunnableFuture<SnapshotResult<KeyedStateHandle>> writing;
        if (how.equals("canonical savepoint")) {
            CheckpointOptions options =
                    CheckpointOptions.alignedNoTimeout(
                            SavepointType.savepoint(SavepointFormatType.CANONICAL),
                            CheckpointStorageLocationReference.getDefault());
            writing =
                    StreamOperatorStateHandler.prepareCanonicalSavepoint(
                                    backend.keyed, backend.registry)
                            .snapshot(id, System.currentTimeMillis(), streams, options);
        } else {
            writing =
                    backend.keyed.snapshot(
                            id,
                            System.currentTimeMillis(),
                            streams,
                            CheckpointOptions.forCheckpointWithDefaultLocation());
        }
        taken.pauseMs = (System.nanoTime() - started) / 1e6;
        taken.pauseCpuMs = (SYSTEM.getProcessCpuTime() - cpu) / 1e6;
        cpu = SYSTEM.getProcessCpuTime();
        writing.run();
        taken.handle = writing.get().getJobManagerOwnedSnapshot();
        taken.writeCpuMs = (SYSTEM.getProcessCpuTime() - cpu) / 1e6;
        taken.bytes = taken.handle.getCheckpointedSize();
        return taken;
    }

    static void snapshots(String kind, int entries, Path directory) throws Exception {
        Long[] keys = shuffled(entries);
        Random dice = new Random(5);
        boolean incremental = kind.equals("incremental");
        var descriptor = new ValueStateDescriptor<>("value", LongSerializer.INSTANCE);
        List<String> kinds =
                incremental
                        ? List.of("incremental after 10 %")
                        : List.of("checkpoint", "canonical savepoint");
        Map<String, List<Taken>> taken = new HashMap<>();
        long id = 1;
        try (Backend backend = new Backend(kind, List.of())) {
            ValueState<Long> state = backend.state(descriptor);
            for (Long key : keys) {
                backend.keyed.setCurrentKey(key);
                state.update(key);
            }
            // What the coordinator does: it resolves the handles of files that are there already.
            var registry = new SharedStateRegistryImpl();
            if (incremental) {
                Taken first = take(backend, "first", id, directory);
                ((CompositeStateHandle) first.handle).registerSharedStates(registry, id);
                ((CheckpointListener) backend.keyed).notifyCheckpointComplete(id++);
            }
            for (String how : kinds) {
                List<Taken> ofKind = new ArrayList<>();
                taken.put(how, ofKind);
                for (int repetition = 0; repetition < 3; repetition++) {
                    for (int change = 0; change < entries / 10; change++) {
                        backend.keyed.setCurrentKey(keys[dice.nextInt(entries)]);
                        state.update(dice.nextLong());
                    }
                    Taken one = take(backend, how, id, directory);
                    if (incremental) {
                        ((CompositeStateHandle) one.handle).registerSharedStates(registry, id);
                        ((CheckpointListener) backend.keyed).notifyCheckpointComplete(id);
                    }
                    id++;
                    ofKind.add(one);
                }
            }
        }
        System.gc();
        for (String how : kinds) {
            List<Taken> ofKind = taken.get(how);
            double[] restores = new double[3];
            for (int repetition = 0; repetition < restores.length; repetition++) {
                long cpu = SYSTEM.getProcessCpuTime();
                List<KeyedStateHandle> handles = List.of(ofKind.get(ofKind.size() - 1).handle);
                try (Backend backend = new Backend(kind, handles)) {
                    ValueState<Long> state = backend.state(descriptor);
                    backend.keyed.setCurrentKey(keys[0]);
                    sink += state.value();
                    restores[repetition] = (SYSTEM.getProcessCpuTime() - cpu) / 1e6;
                }
            }
            // The first of each kind warms up.
            List<Taken> warm = ofKind.subList(1, ofKind.size());
            System.out.printf(
                    Locale.ROOT,
                    "{\"what\": \"%s\", \"pause_ms\": %.4f, \"write_cpu_ms\": %.3f, "
                            + "\"bytes\": %d, \"restore_cpu_ms\": %.3f}%n",
                    how,
                    median(warm.stream().mapToDouble(each -> each.pauseMs).toArray()),
                    median(
                            warm.stream()
                                    .mapToDouble(each -> each.pauseCpuMs + each.writeCpuMs)
                                    .toArray()),
                    warm.get(warm.size() - 1).bytes,
                    median(restores));
        }
    }

    public static void main(String[] arguments) throws Exception {
        work = Files.createTempDirectory("flink-state");
        try {
            int count = Integer.parseInt(arguments[2]);
            if (arguments[0].equals("access")) {
                access(arguments[1], count);
            } else {
                snapshots(arguments[1], count, Path.of(arguments[3]));
            }
        } finally {
            delete(work);
        }
        System.exit(0);
    }
}
