package millrace.nexmark;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.AtomicLong;

/** What a run comes to. The cluster runs in this process, so its tasks write here; one job at a time. */
final class Results {
  private static final OperatingSystemMXBean SYSTEM =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
  private static final AtomicLong START = new AtomicLong();
  private static final AtomicLong START_CPU = new AtomicLong();

  /** Rows handed to the sink. */
  static final AtomicLong ROWS = new AtomicLong();
  /** Rows added less rows taken away. */
  static final AtomicLong NET = new AtomicLong();
  /** Sum of the rows' hashes; rows taken away count negative. */
  static final AtomicLong SUM = new AtomicLong();

  private Results() {}

  static void clear() {
    for (AtomicLong cell : new AtomicLong[] {START, START_CPU, ROWS, NET, SUM}) cell.set(0);
  }

  /** The first reader has started: planning and deployment are over. */
  static void begin() {
    if (START.compareAndSet(0, System.nanoTime())) START_CPU.set(SYSTEM.getProcessCpuTime());
  }

  static double elapsedMs() {
    return (System.nanoTime() - START.get()) / 1e6;
  }

  /** CPU time of the whole process since then. */
  static double cpuMs() {
    return (SYSTEM.getProcessCpuTime() - START_CPU.get()) / 1e6;
  }

  /** As our blackhole's checksum is told. */
  static String digest() {
    return "%016x-%d".formatted(SUM.get(), NET.get());
  }
}
