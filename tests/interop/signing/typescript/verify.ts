// Says what it thinks of every key and record of contracts/signing-vectors.json, and signs a record
// that it reads from standard input. It follows docs/signing.md, with the library of Node only.

import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";

interface Key {
  name: string;
  public_key: string;
}

interface KafkaRecord extends Key {
  topic: string;
  key: string | null;
  headers: [string, string | null][];
  value: string | null;
}

interface Vectors {
  keys: { accepted: Key[]; refused: Key[] };
  records: { accepted: KafkaRecord[]; refused: KafkaRecord[] };
}

type Code = "unsigned" | "malformed" | "forged" | "invalid_key";

class Refusal extends Error {
  constructor(readonly code: Code) {
    super(code);
  }
}

const SIGNATURE = /^v1\.([0-9a-f]{32})\.([A-Za-z0-9_-]{85}[AQgw])$/;
const KEY = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const NAME = /^ce_([a-z0-9]+)$/;
const UNSIGNED = ["busbarsig", "sequence", "traceparent", "tracestate"];

const PRIME = 2n ** 255n - 19n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n;
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

function power(base: bigint, exponent: bigint): bigint {
  let found = 1n;
  for (; exponent > 0n; exponent >>= 1n, base = (base * base) % PRIME) {
    if (exponent & 1n) found = (found * base) % PRIME;
  }
  return found;
}

/** Checks the text of a public key and returns its 32 bytes. */
function rawKey(text: string): Buffer {
  const raw = Buffer.from(text, "base64url");
  if (!KEY.test(text)) throw new Refusal("invalid_key");
  const y = BigInt(`0x${Buffer.from(raw).reverse().toString("hex")}`) & (2n ** 255n - 1n);
  const isPoint = power(((y * y - 1n) * (D * y * y + 1n)) % PRIME, (PRIME - 1n) / 2n) === 1n;
  const isSmall = [0n, ORDER_8, PRIME - ORDER_8].includes(y);
  if (y >= PRIME || !isPoint || isSmall) throw new Refusal("invalid_key");
  return raw;
}

function keyId(raw: Buffer): string {
  return createHash("sha256").update(raw).digest("hex").slice(0, 32);
}

/** Returns the attributes by name, those that are not signed included. */
function attributes(headers: KafkaRecord["headers"]): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const [header, value] of headers) {
    const lower = header.toLowerCase();
    if (lower !== "content-type" && !lower.startsWith("ce_")) continue;
    const name = header === "content-type" ? "datacontenttype" : NAME.exec(header)?.[1];
    const isRepeated = header === "ce_datacontenttype" || (name !== undefined && found.has(name));
    if (name === undefined || isRepeated || value === null) throw new Refusal("malformed");
    found.set(name, Buffer.from(value, "hex"));
  }
  const type = (found.get("datacontenttype") ?? Buffer.alloc(0)).toString("latin1");
  const isStructured = /^[ \t]*application\/cloudevents/i.test(type);
  if (!found.has("specversion") || isStructured) throw new Refusal("malformed");
  return found;
}

function field(value: Buffer | null): Buffer {
  if (value === null) return Buffer.from([0]);
  const start = Buffer.from([1, 0, 0, 0, 0]);
  start.writeUInt32BE(value.length, 1);
  return Buffer.concat([start, value]);
}

function raw(hex: string | null): Buffer | null {
  return hex === null ? null : Buffer.from(hex, "hex");
}

function signedBytes(record: KafkaRecord, id: string): Buffer {
  const signed = [...attributes(record.headers)].filter(([name]) => !UNSIGNED.includes(name));
  signed.sort(([one], [other]) => (one < other ? -1 : 1));
  const count = Buffer.alloc(4);
  count.writeUInt32BE(signed.length);
  const value = raw(record.value);
  return Buffer.concat([
    Buffer.from("busbar-sig/1\n"),
    ...[Buffer.from(id), Buffer.from(record.topic), raw(record.key)].map(field),
    count,
    ...signed.flatMap(([name, text]) => [field(Buffer.from(name)), field(text)]),
    field(value && createHash("sha256").update(value).digest()),
  ]);
}

/** Returns the id of the key and the signature that a record carries. */
function signatureOf(record: KafkaRecord): [string, Buffer] {
  const found = record.headers.filter(([name]) => name === "ce_busbarsig");
  if (found.length === 0) throw new Refusal("unsigned");
  const match = SIGNATURE.exec(raw(found[0]?.[1] ?? null)?.toString("latin1") ?? "");
  const [, id, text] = match ?? [];
  if (found.length > 1 || !id || !text) throw new Refusal("malformed");
  return [id, Buffer.from(text, "base64url")];
}

/** Returns the bytes that were signed. */
function verified(record: KafkaRecord): Buffer {
  const key = rawKey(record.public_key);
  const [id, signature] = signatureOf(record);
  const message = signedBytes(record, id);
  const jwk = { kty: "OKP", crv: "Ed25519", x: record.public_key };
  const loaded = createPublicKey({ key: jwk, format: "jwk" });
  if (id !== keyId(key) || !verify(null, message, loaded, signature)) throw new Refusal("forged");
  return message;
}

function signed(record: KafkaRecord, seed: string): string {
  const der = Buffer.concat([PKCS8, Buffer.from(seed, "hex")]);
  const key: KeyObject = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const id = keyId(Buffer.from(createPublicKey(key).export({ format: "jwk" }).x ?? "", "base64url"));
  return `v1.${id}.${sign(null, signedBytes(record, id), key).toString("base64url")}`;
}

/** Returns what `attempt` returns, or the code with which it is refused. */
function outcome(attempt: () => string): string {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

const vectors: Vectors = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));
const toSign: { seed: string; record: KafkaRecord } = JSON.parse(readFileSync(0, "utf8"));
const bytes: Record<string, string> = {};
const keys: Record<string, string> = {};
const records: Record<string, string> = {};
for (const one of [...vectors.keys.accepted, ...vectors.keys.refused]) {
  keys[one.name] = outcome(() => keyId(rawKey(one.public_key)));
}
for (const one of [...vectors.records.accepted, ...vectors.records.refused]) {
  records[one.name] = outcome(() => {
    bytes[one.name] = verified(one).toString("hex");
    return "accepted";
  });
}
const signature = signed(toSign.record, toSign.seed);
process.stdout.write(JSON.stringify({ keys, records, signed_bytes: bytes, signature }));
