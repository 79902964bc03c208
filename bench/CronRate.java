import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Date;
import java.util.TimeZone;
import org.quartz.CronExpression;

/** The same as bench/cron_rate.c, with Quartz: CronRate FILE ZONE SECONDS. Each expression runs once before, to be compiled. */
public class CronRate {
    static final Date START = new Date(1704067200_000L);
    static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    static final int ROUND = 1000;

    static double rate(CronExpression expression, double seconds) {
        long begin = THREADS.getCurrentThreadCpuTime();
        long end = begin;
        long n = 0;
        Date at = START;
        while (end - begin < seconds * 1e9) {
            for (int i = 0; i < ROUND; i++) {
                at = expression.getNextValidTimeAfter(at);
                if (at == null) {
                    at = START;
                }
            }
            n += ROUND;
            end = THREADS.getCurrentThreadCpuTime();
        }
        return n / ((end - begin) / 1e9);
    }

    public static void main(String[] args) throws Exception {
        double seconds = Double.parseDouble(args[2]);
        for (String text : Files.readAllLines(Path.of(args[0]))) {
            CronExpression expression = new CronExpression(text);
            expression.setTimeZone(TimeZone.getTimeZone(args[1]));
            rate(expression, seconds);
            System.out.printf("%.0f\t%s%n", rate(expression, seconds), text);
        }
    }
}
