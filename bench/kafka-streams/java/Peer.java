import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.UncheckedIOException;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * The jobs of the measured programs (bench/src/children) in Kafka Streams: one thread, its defaults, RocksDB, and commits each
 * second unless `COMMIT` says otherwise, as here. Takes the job as its argument, and everything else from the environment, as those do.
 */
public final class Peer {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long TOTAL = Long.parseLong(env("RECORDS", "0"));
  private static long seen = 0;
  private static long fromNanos = 0;

  public static void main(String[] args) throws Exception {
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, String> input = builder.stream(env("INPUT", ""));
    switch (args[0]) {
      case "map" -> input.mapValues(Peer::doubled).to(env("OUTPUT", ""));
      case "count" -> byUser(input).count(Materialized.as("counts"));
      case "windowed-count" ->
          byUser(input).windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofMinutes(1))).count();
      case "join" ->
          input.join(builder.<String, String>stream(env("OTHER", "")), Peer::pair,
                  JoinWindows.ofTimeDifferenceWithNoGrace(Duration.ofMillis(Long.parseLong(env("WITHIN", "0")))))
              .to(env("OUTPUT", ""));
      default -> throw new IllegalArgumentException("No such job: " + args[0]);
    }
    KafkaStreams streams = new KafkaStreams(builder.build(), config());
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(leaving())));
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.RUNNING) System.out.println("{\"mark\":\"running\"}");
        });
    streams.start();
  }

  /** Leaves the group, so that the next process need not wait for a session to end. */
  private static CloseOptions leaving() {
    return CloseOptions.timeout(Duration.ofSeconds(5))
        .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP);
  }

  /** The key is the user already. The value is parsed, as everywhere. */
  private static org.apache.kafka.streams.kstream.KGroupedStream<String, String> byUser(KStream<String, String> input) {
    return input
        .mapValues(value -> parse(value).get("user").asText())
        .peek((key, value) -> count())
        .groupByKey(Grouped.with(Serdes.String(), Serdes.String()));
  }

  private static void count() {
    seen++;
    if (seen == TOTAL / 10) {
      fromNanos = System.nanoTime();
      System.out.println("{\"mark\":\"begun\"}");
    }
    if (seen == TOTAL / 10 * 9) {
      double rate = (TOTAL * 0.8 * 1e9) / (System.nanoTime() - fromNanos);
      System.out.println("{\"mark\":\"done\",\"rate\":" + rate + "}");
    }
    if (seen == TOTAL) System.out.println("{\"mark\":\"all\"}");
  }

  private static String doubled(String value) {
    ObjectNode payment = (ObjectNode) parse(value);
    return payment.put("amount", payment.get("amount").asLong() * 2).toString();
  }

  private static String pair(String left, String right) {
    ObjectNode pair = JSON.createObjectNode();
    pair.set("left", parse(left).get("n"));
    pair.set("right", parse(right).get("n"));
    return pair.toString();
  }

  private static JsonNode parse(String value) {
    try {
      return JSON.readTree(value);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static Properties config() throws IOException {
    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, env("GROUP", ""));
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("BROKERS", ""));
    config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.String().getClass());
    config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.String().getClass());
    if (env("GUARANTEE", "").equals("exactly-once"))
      config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, Integer.parseInt(env("COMMIT", "1000")));
    config.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("bench-kafka-streams").toString());
    config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    return config;
  }

  private static String env(String name, String fallback) {
    String value = System.getenv(name);
    return value == null ? fallback : value;
  }
}
