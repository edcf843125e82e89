/** Page headers: a thrift struct before each page, of a length that only reading it tells. */
import { Damage } from './damage.ts';
import { Encoding, PageType, pageBytesMax } from './format.ts';
import { flag, integer, readThrift, struct, ThriftError } from './thrift.ts';

export interface PageHeader {
  readonly type: number;
  /** Of the page's body. */
  readonly uncompressedBytes: number;
  readonly compressedBytes: number;
  /** CRC-32 of the body as it lies in the file. */
  readonly crc: number | null;
  readonly values: number;
  readonly encoding: number;
  /** Encoding of the definition levels (v1). */
  readonly levelEncoding: number;
  /** Version 2: levels lie uncompressed before the values. */
  readonly definitionBytes: number;
  readonly repetitionBytes: number;
  readonly isCompressed: boolean;
  /** Bytes of the header itself. */
  readonly headerBytes: number;
}

/** Null when `bytes` hold only the beginning of a header. Errors: `Damage`. */
export function readPageHeader(bytes: Uint8Array): PageHeader | null {
  try {
    const { struct: page, end } = readThrift(bytes, 0);
    const type = integer(page, 1) ?? -1;
    const data = struct(page, type === PageType.data ? 5 : type === PageType.dataV2 ? 8 : 7);
    const v2 = type === PageType.dataV2;
    const known = type === PageType.data || v2 || type === PageType.dictionary;
    if (known && data === undefined) throw new Damage('the page header is incomplete');
    const field = (id: number): number => (data === undefined ? 0 : (integer(data, id) ?? 0));
    const header: PageHeader = {
      type,
      uncompressedBytes: integer(page, 2) ?? -1,
      compressedBytes: integer(page, 3) ?? -1,
      crc: integer(page, 4) ?? null,
      values: field(1),
      encoding: v2 ? field(4) : field(2),
      levelEncoding: type === PageType.data ? field(3) : Encoding.rle,
      definitionBytes: v2 ? field(5) : 0,
      repetitionBytes: v2 ? field(6) : 0,
      isCompressed: v2 && data !== undefined ? (flag(data, 7) ?? true) : true,
      headerBytes: end,
    };
    check(header);
    return header;
  } catch (error) {
    if (!(error instanceof ThriftError)) throw error;
    if (error.truncated) return null;
    throw new Damage(`the page header is damaged: ${error.message}`);
  }
}

function check(header: PageHeader): void {
  const { uncompressedBytes, compressedBytes, values, definitionBytes, repetitionBytes } = header;
  const sizes = [uncompressedBytes, compressedBytes];
  if (sizes.some((size) => size < 0 || size > pageBytesMax)) {
    throw new Damage(`the page header says ${compressedBytes} bytes that unpack to ${uncompressedBytes}`);
  }
  if (values < 0) throw new Damage(`the page header says ${values} values`);
  const levels = definitionBytes + repetitionBytes;
  if (definitionBytes < 0 || repetitionBytes < 0 || levels > Math.min(uncompressedBytes, compressedBytes)) {
    throw new Damage(`the page header says ${levels} bytes of levels`);
  }
}
