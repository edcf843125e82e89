package millrace.nexmark;

import java.io.Serializable;

/**
 * What the events are. Event n is a function of the seed and n alone.
 *
 * @param events of all three kinds
 * @param rate events to a second of event time
 * @param startMs event time of event 0, milliseconds since 1970
 */
record NexmarkOptions(long events, long seed, double rate, long startMs) implements Serializable {
  /** Of 50 events in a row the first is a person, three are auctions, 46 are bids. */
  static final int EVENTS_PER_EPOCH = 50;

  static final int AUCTIONS_PER_EPOCH = 3;
}
