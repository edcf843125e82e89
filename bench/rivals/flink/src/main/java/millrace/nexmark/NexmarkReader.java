package millrace.nexmark;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.table.data.RowData;

/** Makes the events of its splits, one split after the other, some at a call. */
final class NexmarkReader implements SourceReader<RowData, NexmarkSplit> {
  /** Events at a call: enough that the call costs nothing. */
  private static final int EVENTS_AT_ONCE = 50;

  private final NexmarkOptions options;
  private final Deque<NexmarkSplit> waiting = new ArrayDeque<>();
  private final CompletableFuture<Void> assigned = new CompletableFuture<>();
  private Events events;
  private NexmarkSplit split;
  private long position;
  private boolean last;

  NexmarkReader(NexmarkOptions options) {
    this.options = options;
  }

  @Override
  public void start() {
    events = new Events(options);
    Results.begin();
  }

  @Override
  public InputStatus pollNext(ReaderOutput<RowData> output) {
    if (split == null) {
      split = waiting.poll();
      if (split == null) return last ? InputStatus.END_OF_INPUT : InputStatus.NOTHING_AVAILABLE;
      position = split.position();
    }
    for (int i = 0; i < EVENTS_AT_ONCE; i++) {
      long n = split.event(position);
      if (n >= options.events()) {
        split = null;
        break;
      }
      position++;
      output.collect(events.event(n));
    }
    return InputStatus.MORE_AVAILABLE;
  }

  @Override
  public List<NexmarkSplit> snapshotState(long checkpoint) {
    List<NexmarkSplit> splits = new ArrayList<>(waiting);
    if (split != null) splits.add(new NexmarkSplit(split.index(), split.of(), position));
    return splits;
  }

  @Override
  public CompletableFuture<Void> isAvailable() {
    return assigned;
  }

  @Override
  public void addSplits(List<NexmarkSplit> splits) {
    waiting.addAll(splits);
    assigned.complete(null);
  }

  @Override
  public void notifyNoMoreSplits() {
    last = true;
    assigned.complete(null);
  }

  @Override
  public void close() {}
}
