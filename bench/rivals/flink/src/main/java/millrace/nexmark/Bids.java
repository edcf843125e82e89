package millrace.nexmark;

import static millrace.nexmark.Chance.below;
import static millrace.nexmark.Chance.belowLow;
import static millrace.nexmark.Chance.columnSeed;
import static millrace.nexmark.Chance.draw;

import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.TimestampData;

/** Bids: auction, bidder, price, channel, url, dateTime, extra. */
final class Bids {
  private static final int COLD_CHANNELS = 10_000;
  private static final int AUCTIONS_IN_FLIGHT = 100;
  private static final int ID_LEAD = 10;
  private static final int AVERAGE_BYTES = 100;

  private final Shared shared;
  private final long auctions;
  private final long bidders;
  private final long prices;
  private final long channels;
  private final long extras;
  private final byte[][] channelTexts;
  private final byte[][] urls;

  Bids(Shared shared) {
    this.shared = shared;
    auctions = seed("auction");
    bidders = seed("bidder");
    prices = seed("price");
    channels = seed("channel");
    extras = seed("extra");
    channelTexts = channelTable();
    urls = urlTable();
  }

  private long seed(String name) {
    return columnSeed(shared.options.seed(), name, "nexmark bid values");
  }

  GenericRowData row(long n) {
    long epoch = n / NexmarkOptions.EVENTS_PER_EPOCH;
    int channel = channel(draw(channels, n));
    GenericRowData row = new GenericRowData(7);
    row.setField(0, auction(draw(auctions, n), epoch));
    row.setField(1, Shared.person(draw(bidders, n), epoch, Shared.HOT_BIDDERS, 1));
    row.setField(2, shared.price(draw(prices, n)));
    row.setField(3, Shared.text(channelTexts[channel].clone()));
    row.setField(4, Shared.text(urls[channel].clone()));
    row.setField(5, TimestampData.fromEpochMillis(shared.time(n)));
    row.setField(6, shared.extra(draw(extras, n), 32, AVERAGE_BYTES));
    return row;
  }

  /** The first of its hundred but once in a ratio, else one in flight or about to come. */
  private static long auction(long x, long epoch) {
    long last = epoch * NexmarkOptions.AUCTIONS_PER_EPOCH + NexmarkOptions.AUCTIONS_PER_EPOCH - 1;
    if (belowLow(x, Shared.HOT_AUCTIONS) > 0) return last / Shared.HOT_EVERY * Shared.HOT_EVERY + Shared.FIRST_ID;
    long least = Math.max(0, last - AUCTIONS_IN_FLIGHT);
    return least + below(x, last - least + 1 + ID_LEAD) + Shared.FIRST_ID;
  }

  /** Every other time one of the four hot ones, which come first. */
  private static int channel(long x) {
    return (x & 1) != 0 ? (int) (x >>> 1) & 3 : 4 + (int) below(x, COLD_CHANNELS);
  }

  private static byte[][] channelTable() {
    byte[][] table = new byte[4 + COLD_CHANNELS][];
    System.arraycopy(Words.HOT_CHANNELS, 0, table, 0, 4);
    for (int i = 0; i < COLD_CHANNELS; i++) table[4 + i] = Words.bytes("channel-" + i);
    return table;
  }

  /** Three directories of 3 or 4 characters; nine of ten cold ones have the channel's number, its bits mirrored. */
  private byte[][] urlTable() {
    byte[][] table = new byte[4 + COLD_CHANNELS][];
    long seed = seed("url");
    long letters = columnSeed(shared.options.seed(), "url", "nexmark bid letters");
    for (int i = 0; i < table.length; i++) {
      long x = draw(seed, i);
      StringBuilder url = new StringBuilder("https://www.nexmark.com/");
      for (int d = 0; d < 3; d++) {
        byte[] directory = new byte[3 + (int) (x >>> d & 1)];
        Words.word(directory, 0, directory.length, draw(letters, (long) i << 2 | d), '_');
        for (byte letter : directory) url.append((char) letter);
        url.append('/');
      }
      url.append("item.htm?query=1");
      if (i >= 4 && below(x, 10) > 0) url.append("&channel_id=").append(Math.abs((long) Integer.reverse(i - 4)));
      table[i] = Words.bytes(url.toString());
    }
    return table;
  }
}
