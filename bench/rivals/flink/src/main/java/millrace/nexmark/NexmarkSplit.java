package millrace.nexmark;

import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Every `of`-th stripe of the events, from stripe `index` on, as our source splits them.
 *
 * @param position how many of its events have been made
 */
record NexmarkSplit(int index, int of, long position) implements SourceSplit, Serializable {
  /** Events of a stripe: 89 epochs. */
  static final long STRIPE = 89 * NexmarkOptions.EVENTS_PER_EPOCH;

  @Override
  public String splitId() {
    return index + " of " + of;
  }

  /** The number of the event at a position. */
  long event(long position) {
    return (position / STRIPE * of + index) * STRIPE + position % STRIPE;
  }

  private static final int BYTES = 16;

  /** Of one split, and of a list of them. */
  static final SimpleVersionedSerializer<NexmarkSplit> SERIALIZER =
      new SimpleVersionedSerializer<>() {
        @Override
        public int getVersion() {
          return 1;
        }

        @Override
        public byte[] serialize(NexmarkSplit split) {
          return ByteBuffer.allocate(BYTES).putInt(split.index).putInt(split.of).putLong(split.position).array();
        }

        @Override
        public NexmarkSplit deserialize(int version, byte[] bytes) {
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          return new NexmarkSplit(buffer.getInt(), buffer.getInt(), buffer.getLong());
        }
      };

  static final SimpleVersionedSerializer<List<NexmarkSplit>> LIST_SERIALIZER =
      new SimpleVersionedSerializer<>() {
        @Override
        public int getVersion() {
          return 1;
        }

        @Override
        public byte[] serialize(List<NexmarkSplit> splits) throws IOException {
          ByteBuffer buffer = ByteBuffer.allocate(splits.size() * BYTES);
          for (NexmarkSplit split : splits) buffer.put(SERIALIZER.serialize(split));
          return buffer.array();
        }

        @Override
        public List<NexmarkSplit> deserialize(int version, byte[] bytes) throws IOException {
          List<NexmarkSplit> splits = new ArrayList<>();
          for (int at = 0; at < bytes.length; at += BYTES) {
            byte[] split = new byte[BYTES];
            System.arraycopy(bytes, at, split, 0, BYTES);
            splits.add(SERIALIZER.deserialize(version, split));
          }
          return splits;
        }
      };
}
