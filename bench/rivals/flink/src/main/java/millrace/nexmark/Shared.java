package millrace.nexmark;

import static millrace.nexmark.Chance.below;
import static millrace.nexmark.Chance.belowLow;
import static millrace.nexmark.Chance.columnSeed;
import static millrace.nexmark.Chance.draw;

import java.util.Arrays;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** What persons, auctions and bids have in common: times, prices, persons, and the letters that extra texts are cut out of. */
final class Shared {
  static final long FIRST_ID = 1000;
  /** Hot keys change every so many auctions and persons. */
  static final int HOT_EVERY = 100;
  /** All but one in so many go to the hot auction, come from the hot bidder, the hot seller. */
  static final int HOT_AUCTIONS = 2;

  static final int HOT_BIDDERS = 4;
  static final int HOT_SELLERS = 4;
  private static final int ACTIVE_PERSONS = 1000;
  private static final int ID_LEAD = 10;
  private static final int PRICE_STEPS = 4096;
  /** 10^(6 / 4096). */
  private static final double PRICE_STEP = 1.0033786221027048;
  /** Where an extra text begins in the pool: 16 bits of chance; the longest follows. */
  private static final int POOL_BYTES = 65_536 + 1024;

  final NexmarkOptions options;
  private final double stepMs;
  private final double[] powers = new double[PRICE_STEPS];
  private final byte[] pool = new byte[POOL_BYTES];

  Shared(NexmarkOptions options) {
    this.options = options;
    stepMs = 1000 / options.rate();
    double power = 1;
    for (int i = 0; i < PRICE_STEPS; i++) {
      powers[i] = power;
      power *= PRICE_STEP;
    }
    long letters = columnSeed(options.seed(), "extra", "nexmark letters");
    for (int i = 0; i < POOL_BYTES; i++) pool[i] = (byte) ('a' + below(draw(letters, i), 26));
  }

  long time(long n) {
    return options.startMs() + (long) Math.floor(n * stepMs);
  }

  /** 10^(6 u) × 100, rounded. */
  long price(long x) {
    double h = (x & 0xfffffffffffffL) * 7.489403280470645e-19;
    double rest = 1.0 + h * (1.0 + h * (0.5 + h * (0.16666666666666666 + h * 0.041666666666666664)));
    return (long) Math.floor(powers[(int) (x >>> 52)] * rest * 100.0 + 0.5);
  }

  /** Number `hot` of the last hundred but once in `ratio`, else an active one or one about to come. */
  static long person(long x, long epoch, int ratio, int hot) {
    if (belowLow(x, ratio) > 0) return epoch / HOT_EVERY * HOT_EVERY + hot + FIRST_ID;
    long people = epoch + 1;
    long active = Math.min(people, ACTIVE_PERSONS);
    return people - active + below(x, active + ID_LEAD) + FIRST_ID;
  }

  /** A text that brings `size` bytes to `average`, 20 % more or less. */
  StringData extra(long x, int size, int average) {
    if (size > average) return BinaryStringData.EMPTY_UTF8;
    int wanted = average - size;
    int delta = (int) Math.floor(wanted * 0.2 + 0.5);
    int length = wanted - delta + (int) below(x, 2L * delta);
    int from = (int) x & 0xffff;
    return text(Arrays.copyOfRange(pool, from, from + length));
  }

  static StringData text(byte[] bytes) {
    return BinaryStringData.fromBytes(bytes);
  }
}
