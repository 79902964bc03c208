import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.SafeModeAction;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.MiniDFSNNTopology;

/**
 * A real HDFS in one JVM, for hdfs.py: one NameNode, or an active and a standby one, and one DataNode.
 *
 *     java MiniHdfs FOLDER (PORT WEB_PORT)... [KEY=VALUE]...
 *
 * Settings of Hadoop follow the ports of each NameNode. Says "ready" when it is, then obeys one command a line
 * and answers each by "ok" or "failed: WORDS". It ends with its standard input.
 */
public class MiniHdfs {
    private final MiniDFSCluster cluster;
    private MiniDFSCluster.DataNodeProperties stopped;

    private MiniHdfs(MiniDFSCluster cluster) {
        this.cluster = cluster;
    }

    private static MiniDFSNNTopology topology(int[] ports) {
        MiniDFSNNTopology.NSConf service = new MiniDFSNNTopology.NSConf(ports.length > 2 ? "mini" : null);
        for (int i = 0; i < ports.length; i += 2)
            service.addNN(new MiniDFSNNTopology.NNConf(ports.length > 2 ? "nn" + i / 2 : null)
                              .setIpcPort(ports[i]).setHttpPort(ports[i + 1]));
        return new MiniDFSNNTopology().addNameservice(service);
    }

    private static MiniDFSCluster start(String[] words) throws Exception {
        Configuration conf = new Configuration();
        int n = 1;
        while (n < words.length && words[n].indexOf('=') < 0)
            n++;
        int[] ports = new int[n - 1];
        for (int i = 1; i < n; i++)
            ports[i - 1] = Integer.parseInt(words[i]);
        for (int i = n; i < words.length; i++)
            conf.set(words[i].substring(0, words[i].indexOf('=')), words[i].substring(words[i].indexOf('=') + 1));
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(conf, new File(words[0]))
                                     .nnTopology(topology(ports)).numDataNodes(1).build();
        if (ports.length > 2)
            cluster.transitionToActive(0);
        cluster.waitActive();
        return cluster;
    }

    private void obey(String[] words) throws Exception {
        switch (words[0]) {
        case "safe-mode":
            cluster.getFileSystem(0).setSafeMode(words[1].equals("on") ? SafeModeAction.ENTER : SafeModeAction.LEAVE);
            break;
        case "stop-datanode":
            stopped = cluster.stopDataNode(0);
            cluster.setDataNodeDead(stopped.getDatanode().getDatanodeId());
            break;
        case "start-datanode":
            cluster.restartDataNode(stopped, true);
            cluster.waitActive();
            break;
        case "fail-over": // to the NameNode of that number
            cluster.transitionToStandby(1 - Integer.parseInt(words[1]));
            cluster.transitionToActive(Integer.parseInt(words[1]));
            break;
        default:
            throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    public static void main(String[] words) throws Exception {
        MiniHdfs hdfs = new MiniHdfs(start(words));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        System.out.println("ready");
        for (String line; (line = in.readLine()) != null; ) {
            try {
                hdfs.obey(line.split(" "));
                System.out.println("ok");
            } catch (Exception e) {
                System.out.println("failed: " + e.toString().replace('\n', ' '));
            }
        }
        Runtime.getRuntime().halt(0); // nothing of it is kept
    }
}
