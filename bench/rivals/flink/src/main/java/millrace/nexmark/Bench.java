package millrace.nexmark;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.TableDescriptor;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.util.FileUtils;

/**
 * Runs queries one after the other, each in a cluster of its own in this process: `Bench SQL-DIRECTORY`. A line of standard
 * input is a run, `query,parallelism,backend,events,sink` with backend `hashmap` or `rocksdb` and sink `counted` or `digest`;
 * it is answered by a line of JSON. A run's classes are compiled by the runs before: ask for each once, smaller, to warm up.
 */
public final class Bench {
  private Bench() {}

  public static void main(String[] args) throws Exception {
    Locale.setDefault(Locale.ROOT);
    Path directory = Path.of(args[0]);
    BufferedReader runs = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String run = runs.readLine(); run != null; run = runs.readLine()) {
      String[] parts = run.split(",");
      try {
        run(directory, parts[0], Integer.parseInt(parts[1]), parts[2], Long.parseLong(parts[3]), parts[4]);
      } catch (Exception failure) {
        failure.printStackTrace();
        System.out.printf("{\"error\":\"%s\"}%n", run);
      }
    }
    System.exit(0);
  }

  private static void run(Path directory, String query, int parallelism, String backend, long events, String sink)
      throws Exception {
    StreamTableEnvironment tables = environment(parallelism, backend);
    for (String statement : statements(directory.resolve("nexmark.sql"))) {
      tables.executeSql(statement.replace("${events}", Long.toString(events)));
    }
    Path files = Files.createTempDirectory("nexmark-flink-");
    System.gc();
    Results.clear();
    TableResult result = null;
    for (String statement : statements(directory.resolve(query + ".sql"))) {
      boolean selects = statement.startsWith("SELECT") || statement.startsWith("WITH");
      result =
          selects
              ? tables.sqlQuery(statement).executeInsert(TableDescriptor.forConnector(sink).build())
              : tables.executeSql(statement.replace("${directory}", files.toString()));
    }
    result.await();
    double ms = Results.elapsedMs();
    double cpuMs = Results.cpuMs();
    FileUtils.deleteDirectory(files.toFile());
    String digest = sink.equals("digest") ? "\"" + Results.digest() + "\"" : "null";
    System.out.printf(
        "{\"ms\":%.1f,\"cpuMs\":%.1f,\"rowsOut\":%d,\"digest\":%s}%n", ms, cpuMs, Results.ROWS.get(), digest);
  }

  /** The settings of a fair run: objects are reused, changes are batched, distinct aggregation is split, no checkpoints. */
  private static StreamTableEnvironment environment(int parallelism, String backend) {
    Configuration settings = new Configuration();
    settings.setString("parallelism.default", Integer.toString(parallelism));
    settings.setString("taskmanager.numberOfTaskSlots", Integer.toString(parallelism));
    settings.setString("taskmanager.memory.network.min", "256mb");
    settings.setString("taskmanager.memory.network.max", "256mb");
    settings.setString("taskmanager.memory.managed.size", "1200mb");
    settings.setString("state.backend.type", backend);
    settings.setString("pipeline.object-reuse", "true");
    settings.setString("execution.checkpointing.checkpoints-after-tasks-finish", "false");
    settings.setString("table.exec.mini-batch.enabled", "true");
    settings.setString("table.exec.mini-batch.allow-latency", "2s");
    settings.setString("table.exec.mini-batch.size", "50000");
    settings.setString("table.optimizer.distinct-agg.split.enabled", "true");
    settings.setString("table.local-time-zone", "UTC");
    StreamExecutionEnvironment streams =
        StreamExecutionEnvironment.createLocalEnvironment(parallelism, settings);
    StreamTableEnvironment tables = StreamTableEnvironment.create(streams);
    tables.createTemporarySystemFunction("count_char", CountChar.class);
    return tables;
  }

  /** What stands between semicolons. */
  private static List<String> statements(Path file) throws Exception {
    String text = Files.readString(file).replaceAll("(?m)^--.*$", "");
    return List.of(text.split(";")).stream().map(String::strip).filter(part -> !part.isEmpty()).toList();
  }
}
