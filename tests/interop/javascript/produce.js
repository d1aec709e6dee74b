// Publishes the events of a plan (tests/interop/plan.py) with the official SDK for JavaScript.

const { CloudEvent, HTTP, Kafka } = require("cloudevents");
const { Kafka: Client } = require("kafkajs");

function eventOf(plan, one) {
  const attributes = {
    id: one.id,
    source: plan.source,
    type: plan.type,
    subject: one.key,
    time: new Date().toISOString(),
    ...one.extensions,
  };
  if (one.data === null) {
    return new CloudEvent(attributes);
  }
  const encoded = new TextEncoder().encode(JSON.stringify(one.data));
  const data = one.encoding === "bytes" ? encoded : one.data;
  return new CloudEvent({ ...attributes, datacontenttype: one.content_type, data });
}

// The binding leaves it to the client how headers and values are encoded: kafkajs wants text.
function messageOf(one, event) {
  const { headers, value } = Kafka[one.mode](event);
  const present = Object.entries(headers).filter(([, text]) => text !== undefined);
  const isText = value === undefined || typeof value === "string" || ArrayBuffer.isView(value);
  return {
    key: one.key,
    headers: Object.fromEntries(present.map(([name, text]) => [name, String(text)])),
    value: value === undefined ? null : isText ? Buffer.from(value) : JSON.stringify(value),
  };
}

async function overHttp(plan, one, event) {
  const { headers: all, body } = HTTP[one.mode](event);
  const present = Object.entries(all).filter(([, value]) => value !== undefined);
  const headers = Object.fromEntries(present);
  const response = await fetch(plan.gateway, {
    method: "POST",
    headers: { ...headers, authorization: `Bearer ${plan.token}` },
    body,
  });
  if (!response.ok) {
    throw new Error(`${one.id}: ${response.status} ${await response.text()}`);
  }
}

async function main() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const plan = JSON.parse(Buffer.concat(chunks).toString());
  const producer = new Client({ brokers: [plan.kafka], logLevel: 1 }).producer();
  await producer.connect();
  for (const one of plan.events) {
    const event = eventOf(plan, one);
    if (one.transport === "http") {
      await overHttp(plan, one, event);
    } else {
      await producer.send({ topic: plan.topic, messages: [messageOf(one, event)] });
    }
  }
  await producer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1); // the connection to Kafka would keep it running
});
