package millrace.nexmark;

import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;

/** The sequence of events: (event_type, person, auction, bid), of which one is there. Every column is made, with fresh bytes. */
final class Events {
  private final Persons persons;
  private final Auctions auctions;
  private final Bids bids;

  Events(NexmarkOptions options) {
    Shared shared = new Shared(options);
    persons = new Persons(shared);
    auctions = new Auctions(shared);
    bids = new Bids(shared);
  }

  RowData event(long n) {
    int place = (int) (n % NexmarkOptions.EVENTS_PER_EPOCH);
    int type = place < 1 ? 0 : place < 4 ? 1 : 2;
    GenericRowData row = new GenericRowData(4);
    row.setField(0, type);
    row.setField(1 + type, type == 0 ? persons.row(n) : type == 1 ? auctions.row(n) : bids.row(n));
    return row;
  }
}
