package dev.busbar.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.message.MessageWriter;
import io.cloudevents.http.HttpMessageFactory;
import io.cloudevents.jackson.JsonCloudEventData;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.KafkaMessageFactory;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.OffsetDateTime;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Publishes the events of a plan (tests/interop/plan.py) with the official SDK for Java. */
public final class Produce {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final JsonNode plan;

  private Produce(JsonNode plan) {
    this.plan = plan;
  }

  /** Reads the plan from standard input. */
  public static void main(String[] arguments) throws Exception {
    new Produce(JSON.readTree(System.in)).publish();
  }

  private void publish() throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", text("kafka"), "acks", "all");
    try (var producer =
        new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
      for (JsonNode one : plan.get("events")) {
        CloudEvent event = eventOf(one);
        if (one.get("transport").asText().equals("kafka")) {
          producer.send(record(one, event)).get();
        } else {
          post(one, event);
        }
      }
    }
  }

  private CloudEvent eventOf(JsonNode one) throws Exception {
    CloudEventBuilder event =
        CloudEventBuilder.v1()
            .withId(one.get("id").asText())
            .withSource(URI.create(text("source")))
            .withType(text("type"))
            .withSubject(one.get("key").asText())
            .withTime(OffsetDateTime.now());
    for (var extension : one.get("extensions").properties()) {
      JsonNode value = extension.getValue();
      if (value.isInt()) {
        event.withExtension(extension.getKey(), Integer.valueOf(value.asInt()));
      } else if (value.isBoolean()) {
        event.withExtension(extension.getKey(), Boolean.valueOf(value.asBoolean()));
      } else {
        event.withExtension(extension.getKey(), value.asText());
      }
    }
    JsonNode data = one.get("data");
    String type = one.get("content_type").asText();
    if (data.isNull()) {
      return event.build();
    }
    if (one.get("encoding").asText().equals("bytes")) {
      return event.withData(type, JSON.writeValueAsBytes(data)).build();
    }
    return event.withData(type, JsonCloudEventData.wrap(data)).build();
  }

  private ProducerRecord<String, byte[]> record(JsonNode one, CloudEvent event) {
    return write(
        one,
        event,
        KafkaMessageFactory.createWriter(text("topic"), one.get("key").asText()));
  }

  private void post(JsonNode one, CloudEvent event) throws Exception {
    var request =
        HttpRequest.newBuilder(URI.create(text("gateway")))
            .header("Authorization", "Bearer " + text("token"));
    var body = new byte[1][0];
    write(
        one, event, HttpMessageFactory.createWriter(request::header, bytes -> body[0] = bytes));
    request.POST(HttpRequest.BodyPublishers.ofByteArray(body[0] == null ? new byte[0] : body[0]));
    var response =
        HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    if (response.statusCode() != 202) {
      throw new IllegalStateException(
          event.getId() + ": " + response.statusCode() + " " + response.body());
    }
  }

  private static <R> R write(JsonNode one, CloudEvent event, MessageWriter<?, R> writer) {
    if (one.get("mode").asText().equals("binary")) {
      return writer.writeBinary(event);
    }
    return writer.writeStructured(event, JsonFormat.CONTENT_TYPE);
  }

  private String text(String name) {
    return plan.get(name).asText();
  }
}
