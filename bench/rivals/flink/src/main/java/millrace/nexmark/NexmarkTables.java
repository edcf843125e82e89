package millrace.nexmark;

import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.SourceProvider;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;

/** Connector 'nexmark'. It makes whole events: nothing is pushed into it. */
public final class NexmarkTables implements DynamicTableSourceFactory {
  private static final ConfigOption<Long> EVENTS = ConfigOptions.key("events").longType().noDefaultValue();
  private static final ConfigOption<Long> SEED = ConfigOptions.key("seed").longType().defaultValue(0L);
  private static final ConfigOption<Double> RATE = ConfigOptions.key("rate").doubleType().defaultValue(10_000.0);
  /** 2015-07-15. */
  private static final ConfigOption<Long> START =
      ConfigOptions.key("start").longType().defaultValue(1_436_918_400_000L);

  @Override
  public String factoryIdentifier() {
    return "nexmark";
  }

  @Override
  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of(EVENTS);
  }

  @Override
  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of(SEED, RATE, START);
  }

  @Override
  public DynamicTableSource createDynamicTableSource(Context context) {
    FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
    helper.validate();
    ReadableConfig given = helper.getOptions();
    return new Scan(new NexmarkOptions(given.get(EVENTS), given.get(SEED), given.get(RATE), given.get(START)));
  }

  private record Scan(NexmarkOptions options) implements ScanTableSource {
    @Override
    public ChangelogMode getChangelogMode() {
      return ChangelogMode.insertOnly();
    }

    @Override
    public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
      return SourceProvider.of(new NexmarkSource(options));
    }

    @Override
    public DynamicTableSource copy() {
      return this;
    }

    @Override
    public String asSummaryString() {
      return "nexmark";
    }
  }
}
