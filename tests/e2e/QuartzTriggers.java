import java.util.Date;
import java.util.Random;
import java.util.StringJoiner;
import java.util.TimeZone;
import org.quartz.impl.triggers.AbstractTrigger;
import org.quartz.impl.triggers.CronTriggerImpl;
import org.quartz.impl.triggers.SimpleTriggerImpl;

/**
 * Random lives of Quartz's triggers: QuartzTriggers COUNT SEED. A line each, fields between tabs: kind,
 * expression, zone, interval, repeats, start, end, misfire instruction, and then a field for what happened and
 * what came of it: "begin|fired|NOW next previous start repeats fired". Times are milliseconds, "-" is none.
 */
public class QuartzTriggers {
    static final String[] CRONS = {"* * * * * ?", "0/%d * * * * ?", "%d 0/7 * * * ?", "0 %d * * * ?", "0 0/15 %d-23 * * ?",
        "0 %d 2 * * ?", "0 0 0/5 * * ?", "30 %d 1 L * ?", "0 15 10 ? * MON-FRI", "0 %d 12 ? * 6#3", "0 0 3 %dW * ?"};
    static final String[] ZONES = {"UTC", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"};
    static final String[] CRON_MISFIRES = {"ignore", "smart", "fire_now", "do_nothing"};
    static final String[] SIMPLE_MISFIRES = {"ignore", "smart", "fire_now", "now_with_existing_count", "now_with_remaining_count",
        "next_with_remaining_count", "next_with_existing_count"}; /* in the order of Quartz's numbers, from -1 on */
    static final long SOME_DAYS = 5 * 86400_000L;
    static Random random;

    static String time(Date at) {
        return at == null ? "-" : Long.toString(at.getTime());
    }

    static String state(String what, AbstractTrigger<?> t) {
        String simple = " - -";
        if (t instanceof SimpleTriggerImpl) {
            SimpleTriggerImpl s = (SimpleTriggerImpl) t;
            simple = " " + s.getRepeatCount() + " " + s.getTimesTriggered();
        }
        return what + " " + time(t.getNextFireTime()) + " " + time(t.getPreviousFireTime()) + " " + time(t.getStartTime()) + simple;
    }

    /** The moment that Quartz takes for now is not told, so it has to be one millisecond all the time. */
    static AbstractTrigger<?> misfire(AbstractTrigger<?> t, StringJoiner line) {
        for (;;) {
            AbstractTrigger<?> late = (AbstractTrigger<?>) t.clone();
            long now = System.currentTimeMillis();
            late.updateAfterMisfire(null);
            if (System.currentTimeMillis() == now) {
                line.add(state(Long.toString(now), late));
                return late;
            }
        }
    }

    static void live(AbstractTrigger<?> t, StringJoiner line) {
        t.computeFirstFireTime(null);
        line.add(state("begin", t));
        int before = random.nextInt(6);
        for (int i = 0; i < 12 && t.getNextFireTime() != null; i++) {
            if (i == before && t.getNextFireTime().getTime() < System.currentTimeMillis()) {
                t = misfire(t, line);
            } else {
                t.triggered(null);
                line.add(state("fired", t));
            }
        }
    }

    static AbstractTrigger<?> cron(StringJoiner line) throws Exception {
        CronTriggerImpl t = new CronTriggerImpl();
        String expression = String.format(CRONS[random.nextInt(CRONS.length)], 1 + random.nextInt(22));
        String zone = ZONES[random.nextInt(ZONES.length)];
        t.setCronExpression(expression);
        t.setTimeZone(TimeZone.getTimeZone(zone));
        line.add("cron").add(expression).add(zone).add("0").add("0");
        return t;
    }

    static AbstractTrigger<?> simple(StringJoiner line) {
        SimpleTriggerImpl t = new SimpleTriggerImpl();
        boolean once = random.nextInt(4) == 0;
        long interval = once ? 0 : random.nextBoolean() ? 1000 * (1 + random.nextInt(7200)) : 1000 + random.nextInt(86400_000);
        int repeat = once ? 0 : random.nextInt(4) == 0 ? -1 : random.nextInt(random.nextBoolean() ? 5 : 500);
        t.setRepeatInterval(interval);
        t.setRepeatCount(repeat);
        line.add(once ? "once" : "interval").add("-").add("-").add(Long.toString(interval)).add(Integer.toString(repeat));
        return t;
    }

    static String trigger() throws Exception {
        StringJoiner line = new StringJoiner("\t");
        boolean isCron = random.nextInt(3) == 0;
        AbstractTrigger<?> t = isCron ? cron(line) : simple(line);
        boolean isOnce = line.toString().startsWith("once");
        String[] misfires = isCron ? CRON_MISFIRES : SIMPLE_MISFIRES;
        int misfire = random.nextInt(isOnce ? 3 : misfires.length);
        t.setMisfireInstruction(misfire - 1);
        long start = System.currentTimeMillis() - (long) (random.nextDouble() * SOME_DAYS);
        long end = start - start % 1000 + 1000 + (long) (random.nextDouble() * 2 * SOME_DAYS);
        t.setStartTime(new Date(start));
        boolean hasEnd = random.nextBoolean();
        if (hasEnd) {
            t.setEndTime(new Date(isCron ? end : end + 1)); /* hearth's ends are included */
        }
        line.add(Long.toString(start)).add(hasEnd ? Long.toString(end) : "-").add(misfires[misfire]);
        live(t, line);
        return line.toString();
    }

    public static void main(String[] args) throws Exception {
        random = new Random(Long.parseLong(args[1]));
        for (int i = Integer.parseInt(args[0]); i > 0; i--) {
            System.out.println(trigger());
        }
    }
}
