/**
 * Writes a checkpoint file: gathers records into blocks, writes each with one call, remembers lengths and checksums, and
 * ends with footer and trailer. Knows records, not what is in them.
 *
 * A write that fails (a full disk) is remembered and told by `finish`: whoever is in the middle of reading pages goes on
 * undisturbed, and no more is written.
 */
import { createHash } from 'node:crypto';
import type { FileRef } from '../../core/ports/checkpoint.ts';
import type { Disk, DiskFile } from '../../core/ports/disk.ts';
import {
  blockBytesMax,
  checksumOf,
  encodeHeader,
  encodeTrailer,
  type FileFooter,
  fileBytesMax,
  fileVersion,
  kindAndCount,
  padded,
  type RecordKind,
  recordBytesMax,
  recordHeaderBytes,
} from './format.ts';

/** Written bytes are handed to the disk this often, so that no write waits for a mountain of them. */
const syncEveryBytes = 64 * 1024 * 1024;

export interface BlockFile {
  readonly name: string;
  /** Records appended so far have gone to positions before it. */
  readonly position: number;
  readonly failed: boolean;
  /** Appends a record of up to `recordBytesMax` bytes in up to two pieces; answers its position. */
  append(kind: RecordKind, table: number, page: number, count: number, head: Uint8Array, tail?: Uint8Array): number;
  /** Appends bytes of any length as records of one kind; answers their positions. */
  appendLong(kind: RecordKind, table: number, bytes: Uint8Array): number[];
  /** Writes footer and trailer and makes all durable. Rejects with the first error there was; the file is gone then. */
  finish(footer: Pick<FileFooter, 'files' | 'operators' | 'tables'>): Promise<FileRef>;
  /** Closes and removes it. Idempotent. */
  abandon(): void;
}

export interface BlockFilePlace {
  readonly disk: Disk;
  readonly directory: string;
  readonly name: string;
  readonly checkpoint: number;
  readonly epoch: number;
  readonly participant: number;
  /** A block's room, the caller's to use again for the next file. */
  readonly buffer: Uint8Array;
}

/** The file is created at once. Errors: those of `Disk.create`. */
export function blockFile(place: BlockFilePlace): BlockFile {
  const { disk, name, checkpoint, epoch, participant, buffer } = place;
  const path = `${place.directory}/${name}`;
  const words = new Uint32Array(buffer.buffer, buffer.byteOffset, blockBytesMax >>> 2);
  const blocks: [number, number][] = [];
  const file: DiskFile = disk.create(path);
  let failure: unknown = null;
  let closed = false;
  let used = 0;
  /** Bytes of whole blocks. */
  let written = 0;
  let syncedAt = 0;
  let syncing: Promise<void> | null = null;

  const fail = (error: unknown): void => {
    failure ??= error ?? new Error('a write failed');
  };
  const write = (bytes: Uint8Array): void => {
    if (failure !== null) return;
    try {
      file.write(bytes);
    } catch (error) {
      fail(error);
    }
  };
  const block = (bytes: Uint8Array): void => {
    blocks.push([bytes.length, checksumOf(bytes)]);
    write(bytes);
    written += bytes.length;
    if (written > fileBytesMax) fail(new Error(`a checkpoint file of more than ${fileBytesMax} bytes`));
    if (syncing !== null || failure !== null || written - syncedAt < syncEveryBytes) return;
    syncedAt = written;
    syncing = file.sync().then(() => {
      syncing = null;
    }, fail);
  };
  const flush = (): void => {
    if (used === 0) return;
    block(buffer.subarray(0, used));
    used = 0;
  };
  const abandon = (): void => {
    if (closed) return;
    closed = true;
    file.close();
    try {
      disk.remove(path);
    } catch {
      // It is in nobody's way: whoever opens the directory next removes what is staged.
    }
  };

  block(encodeHeader(checkpoint, epoch, participant));
  const result: BlockFile = {
    name,
    get position() {
      return (written + used) / 8;
    },
    get failed() {
      return failure !== null;
    },
    append(kind, table, page, count, head, tail) {
      const bytes = head.length + (tail?.length ?? 0);
      const end = padded(recordHeaderBytes + bytes);
      if (used + end > blockBytesMax) flush();
      const at = used;
      const word = at >>> 2;
      words[word] = table;
      words[word + 1] = page;
      words[word + 2] = kindAndCount(kind, count);
      words[word + 3] = bytes;
      buffer.set(head, at + recordHeaderBytes);
      if (tail) buffer.set(tail, at + recordHeaderBytes + head.length);
      buffer.fill(0, at + recordHeaderBytes + bytes, at + end);
      used += end;
      return (written + at) / 8;
    },
    appendLong(kind, table, bytes) {
      const positions: number[] = [];
      for (let at = 0; at === 0 || at < bytes.length; at += recordBytesMax) {
        positions.push(result.append(kind, table, 0, 0, bytes.subarray(at, at + recordBytesMax)));
      }
      return positions;
    },
    async finish(of) {
      try {
        flush();
        const footerAt = written;
        const footer: FileFooter = { version: fileVersion, checkpoint, epoch, participant, blocks, ...of };
        const bytes = new TextEncoder().encode(JSON.stringify(footer));
        const trailer = encodeTrailer(footerAt, bytes);
        const end = new Uint8Array(bytes.length + trailer.length);
        end.set(bytes);
        end.set(trailer, bytes.length);
        write(end);
        await syncing;
        if (failure === null) await file.sync();
        if (failure !== null) throw failure;
        closed = true;
        file.close();
        return {
          name,
          bytes: footerAt + end.length,
          hash: createHash('sha256').update(bytes).digest('hex'),
        };
      } catch (error) {
        abandon();
        throw error;
      }
    },
    abandon,
  };
  return result;
}
