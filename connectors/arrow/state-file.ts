/**
 * State tables as Arrow IPC files: typed columns that any tool reads, and that give back every value exactly. Values are as
 * state/savepoint/columns.ts says. Files are read here only after their hash was seen.
 */
import * as arrow from 'apache-arrow';
import type { KeyPart } from '../../core/record/key-bytes.ts';
import type { DataType } from '../../core/record/types.ts';

type ColumnType = KeyPart['type'];
export interface ArrowColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
}

const rowsPerBatch = 16_384;

export interface StateFileWriter {
  append(row: readonly unknown[]): void;
  readonly rows: number;
  /** Writes the batch that is full; to be awaited now and then, for it gives the thread a turn. */
  drain(): Promise<void>;
  /** The rest, and the file's footer. */
  finish(): Promise<void>;
}

/** `metadata` becomes the schema's. `write` gets the file's bytes, in order. */
export function stateFileWriter(
  columns: readonly ArrowColumn[],
  metadata: Readonly<Record<string, string>>,
  write: (bytes: Uint8Array) => void,
): StateFileWriter {
  const fields = columns.map(({ name, type, nullable }) => new arrow.Field(name, arrowTypeOf(type), nullable));
  const schema = new arrow.Schema(fields, new Map(Object.entries(metadata)));
  const writer = new arrow.RecordBatchFileWriter();
  const writing = (async () => {
    for await (const bytes of writer) write(bytes);
  })();
  // Told by `finish`; not an unhandled one before.
  writing.catch(() => {});
  let builders = columns.map(builderOf);
  let pending = 0;
  let rows = 0;
  const leave = (): void => {
    if (pending === 0) return;
    const children = builders.map((builder) => builder.finish());
    const data = arrow.makeData({ type: new arrow.Struct(fields), length: pending, nullCount: 0, children });
    writer.write(new arrow.RecordBatch(schema, data));
    builders = columns.map(builderOf);
    pending = 0;
  };
  // The schema stands in the file even when no row does.
  writer.reset(undefined, schema);
  return {
    get rows() {
      return rows;
    },
    append(row) {
      for (let i = 0; i < builders.length; i++) (builders[i] as Builder).append(row[i]);
      pending++;
      rows++;
      if (pending === rowsPerBatch) leave();
    },
    async drain() {
      await new Promise((resolve) => setImmediate(resolve));
    },
    async finish() {
      leave();
      writer.finish();
      await writing;
    },
  };
}

/** The rows of a file that `stateFileWriter` wrote. Errors: those of apache-arrow. */
export function* stateFileRows(bytes: Uint8Array, columns: readonly ArrowColumn[]): Generator<unknown[]> {
  for (const batch of arrow.RecordBatchReader.from(bytes)) {
    const readers = columns.map(({ name, type }) => {
      const vector = batch.getChild(name);
      if (vector === null) throw new TypeError(`column '${name}' is missing`);
      return readerOf(vector.data[0] as arrow.Data, type);
    });
    for (let row = 0; row < batch.numRows; row++) yield readers.map((read) => read(row));
  }
}

function arrowTypeOf(type: ColumnType): arrow.DataType {
  switch (type.kind) {
    case 'HASH':
      return new arrow.Uint64();
    case 'BINARY':
      return new arrow.Binary();
    case 'BOOLEAN':
      return new arrow.Bool();
    case 'INT':
      return new arrow.Int32();
    case 'DATE':
      return new arrow.DateDay();
    case 'BIGINT':
      return new arrow.Int64();
    case 'TIMESTAMP':
      return type.precision <= 3 ? new arrow.TimestampMillisecond() : new arrow.TimestampMicrosecond();
    case 'DECIMAL':
      return new arrow.Decimal(type.scale, type.precision, 128);
    case 'DOUBLE':
      return new arrow.Float64();
    case 'VARCHAR':
      return new arrow.Utf8();
    case 'ROW':
      return new arrow.Struct(type.fields.map((f) => new arrow.Field(f.name, arrowTypeOf(f.type), f.nullable)));
    case 'ARRAY':
      return new arrow.List(new arrow.Field('item', arrowTypeOf(type.of), type.nullable));
    case 'MAP': {
      const key = new arrow.Field('key', arrowTypeOf(type.key), false);
      const value = new arrow.Field('value', arrowTypeOf(type.value), type.nullable);
      return new arrow.Map_(new arrow.Field('entries', new arrow.Struct([key, value]) as never, false));
    }
    default:
      throw new TypeError(`no state is of type ${type.kind}`);
  }
}

interface Builder {
  append(value: unknown): void;
  finish(): arrow.Data;
}

/** Bytes that grow. */
class Bytes {
  u8 = new Uint8Array(1024);
  used = 0;
  room(bytes: number): number {
    if (this.used + bytes > this.u8.length) {
      const larger = new Uint8Array(Math.max(2 * this.u8.length, this.used + bytes));
      larger.set(this.u8.subarray(0, this.used));
      this.u8 = larger;
    }
    this.used += bytes;
    return this.used - bytes;
  }
  view(): DataView {
    return new DataView(this.u8.buffer);
  }
}

/** Validity bits of a column. */
class Validity {
  readonly bits = new Bytes();
  length = 0;
  nulls = 0;
  add(valid: boolean): void {
    if ((this.length & 7) === 0) {
      const at = this.bits.room(1);
      this.bits.u8[at] = 0;
    }
    if (valid) this.bits.u8[this.length >>> 3]! |= 1 << (this.length & 7);
    else this.nulls++;
    this.length++;
  }
  get parts(): { length: number; nullCount: number; nullBitmap: Uint8Array } {
    return { length: this.length, nullCount: this.nulls, nullBitmap: this.bits.u8.slice(0, this.bits.used) };
  }
}

function builderOf({ type }: Pick<ArrowColumn, 'type'>): Builder {
  const arrowType = arrowTypeOf(type);
  const validity = new Validity();
  switch (type.kind) {
    case 'VARCHAR':
    case 'BINARY':
      return bytesBuilder(type.kind === 'VARCHAR', arrowType, validity);
    case 'BOOLEAN': {
      const values = new Validity();
      return {
        append(value) {
          validity.add(value !== null);
          values.add(value === true);
        },
        finish: () =>
          arrow.makeData({ type: arrowType as arrow.Bool, ...validity.parts, data: values.parts.nullBitmap }),
      };
    }
    case 'ROW': {
      const children = type.fields.map(builderOf);
      return {
        append(value) {
          validity.add(value !== null);
          const row = value as Record<string, unknown> | null;
          type.fields.forEach(({ name }, i) => {
            (children[i] as Builder).append(row === null ? null : row[name]);
          });
        },
        finish: () =>
          arrow.makeData({
            type: arrowType as arrow.Struct,
            ...validity.parts,
            children: children.map((child) => child.finish()),
          }),
      };
    }
    case 'ARRAY': {
      const child = builderOf({ type: type.of });
      return listBuilder(arrowType, validity, child, (value, each) => {
        for (const element of value as readonly unknown[]) each(element);
      });
    }
    case 'MAP': {
      const fields = [
        { name: 'key', type: type.key, nullable: false },
        { name: 'value', type: type.value, nullable: type.nullable },
      ];
      const child = builderOf({ type: { kind: 'ROW', fields } });
      return listBuilder(arrowType, validity, child, (given, each) => {
        const entries = given instanceof Map ? given : Object.entries(given as object);
        for (const [key, value] of entries) each({ key, value });
      });
    }
    default:
      return numberBuilder(type, arrowType, validity);
  }
}

function numberBuilder(type: ColumnType, arrowType: arrow.DataType, validity: Validity): Builder {
  const bytes = new Bytes();
  const width = type.kind === 'INT' || type.kind === 'DATE' ? 4 : type.kind === 'DECIMAL' ? 16 : 8;
  return {
    append(value) {
      validity.add(value !== null);
      const at = bytes.room(width);
      const view = bytes.view();
      if (value === null) bytes.u8.fill(0, at, at + width);
      else if (width === 4) view.setInt32(at, value as number, true);
      else if (type.kind === 'DOUBLE') view.setFloat64(at, value as number, true);
      else if (width === 16) {
        view.setBigUint64(at, BigInt.asUintN(64, value as bigint), true);
        view.setBigInt64(at + 8, (value as bigint) < 0n ? -1n : 0n, true);
      } else view.setBigUint64(at, BigInt.asUintN(64, value as bigint), true);
    },
    finish() {
      const { buffer } = bytes.u8.slice(0, bytes.used);
      const data =
        width === 16
          ? new Uint32Array(buffer)
          : width === 4
            ? new Int32Array(buffer)
            : type.kind === 'DOUBLE'
              ? new Float64Array(buffer)
              : type.kind === 'HASH'
                ? new BigUint64Array(buffer)
                : new BigInt64Array(buffer);
      return arrow.makeData({ type: arrowType as arrow.Int64, ...validity.parts, data: data as BigInt64Array });
    },
  };
}

const encoder = new TextEncoder();

function bytesBuilder(isText: boolean, arrowType: arrow.DataType, validity: Validity): Builder {
  const bytes = new Bytes();
  const offsets = [0];
  return {
    append(value) {
      validity.add(value !== null);
      const own = value === null ? null : isText ? encoder.encode(value as string) : (value as Uint8Array);
      if (own !== null) {
        const at = bytes.room(own.length);
        bytes.u8.set(own, at);
      }
      offsets.push(bytes.used);
    },
    finish: () =>
      arrow.makeData({
        type: arrowType as arrow.Utf8,
        ...validity.parts,
        valueOffsets: Int32Array.from(offsets),
        data: bytes.u8.slice(0, bytes.used),
      }),
  };
}

function listBuilder(
  arrowType: arrow.DataType,
  validity: Validity,
  child: Builder,
  elements: (value: unknown, each: (element: unknown) => void) => void,
): Builder {
  const offsets = [0];
  let length = 0;
  return {
    append(value) {
      validity.add(value !== null);
      if (value !== null) {
        elements(value, (element) => {
          child.append(element);
          length++;
        });
      }
      offsets.push(length);
    },
    finish: () =>
      arrow.makeData({
        type: arrowType as arrow.List,
        ...validity.parts,
        valueOffsets: Int32Array.from(offsets),
        child: child.finish(),
      }),
  };
}

function readerOf(data: arrow.Data, type: ColumnType): (row: number) => unknown {
  const valid = (row: number): boolean => data.nullCount === 0 || data.getValid(row);
  const values = data.values as ArrayLike<number> & ArrayLike<bigint>;
  const offsets = data.valueOffsets as Int32Array;
  switch (type.kind) {
    case 'BOOLEAN': {
      const bits = values as unknown as Uint8Array;
      return (row) =>
        valid(row) ? ((bits[(data.offset + row) >>> 3]! >>> ((data.offset + row) & 7)) & 1) !== 0 : null;
    }
    case 'VARCHAR': {
      const bytes = values as unknown as Uint8Array;
      return (row) => (valid(row) ? decoder.decode(bytes.subarray(offsets[row], offsets[row + 1])) : null);
    }
    case 'BINARY': {
      const bytes = values as unknown as Uint8Array;
      return (row) => (valid(row) ? bytes.slice(offsets[row], offsets[row + 1]) : null);
    }
    case 'ROW': {
      const children = type.fields.map((field, i) => readerOf(data.children[i] as arrow.Data, field.type));
      return (row) =>
        valid(row) ? Object.fromEntries(type.fields.map(({ name }, i) => [name, children[i]!(row)])) : null;
    }
    case 'ARRAY': {
      const child = readerOf(data.children[0] as arrow.Data, type.of);
      return (row) => (valid(row) ? elementsOf(offsets, row).map(child) : null);
    }
    case 'MAP': {
      const entries = data.children[0] as arrow.Data;
      const key = readerOf(entries.children[0] as arrow.Data, type.key);
      const value = readerOf(entries.children[1] as arrow.Data, type.value as DataType);
      return (row) => (valid(row) ? new Map(elementsOf(offsets, row).map((i) => [key(i), value(i)])) : null);
    }
    case 'DECIMAL': {
      const words = values as unknown as Uint32Array;
      return (row) => (valid(row) ? (BigInt(words[4 * row + 1]! | 0) << 32n) | BigInt(words[4 * row]!) : null);
    }
    default:
      return (row) => (valid(row) ? values[row] : null);
  }
}

const decoder = new TextDecoder();

const elementsOf = (offsets: Int32Array, row: number): number[] =>
  Array.from({ length: offsets[row + 1]! - offsets[row]! }, (_, i) => offsets[row]! + i);
