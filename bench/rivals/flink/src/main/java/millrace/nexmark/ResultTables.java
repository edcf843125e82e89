package millrace.nexmark;

import java.util.List;
import java.util.Set;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.types.RowKind;

/** Where result rows end: counted, as Flink's own blackhole takes them, or summed by their hashes. */
public abstract class ResultTables implements DynamicTableSinkFactory {
  /** Connector 'counted': Flink's blackhole, with a count. What a row replaces is not sent, as there. */
  public static final class Counted extends ResultTables {
    @Override
    public String factoryIdentifier() {
      return "counted";
    }
  }

  /** Connector 'digest': every byte of every row, and what is taken back. */
  public static final class Digest extends ResultTables {
    @Override
    public String factoryIdentifier() {
      return "digest";
    }
  }

  @Override
  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of();
  }

  @Override
  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of();
  }

  @Override
  public DynamicTableSink createDynamicTableSink(Context context) {
    List<LogicalType> types = context.getPhysicalRowDataType().getLogicalType().getChildren();
    return new ResultSink(this instanceof Digest ? new RowHash(types) : null);
  }

  /** @param hash null: rows are counted only */
  private record ResultSink(RowHash hash) implements DynamicTableSink {
    @Override
    public ChangelogMode getChangelogMode(ChangelogMode requested) {
      ChangelogMode.Builder mode = ChangelogMode.newBuilder();
      for (RowKind kind : requested.getContainedKinds()) {
        if (hash != null || kind != RowKind.UPDATE_BEFORE) mode.addContainedKind(kind);
      }
      return mode.build();
    }

    @Override
    public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
      RowHash hash = this.hash;
      return SinkV2Provider.of(hash == null ? new CountingSink() : new DigestSink(hash));
    }

    @Override
    public DynamicTableSink copy() {
      return this;
    }

    @Override
    public String asSummaryString() {
      return hash == null ? "counted" : "digest";
    }
  }

  private static final class CountingSink implements Sink<RowData> {
    private static final long serialVersionUID = 1;

    @Override
    public SinkWriter<RowData> createWriter(WriterInitContext context) {
      return new SinkWriter<>() {
        private long rows;

        @Override
        public void write(RowData row, Context context) {
          rows++;
        }

        @Override
        public void flush(boolean end) {}

        @Override
        public void close() {
          Results.ROWS.addAndGet(rows);
        }
      };
    }
  }

  private static final class DigestSink implements Sink<RowData> {
    private static final long serialVersionUID = 1;
    private final RowHash hash;

    DigestSink(RowHash hash) {
      this.hash = hash;
    }

    @Override
    public SinkWriter<RowData> createWriter(WriterInitContext context) {
      return new SinkWriter<>() {
        private long rows;
        private long net;
        private long sum;

        @Override
        public void write(RowData row, Context context) {
          RowKind kind = row.getRowKind();
          boolean added = kind == RowKind.INSERT || kind == RowKind.UPDATE_AFTER;
          rows++;
          net += added ? 1 : -1;
          sum += added ? hash.of(row) : -hash.of(row);
        }

        @Override
        public void flush(boolean end) {}

        @Override
        public void close() {
          Results.ROWS.addAndGet(rows);
          Results.NET.addAndGet(net);
          Results.SUM.addAndGet(sum);
        }
      };
    }
  }
}
