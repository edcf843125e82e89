package millrace.nexmark;

import java.util.Collection;
import java.util.List;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.LookupTableSource;
import org.apache.flink.table.connector.source.lookup.LookupFunctionProvider;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.LookupFunction;

/** Connector 'side': query 13's side input, `key BIGINT, value VARCHAR`, of `rows` rows i, i, held whole as a CSV file would be. */
public final class SideTables implements DynamicTableSourceFactory {
  private static final ConfigOption<Integer> ROWS = ConfigOptions.key("rows").intType().defaultValue(10_000);

  @Override
  public String factoryIdentifier() {
    return "side";
  }

  @Override
  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of();
  }

  @Override
  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of(ROWS);
  }

  @Override
  public DynamicTableSource createDynamicTableSource(Context context) {
    FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
    helper.validate();
    ReadableConfig given = helper.getOptions();
    return new Side(given.get(ROWS));
  }

  private record Side(int rows) implements LookupTableSource {
    @Override
    public LookupRuntimeProvider getLookupRuntimeProvider(LookupContext context) {
      return LookupFunctionProvider.of(new Lookup(rows));
    }

    @Override
    public DynamicTableSource copy() {
      return this;
    }

    @Override
    public String asSummaryString() {
      return "side";
    }
  }

  /** Public for the code that Flink generates. */
  public static final class Lookup extends LookupFunction {
    private static final long serialVersionUID = 1;
    private final int rows;
    private transient List<RowData>[] found;

    Lookup(int rows) {
      this.rows = rows;
    }

    @Override
    @SuppressWarnings("unchecked")
    public void open(FunctionContext context) {
      found = new List[rows];
      for (int i = 0; i < rows; i++) {
        found[i] = List.of(GenericRowData.of((long) i, StringData.fromString(Integer.toString(i))));
      }
    }

    @Override
    public Collection<RowData> lookup(RowData key) {
      long wanted = key.getLong(0);
      return wanted >= 0 && wanted < rows ? found[(int) wanted] : List.of();
    }
  }
}
