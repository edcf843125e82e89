package millrace.nexmark;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.table.data.RowData;

/** The events as a source of Flink's: a split for each of its subtasks, whose state is a number. */
final class NexmarkSource implements Source<RowData, NexmarkSplit, List<NexmarkSplit>> {
  private static final long serialVersionUID = 1;
  private final NexmarkOptions options;

  NexmarkSource(NexmarkOptions options) {
    this.options = options;
  }

  @Override
  public Boundedness getBoundedness() {
    return Boundedness.BOUNDED;
  }

  @Override
  public SourceReader<RowData, NexmarkSplit> createReader(SourceReaderContext context) {
    return new NexmarkReader(options);
  }

  @Override
  public SplitEnumerator<NexmarkSplit, List<NexmarkSplit>> createEnumerator(
      SplitEnumeratorContext<NexmarkSplit> context) {
    int parallelism = context.currentParallelism();
    List<NexmarkSplit> splits = new ArrayList<>();
    for (int i = 0; i < parallelism; i++) splits.add(new NexmarkSplit(i, parallelism, 0));
    return new Enumerator(context, splits);
  }

  @Override
  public SplitEnumerator<NexmarkSplit, List<NexmarkSplit>> restoreEnumerator(
      SplitEnumeratorContext<NexmarkSplit> context, List<NexmarkSplit> splits) {
    return new Enumerator(context, splits);
  }

  @Override
  public SimpleVersionedSerializer<NexmarkSplit> getSplitSerializer() {
    return NexmarkSplit.SERIALIZER;
  }

  @Override
  public SimpleVersionedSerializer<List<NexmarkSplit>> getEnumeratorCheckpointSerializer() {
    return NexmarkSplit.LIST_SERIALIZER;
  }

  /** Gives each reader its share of the splits when it comes. */
  private static final class Enumerator implements SplitEnumerator<NexmarkSplit, List<NexmarkSplit>> {
    private final SplitEnumeratorContext<NexmarkSplit> context;
    private final List<NexmarkSplit> waiting;

    Enumerator(SplitEnumeratorContext<NexmarkSplit> context, List<NexmarkSplit> splits) {
      this.context = context;
      waiting = new ArrayList<>(splits);
    }

    @Override
    public void start() {}

    @Override
    public void addReader(int subtask) {
      for (NexmarkSplit split : List.copyOf(waiting)) {
        if (split.index() % context.currentParallelism() != subtask) continue;
        waiting.remove(split);
        context.assignSplit(split, subtask);
      }
      context.signalNoMoreSplits(subtask);
    }

    @Override
    public void handleSplitRequest(int subtask, String host) {}

    @Override
    public void addSplitsBack(List<NexmarkSplit> splits, int subtask) {
      waiting.addAll(splits);
    }

    @Override
    public List<NexmarkSplit> snapshotState(long checkpoint) {
      return List.copyOf(waiting);
    }

    @Override
    public void close() {}
  }
}
