package millrace.nexmark;

import static millrace.nexmark.Chance.below;
import static millrace.nexmark.Chance.columnSeed;
import static millrace.nexmark.Chance.draw;

import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.TimestampData;

/** Auctions: id, itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra. */
final class Auctions {
  private static final int FIRST_CATEGORY = 10;
  private static final int CATEGORIES = 5;
  private static final int EVENTS_IN_FLIGHT = 1666;
  private static final int AVERAGE_BYTES = 500;

  private final Shared shared;
  private final long itemNames;
  private final long itemNameLetters;
  private final long descriptions;
  private final long descriptionLetters;
  private final long initialBids;
  private final long reserves;
  private final long expires;
  private final long sellers;
  private final long categories;
  private final long extras;
  private final long life;

  Auctions(Shared shared) {
    this.shared = shared;
    itemNames = seed("itemName", "values");
    itemNameLetters = seed("itemName", "letters");
    descriptions = seed("description", "values");
    descriptionLetters = seed("description", "letters");
    initialBids = seed("initialBid", "values");
    reserves = seed("reserve", "values");
    expires = seed("expires", "values");
    sellers = seed("seller", "values");
    categories = seed("category", "values");
    extras = seed("extra", "values");
    life = Math.max(1, 2 * (long) Math.floor(EVENTS_IN_FLIGHT * 1000.0 / shared.options.rate()));
  }

  private long seed(String name, String purpose) {
    return columnSeed(shared.options.seed(), name, "nexmark auction " + purpose);
  }

  GenericRowData row(long n) {
    long epoch = n / NexmarkOptions.EVENTS_PER_EPOCH;
    long place = n % NexmarkOptions.EVENTS_PER_EPOCH - 1;
    byte[] itemName = Words.word(draw(itemNames, n), draw(itemNameLetters, n), 20);
    byte[] description = Words.word(draw(descriptions, n), draw(descriptionLetters, n), 100);
    long initialBid = shared.price(draw(initialBids, n));
    long time = shared.time(n);
    GenericRowData row = new GenericRowData(10);
    row.setField(0, epoch * NexmarkOptions.AUCTIONS_PER_EPOCH + place + Shared.FIRST_ID);
    row.setField(1, Shared.text(itemName));
    row.setField(2, Shared.text(description));
    row.setField(3, initialBid);
    row.setField(4, initialBid + shared.price(draw(reserves, n)));
    row.setField(5, TimestampData.fromEpochMillis(time));
    row.setField(6, TimestampData.fromEpochMillis(time + 1 + below(draw(expires, n), life)));
    row.setField(7, Shared.person(draw(sellers, n), epoch, Shared.HOT_SELLERS, 0));
    row.setField(8, FIRST_CATEGORY + below(draw(categories, n), CATEGORIES));
    row.setField(9, shared.extra(draw(extras, n), 48 + itemName.length + description.length, AVERAGE_BYTES));
    return row;
  }
}
