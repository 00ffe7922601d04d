import { Reader, type Value, type Writable, Writer } from './values.ts';

/** No answer that is asked for here comes near this; the specification allows 128 MiB. */
const MAX_MESSAGE_BYTES = 2 ** 20;
const LITTLE_ENDIAN = 0x6c;
const PROTOCOL_VERSION = 1;

export const KIND = { call: 1, reply: 2, error: 3, signal: 4 } as const;
/** A call for whose sake nothing is started. */
export const NO_AUTO_START = 2;

/** Header fields, by their number in the specification, with their types. */
const FIELDS = {
  path: [1, 'o'],
  interface: [2, 's'],
  member: [3, 's'],
  errorName: [4, 's'],
  replySerial: [5, 'u'],
  destination: [6, 's'],
  sender: [7, 's'],
  signature: [8, 'g'],
} as const;
type FieldName = keyof typeof FIELDS;

export interface Message {
  kind: number;
  flags: number;
  serial: number;
  path?: string;
  interface?: string;
  member?: string;
  errorName?: string;
  replySerial?: number;
  destination?: string;
  sender?: string;
  signature?: string;
  body: Value[];
}

export type Outgoing = Omit<Message, 'body'> & { body: Writable[] };

export function encodeMessage(message: Outgoing): Buffer {
  const body = new Writer();
  body.all(message.signature ?? '', message.body);
  const fields = (Object.keys(FIELDS) as FieldName[]).flatMap((name) => {
    const value = message[name];
    return value === undefined ? [] : [[FIELDS[name][0], { signature: FIELDS[name][1], value }] satisfies Writable];
  });
  const head = new Writer();
  head.all('yyyyuua(yv)', [LITTLE_ENDIAN, message.kind, message.flags, PROTOCOL_VERSION, body.length, message.serial, fields]);
  head.align(8);
  return Buffer.concat([head.bytes(), body.bytes()]);
}

/** The next message; null while it is incomplete. @throws where it is none, or too large */
export function decodeMessage(bytes: Buffer): { message: Message; length: number } | null {
  if (bytes.byteLength < 16) return null;
  if (bytes.readUInt8(0) !== LITTLE_ENDIAN) throw new Error('a D-Bus message in an order that was not agreed on');
  const bodyBytes = bytes.readUInt32LE(4);
  const bodyAt = Math.ceil((16 + bytes.readUInt32LE(12)) / 8) * 8;
  const length = bodyAt + bodyBytes;
  if (length > MAX_MESSAGE_BYTES) throw new Error(`a D-Bus message of ${length} bytes`);
  if (bytes.byteLength < length) return null;
  const head = new Reader(bytes.subarray(0, bodyAt));
  const [, kind, flags, , , serial, fields] = head.all('yyyyuua(yv)') as [
    number,
    number,
    number,
    number,
    number,
    number,
    [number, Value][],
  ];
  const message: Message = { kind, flags, serial, body: [] };
  for (const [number, value] of fields) {
    const name = (Object.keys(FIELDS) as FieldName[]).find((each) => FIELDS[each][0] === number);
    if (name !== undefined) Object.assign(message, { [name]: value });
  }
  message.body = new Reader(bytes.subarray(bodyAt, length)).all(message.signature ?? '');
  return { message, length };
}
