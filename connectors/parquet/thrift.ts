/**
 * Thrift's compact protocol, as much as Parquet's footers and page headers need: a struct becomes an array indexed by
 * field id. It knows nothing of Parquet. What is malformed throws `ThriftError`; the caller says where it lay.
 * Source: thrift/doc/specs/thrift-compact-protocol.md.
 */
export type ThriftValue = boolean | number | Uint8Array | readonly ThriftValue[] | ThriftStruct;
export interface ThriftStruct {
  /** By field id; ids above 63 are left out. i64 beyond 2^53 are inexact numbers: callers check what they use. */
  readonly fields: readonly (ThriftValue | undefined)[];
}

/** `truncated`: more bytes might have made it readable. */
export class ThriftError extends Error {
  readonly truncated: boolean;
  constructor(message: string, truncated: boolean) {
    super(message);
    this.truncated = truncated;
  }
}

const depthMax = 24;
const fieldIdMax = 63;

/** Reads one struct that begins at `from`; `end` is where it ended. Binary values are views of `bytes`. */
export function readThrift(bytes: Uint8Array, from: number): { struct: ThriftStruct; end: number } {
  const reader = new Reader(bytes, from);
  const struct = reader.struct(0);
  return { struct, end: reader.at };
}

class Reader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  struct(depth: number): ThriftStruct {
    if (depth > depthMax) throw new ThriftError('nested too deep', false);
    const fields: (ThriftValue | undefined)[] = [];
    let id = 0;
    while (true) {
      const header = this.byte();
      if (header === 0) return { fields };
      const delta = header >> 4;
      id = delta === 0 ? this.zigzag() : id + delta;
      const type = header & 15;
      const value = type === 1 ? true : type === 2 ? false : this.value(type, depth);
      if (id >= 0 && id <= fieldIdMax) fields[id] = value;
    }
  }

  value(type: number, depth: number): ThriftValue {
    switch (type) {
      case 1:
      case 2:
        return this.byte() === 1;
      case 3:
        return (this.byte() << 24) >> 24;
      case 4:
      case 5:
      case 6:
        return this.zigzag();
      case 7: {
        this.need(8);
        this.at += 8;
        return new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at - 8, 8).getFloat64(0, true);
      }
      case 8: {
        const length = this.varint();
        this.need(length);
        this.at += length;
        return this.bytes.subarray(this.at - length, this.at);
      }
      case 9:
      case 10: {
        if (depth > depthMax) throw new ThriftError('nested too deep', false);
        const header = this.byte();
        const size = header >> 4 === 15 ? this.varint() : header >> 4;
        // Every element takes a byte at least.
        this.need(size);
        const list: ThriftValue[] = [];
        for (let i = 0; i < size; i++) list.push(this.value(header & 15, depth + 1));
        return list;
      }
      case 11: {
        if (depth > depthMax) throw new ThriftError('nested too deep', false);
        const size = this.varint();
        if (size === 0) return [];
        const types = this.byte();
        this.need(size);
        const list: ThriftValue[] = [];
        for (let i = 0; i < size; i++) list.push(this.value(types >> 4, depth + 1), this.value(types & 15, depth + 1));
        return list;
      }
      case 12:
        return this.struct(depth + 1);
      default:
        throw new ThriftError(`unknown type ${type}`, false);
    }
  }

  need(bytes: number): void {
    if (bytes > this.bytes.length - this.at) throw new ThriftError('it ends too early', true);
  }

  byte(): number {
    if (this.at >= this.bytes.length) throw new ThriftError('it ends too early', true);
    return this.bytes[this.at++] as number;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new ThriftError('a number without an end', false);
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

// Typed access: a field of another type than asked for is malformed.

export function integer(struct: ThriftStruct, id: number): number | undefined {
  const value = struct.fields[id];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new ThriftError(`field ${id} is no integer`, false);
  return value;
}

export function flag(struct: ThriftStruct, id: number): boolean | undefined {
  const value = struct.fields[id];
  if (value === undefined) return undefined;
  if (typeof value !== 'boolean') throw new ThriftError(`field ${id} is no boolean`, false);
  return value;
}

export function binary(struct: ThriftStruct, id: number): Uint8Array | undefined {
  const value = struct.fields[id];
  if (value === undefined) return undefined;
  if (!(value instanceof Uint8Array)) throw new ThriftError(`field ${id} is no binary`, false);
  return value;
}

export function text(struct: ThriftStruct, id: number): string | undefined {
  const value = binary(struct, id);
  return value === undefined ? undefined : decodeText(value);
}

export function decodeText(value: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    throw new ThriftError('a name is no UTF-8', false);
  }
}

export function list(struct: ThriftStruct, id: number): readonly ThriftValue[] | undefined {
  const value = struct.fields[id];
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new ThriftError(`field ${id} is no list`, false);
  return value;
}

export function struct(from: ThriftStruct, id: number): ThriftStruct | undefined {
  const value = from.fields[id];
  return value === undefined ? undefined : asStruct(value);
}

export function asStruct(value: ThriftValue): ThriftStruct {
  if (typeof value !== 'object' || !('fields' in value)) throw new ThriftError('no struct where one belongs', false);
  return value;
}
