// Estimates pi in one slice, always with the same result, and tells what it ran with.
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

public class SparkPi {
    public static void main(String[] args) {
        JavaSparkContext sc = new JavaSparkContext(new SparkConf());
        System.out.println("READY " + System.currentTimeMillis());
        int n = 100000;
        List<Integer> points = new ArrayList<>(n);
        for (int i = 0; i < n; i++)
            points.add(i);
        int inside = sc.parallelize(points, 1).map(i -> {
            double x = ((i * 7919L) % 100003) / 100003.0, y = ((i * 104729L) % 99991) / 99991.0;
            return x * x + y * y <= 1 ? 1 : 0;
        }).reduce(Integer::sum);
        System.out.println("RESULT Pi is roughly " + 4.0 * inside / n);
        for (scala.Tuple2<String, String> setting : sc.getConf().getAll())
            System.out.println("CONF " + setting._1() + "=" + setting._2());
        for (String word : ManagementFactory.getRuntimeMXBean().getInputArguments())
            System.out.println("JVM " + word);
        sc.stop();
    }
}
