import java.io.File;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/**
 * A NameNode and a DataNode on loopback, until standard input ends.
 *
 * <p>Prints one line, {@code hdfs=PORT webhdfs=PORT}, once both answer.
 */
public class HdfsCluster {
    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        configuration.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, new File(arguments[0]).getAbsolutePath());
        configuration.set("dfs.permissions.enabled", "false");
        configuration.set("dfs.replication", "1");
        configuration.set("dfs.datanode.address", "127.0.0.1:0");
        configuration.set("dfs.datanode.http.address", "127.0.0.1:0");
        configuration.set("dfs.datanode.ipc.address", "127.0.0.1:0");
        configuration.set("dfs.namenode.fs-limits.min-block-size", "0");
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(configuration).numDataNodes(1).build();
        try {
            cluster.waitActive();
            int http = cluster.getNameNode().getHttpAddress().getPort();
            System.out.println("hdfs=" + cluster.getNameNodePort() + " webhdfs=" + http);
            System.out.flush();
            while (System.in.read() >= 0) {
                // Whoever started this holds the other end open for as long as it is wanted.
            }
        } finally {
            cluster.shutdown(true);
        }
        System.exit(0);
    }
}
