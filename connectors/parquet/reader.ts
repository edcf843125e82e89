/**
 * Reads splits (row groups) into batches. One row group is decoded little by little: a poll loads pages for a few
 * milliseconds at most and answers `moved` with an empty batch when that was not enough. A batch ends where a page of any
 * of its columns ends, because strings point into their page.
 */
import { MillraceError, withWhere } from '../../core/base/errors.ts';
import {
  type Json,
  PollStatus,
  type ReaderContext,
  type ReadRequest,
  type SourceReader,
  type Split,
} from '../../core/ports/connector.ts';
import { type Batch, batch, type Column } from '../../core/record/batch.ts';
import { replaced } from '../files/watch.ts';
import { growingBuffer, slackBytes } from './buffers.ts';
import { decompressor } from './codec.ts';
import { ColumnReader, type SharedBuffers } from './column-reader.ts';
import { Damage } from './damage.ts';
import { closeFile, type OpenFile, openFile, readMetadata } from './files.ts';
import { parquetKernels } from './kernels.ts';
import { corrupt, type ParquetMetadata } from './metadata.ts';
import { planColumns } from './plan.ts';

/** A poll loads pages no longer than this before it answers. */
const pollMs = 3;

/** What a split's options hold. */
export interface RowGroupSplit {
  readonly path: string;
  readonly rowGroup: number;
  /** Of the file when it was listed: a file that changed is not read on. */
  readonly fileBytes: number;
  /** Of a watched place: another file of that name is not read instead. */
  readonly inode?: string;
}

export function parquetReader(request: ReadRequest, context: ReaderContext): SourceReader {
  const { memory, batchRows } = context;
  const kernels = parquetKernels(memory);
  const shared: SharedBuffers = {
    context,
    kernels,
    decompressor: decompressor(memory, kernels),
    packed: growingBuffer(memory, 'a compressed Parquet page'),
    indices: memory.arena.allocate(batchRows * 4 + slackBytes, 'Parquet dictionary indices'),
    scratch: memory.arena.allocate(64, 'Parquet decoding'),
  };
  const columns = request.layout.map((column) => new ColumnReader(column, shared));
  let file: OpenFile | null = null;
  let metadata: ParquetMetadata | null = null;
  let split: RowGroupSplit | null = null;
  let rows = 0;
  let done = 0;
  let current: Batch = batch(
    request.layout,
    0,
    request.layout.map(() => ({ validity: 0, values: 0, dictionary: null })),
  );
  const empty = current;

  const closeOpenFile = (): void => {
    if (file !== null) closeFile(file);
    file = null;
    metadata = null;
  };

  /** Runs `work` on a column; what is wrong in the file gets its place. */
  const on = <T>(column: ColumnReader, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      const position = `row group ${split?.rowGroup}, column ${column.column.name}, page ${column.pages}`;
      const path = split?.path ?? '';
      if (error instanceof Damage) throw corrupt(error.message, path, position);
      throw withWhere(error, { path, position }, 'source/failed');
    }
  };

  return {
    get batch() {
      return current;
    },

    open(from: Split) {
      const next = from.options as unknown as RowGroupSplit;
      const inode = next.inode ?? file?.inode;
      if (file?.path !== next.path || file.inode !== inode) {
        closeOpenFile();
        file = openFile(next.path);
      }
      if (next.inode !== undefined && file.inode !== next.inode) throw replaced(next.path);
      if (file.bytes !== next.fileBytes) {
        throw new MillraceError(
          'source/failed',
          `${next.path} has changed since the job began: it had ${next.fileBytes} bytes and now has ${file.bytes}`,
          { where: { path: next.path } },
        );
      }
      metadata ??= readMetadata(file);
      split = next;
      const group = metadata.rowGroups[next.rowGroup];
      if (group === undefined) throw corrupt(`it has no row group ${next.rowGroup}`, next.path);
      rows = group.rows;
      done = positionOf(from, rows);
      current = empty;
      const plan = planColumns(metadata, request.layout, next.path);
      if (done === rows) return;
      for (const [i, column] of columns.entries()) {
        const { leaf, conversion } = plan[i] as (typeof plan)[number];
        const chunk = group.columns[leaf.index] as (typeof group.columns)[number];
        const opened = file;
        on(column, () => column.open(opened, leaf, chunk, conversion, rows, done));
      }
    },

    poll() {
      if (split === null || done === rows) return PollStatus.ended;
      const deadline = context.monotonicMs() + pollMs;
      let n = Math.min(batchRows, rows - done);
      for (const column of columns) {
        while (!on(column, () => column.load())) {
          if (context.monotonicMs() > deadline) {
            current = empty;
            return PollStatus.moved;
          }
        }
        n = Math.min(n, column.rowsReady);
      }
      const read: Column[] = [];
      for (const column of columns) read.push(on(column, () => column.read(n)));
      current = batch(request.layout, n, read, {
        origin: { source: `${split.path}, row group ${split.rowGroup}`, firstRow: done },
      });
      done += n;
      return PollStatus.moved;
    },

    position() {
      return { rows: done };
    },

    close() {
      split = null;
      closeOpenFile();
    },
  };
}

function positionOf(split: Split, rows: number): number {
  const position: Json = split.position;
  if (position === null) return 0;
  const done = (position as { rows?: unknown }).rows;
  if (typeof done !== 'number' || !Number.isInteger(done) || done < 0 || done > rows) {
    throw new MillraceError('source/failed', `the split ${split.id} cannot go on at ${JSON.stringify(position)}`);
  }
  return done;
}
