/** A growing run of bytes. */
export interface ByteBuffer {
  bytes: Uint8Array;
  length: number;
}

export function byteBuffer(capacity = 1024): ByteBuffer {
  return { bytes: new Uint8Array(capacity), length: 0 };
}

/** Makes room for `more` bytes; `bytes` may be another array afterwards. */
export function reserve(buffer: ByteBuffer, more: number): void {
  const needed = buffer.length + more;
  if (needed <= buffer.bytes.length) return;
  const grown = new Uint8Array(Math.max(needed, buffer.bytes.length * 2));
  grown.set(buffer.bytes.subarray(0, buffer.length));
  buffer.bytes = grown;
}

export function appendBytes(buffer: ByteBuffer, more: Uint8Array): void {
  reserve(buffer, more.length);
  buffer.bytes.set(more, buffer.length);
  buffer.length += more.length;
}

export function appendU32(buffer: ByteBuffer, value: number): void {
  reserve(buffer, 4);
  const { bytes, length } = buffer;
  bytes[length] = value;
  bytes[length + 1] = value >>> 8;
  bytes[length + 2] = value >>> 16;
  bytes[length + 3] = value >>> 24;
  buffer.length += 4;
}

export function appendVarint(buffer: ByteBuffer, value: number): void {
  reserve(buffer, 10);
  let rest = value;
  while (rest >= 128) {
    buffer.bytes[buffer.length++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  buffer.bytes[buffer.length++] = rest;
}

export function contentOf(buffer: ByteBuffer): Uint8Array {
  return buffer.bytes.subarray(0, buffer.length);
}
