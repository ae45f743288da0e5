import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Properties;
import java.util.TreeSet;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.test.TestRecord;

/**
 * Answers scenarios as Kafka Streams does. Reads an array of scenarios (see src/lib/scenario.ts) from standard input and
 * prints an array of answers. Each record is handled to its end before the next one is read, so answers depend on the
 * scenario alone.
 */
public final class Answers {
  private static final ObjectMapper JSON = new ObjectMapper();
  /** By default, a window is gone from the store when it has closed, and after a leap in time before it has closed. */
  private static final Materialized<String, String, WindowStore<Bytes, byte[]>> KEPT =
      Materialized.<String, String, WindowStore<Bytes, byte[]>>with(Serdes.String(), Serdes.String())
          .withRetention(Duration.ofHours(1));

  public static void main(String[] args) throws Exception {
    ArrayNode answers = JSON.createArrayNode();
    for (JsonNode scenario : JSON.readTree(System.in)) answers.add(answer(scenario));
    System.out.println(JSON.writeValueAsString(answers));
  }

  private static JsonNode answer(JsonNode scenario) {
    JsonNode operator = scenario.get("operator");
    JsonNode records = scenario.get("records");
    ObjectNode answer = JSON.createObjectNode();
    ArrayNode late = JSON.createArrayNode();
    answer.set("results", results(topology(operator, false), records, late));
    if (!operator.has("join")) answer.set("closed", results(topology(operator, true), records, JSON.createArrayNode()));
    answer.set("late", operator.has("join") ? withValue(late, records) : late);
    return answer;
  }

  /** What each record gives; and into `late`, the numbers of those that were dropped and gave nothing. */
  private static ArrayNode results(Topology topology, JsonNode records, ArrayNode late) {
    ArrayNode results = JSON.createArrayNode();
    try (TopologyTestDriver driver = new TopologyTestDriver(topology, config(), Instant.EPOCH)) {
      TestOutputTopic<String, String> output =
          driver.createOutputTopic("output", new StringDeserializer(), new StringDeserializer());
      TestInputTopic<String, String> left =
          driver.createInputTopic("left", new StringSerializer(), new StringSerializer());
      TestInputTopic<String, String> right =
          driver.createInputTopic("right", new StringSerializer(), new StringSerializer());
      int number = 0;
      for (JsonNode record : records) {
        double dropped = dropped(driver);
        (record.get("topic").asText().equals("left") ? left : right)
            .pipeInput(text(record, "key"), text(record, "value"), record.get("timestamp").asLong());
        List<TestRecord<String, String>> found = output.readRecordsToList();
        for (TestRecord<String, String> each : found) results.add(result(number, each));
        if (dropped(driver) > dropped && found.isEmpty()) late.add(number);
        number++;
      }
    }
    return results;
  }

  /** Joins drop records without a value, and count them as they do late ones. */
  private static ArrayNode withValue(ArrayNode late, JsonNode records) {
    ArrayNode kept = JSON.createArrayNode();
    for (JsonNode number : late) if (!records.get(number.asInt()).get("value").isNull()) kept.add(number);
    return kept;
  }

  private static ObjectNode result(int after, TestRecord<String, String> record) {
    ObjectNode result = JSON.createObjectNode();
    result.put("after", after);
    String[] parts = record.key() == null ? new String[] {null} : record.key().split("@");
    result.put("key", parts[0]);
    if (parts.length > 1) {
      ArrayNode window = result.putArray("window");
      for (String end : parts[1].split("-")) window.add(Long.parseLong(end));
    }
    result.put("value", record.value());
    result.put("timestamp", record.timestamp());
    return result;
  }

  private static Topology topology(JsonNode operator, boolean close) {
    StreamsBuilder builder = new StreamsBuilder();
    EmitStrategy emit = close ? EmitStrategy.onWindowClose() : EmitStrategy.onWindowUpdate();
    Duration grace = span(operator, "grace");
    switch (operator.get("kind").asText()) {
      case "tumbling" ->
          toOutput(byWindow(builder, TimeWindows.ofSizeAndGrace(span(operator, "size"), grace), emit));
      case "hopping" ->
          toOutput(byWindow(builder,
              TimeWindows.ofSizeAndGrace(span(operator, "size"), grace).advanceBy(span(operator, "every")), emit));
      case "sliding" ->
          toOutput(builder.<String, String>stream("left").groupByKey()
              .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(span(operator, "difference"), grace))
              .emitStrategy(emit)
              .aggregate(() -> "", Answers::add, KEPT));
      case "session" ->
          toOutput(builder.<String, String>stream("left").groupByKey()
              .windowedBy(SessionWindows.ofInactivityGapAndGrace(span(operator, "gap"), grace))
              .emitStrategy(emit)
              .aggregate(() -> "", Answers::add, (key, a, b) -> together(a, b)));
      case "stream-stream" -> streamStream(builder, operator, grace);
      case "stream-table" -> streamTable(builder, operator);
      case "global-table" -> globalTable(builder, operator);
      case "table-table" -> tableTable(builder, operator);
      case "foreign-key" -> foreignKey(builder, operator);
      default -> throw new IllegalArgumentException("No such operator: " + operator);
    }
    // So that all scenarios have two inputs.
    if (!operator.has("join")) builder.stream("right");
    return builder.build();
  }

  private static KTable<Windowed<String>, String> byWindow(
      StreamsBuilder builder, TimeWindows windows, EmitStrategy emit) {
    return builder.<String, String>stream("left").groupByKey()
        .windowedBy(windows).emitStrategy(emit).aggregate(() -> "", Answers::add, KEPT);
  }

  private static void toOutput(KTable<Windowed<String>, String> table) {
    table.toStream()
        .map((key, value) -> KeyValue.pair(key.key() + "@" + key.window().start() + "-" + key.window().end(), value))
        .to("output");
  }

  private static void streamStream(StreamsBuilder builder, JsonNode operator, Duration grace) {
    KStream<String, String> left = builder.stream("left");
    KStream<String, String> right = builder.stream("right");
    JoinWindows windows = JoinWindows.ofTimeDifferenceAndGrace(Duration.ZERO, grace)
        .before(span(operator, "before")).after(span(operator, "after"));
    switch (operator.get("join").asText()) {
      case "inner" -> left.join(right, Answers::pair, windows).to("output");
      case "left" -> left.leftJoin(right, Answers::pair, windows).to("output");
      default -> left.outerJoin(right, Answers::pair, windows).to("output");
    }
  }

  private static void streamTable(StreamsBuilder builder, JsonNode operator) {
    KStream<String, String> given = builder.stream("left");
    KStream<String, String> left =
        operator.get("on").asBoolean() ? given.selectKey((key, value) -> reference(value)) : given;
    KTable<String, String> right = builder.table("right");
    (operator.get("join").asText().equals("inner")
        ? left.join(right, Answers::pair) : left.leftJoin(right, Answers::pair)).to("output");
  }

  private static void globalTable(StreamsBuilder builder, JsonNode operator) {
    KStream<String, String> left = builder.stream("left");
    GlobalKTable<String, String> right = builder.globalTable("right");
    KeyValueMapper<String, String, String> on = (key, value) -> reference(value);
    (operator.get("join").asText().equals("inner")
        ? left.join(right, on, Answers::pair) : left.leftJoin(right, on, Answers::pair)).to("output");
  }

  private static void tableTable(StreamsBuilder builder, JsonNode operator) {
    KTable<String, String> left = builder.table("left");
    KTable<String, String> right = builder.table("right");
    KTable<String, String> joined = switch (operator.get("join").asText()) {
      case "inner" -> left.join(right, Answers::pair);
      case "left" -> left.leftJoin(right, Answers::pair);
      default -> left.outerJoin(right, Answers::pair);
    };
    joined.toStream().to("output");
  }

  private static void foreignKey(StreamsBuilder builder, JsonNode operator) {
    KTable<String, String> left = builder.table("left");
    KTable<String, String> right = builder.table("right");
    (operator.get("join").asText().equals("inner")
        ? left.join(right, Answers::reference, Answers::pair)
        : left.leftJoin(right, Answers::reference, Answers::pair)).toStream().to("output");
  }

  /** The values of a window, sorted: in which order they came does not matter to a result. */
  private static String add(String key, String value, String soFar) {
    return together(soFar, value == null ? "null" : value);
  }

  private static String together(String one, String other) {
    TreeSet<String> all = new TreeSet<>();
    for (String each : (one + " " + other).trim().split(" ")) all.add(each);
    return String.join(" ", all);
  }

  private static String pair(String left, String right) {
    return (left == null ? "" : left) + "-" + (right == null ? "" : right);
  }

  /** What a value such as "a/12" refers to; "/12" refers to nothing. */
  private static String reference(String value) {
    if (value == null || value.startsWith("/")) return null;
    return value.substring(0, value.indexOf('/'));
  }

  private static Duration span(JsonNode operator, String name) {
    return Duration.ofMillis(operator.path(name).asLong());
  }

  private static String text(JsonNode record, String field) {
    return record.get(field).isNull() ? null : record.get(field).asText();
  }

  private static double dropped(TopologyTestDriver driver) {
    return driver.metrics().entrySet().stream()
        .filter(metric -> metric.getKey().name().equals("dropped-records-total"))
        .mapToDouble(metric -> ((Number) metric.getValue().metricValue()).doubleValue()).sum();
  }

  private static Properties config() {
    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, "answers");
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:9092");
    config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    // Results that wait for time come with the record that moves time, not by the clock.
    config.put("__emit.interval.ms.kstreams.outer.join.spurious.results.fix__", 0L);
    config.put("__emit.interval.ms.kstreams.windowed.aggregation__", 0L);
    config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0L);
    return config;
  }
}
