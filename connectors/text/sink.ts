/**
 * A sink of files of text, row after row: what such formats share. Options of its spec: `path` (with one of the endings: one
 * file, written by one subtask; otherwise a directory with part files), `changelog` (rows begin with their `row_kind`, and
 * corrections are taken), `roll` (files/options.ts), `partitionBy` and `partitionCommit` (files/partitions.ts). Nothing is visible before the job ends in order, or, where it has
 * checkpoints, before the checkpoint that holds the rows is durable. It knows no format.
 */
import { MillraceError } from '../../core/base/errors.ts';
import { slotsMax } from '../../core/base/limits.ts';
import type { ConnectorSpec, SinkConnector, WriterContext } from '../../core/ports/connector.ts';
import type { Batch } from '../../core/record/batch.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { fileCommitter } from '../files/committer.ts';
import { checkFiles, directoryOf, rollOf } from '../files/options.ts';
import { isSingleFile, outputFile, partPath, removeParts } from '../files/output.ts';
import { PartitionedFiles } from '../files/partitioned-files.ts';
import { fieldsWithout, type Partitions, partitioner, partitionsOf } from '../files/partitions.ts';
import {
  type FileFormat,
  type StagedTarget,
  stagedWriter,
  writerVisibleAtCheckpoints,
  writerVisibleAtEnd,
} from '../files/writer.ts';
import type { ByteSink } from './write.ts';

/** Rows to text. */
export interface TextEncoder {
  /** What a file begins with; absent: nothing. */
  begin?(out: ByteSink): void;
  /** Appends the rows that are in. */
  encode(batch: Batch, out: ByteSink): void;
}

export interface TextFormat {
  readonly kind: string;
  /** With their dots; the first one is given to parts. */
  readonly extensions: readonly [string, ...string[]];
  /** Errors: `option/invalid`, and `plan/…` for columns that the format cannot hold. */
  check?(spec: ConnectorSpec, fields: Fields): void;
  encoder(spec: ConnectorSpec, fields: Fields, context: WriterContext, changelog: boolean): TextEncoder;
}

export function textSink(format: TextFormat): SinkConnector {
  const { kind, extensions } = format;
  return {
    kind,

    describe(spec, fields, updating, checkpointed = false) {
      const path = pathOf(spec);
      const changelog = spec.options.changelog === true;
      checkChanges(path, fields, updating, changelog);
      layoutOf(fields);
      const partitions = partitionsOf(spec);
      format.check?.(spec, partitions ? fieldsWithout(spec, fields, partitions) : fields);
      if (partitions) checkPartitions(path, extensions, checkpointed);
      const single = isSingleFile(path, extensions);
      checkFiles(spec, path, extensions, checkpointed);
      return { accepts: changelog ? 'all' : 'insert', parallelismMax: single ? 1 : slotsMax, place: 'slot' };
    },

    writer(spec, fields, context) {
      const path = pathOf(spec);
      const partitions = partitionsOf(spec);
      if (partitions) return partitionedWriter(format, spec, fields, context, partitions, path);
      const files = textFiles(format, format.encoder(spec, fields, context, spec.options.changelog === true));
      const roll = rollOf(spec);
      if (context.transaction) return writerVisibleAtCheckpoints(files, roll, directoryOf(path, extensions), context);
      const { subtask, parallelism, attemptId } = context;
      return writerVisibleAtEnd(
        files,
        roll,
        (sequence) => outputFile(partPath(path, extensions, subtask, sequence), attemptId),
        (count) => {
          if (isSingleFile(path, extensions)) return;
          removeParts(
            path,
            extensions[0],
            (of, sequence) => (subtask === 0 && of >= parallelism) || (of === subtask && sequence >= count),
          );
        },
      );
    },

    committer(spec, context) {
      return fileCommitter(directoryOf(pathOf(spec), extensions), context, partitionsOf(spec));
    },
  };

  function pathOf(spec: ConnectorSpec): string {
    const { path } = spec.options;
    if (typeof path === 'string' && path !== '') return path;
    throw new MillraceError('option/invalid', `${spec.label}: a ${kind} sink needs a path`);
  }
}

/** Errors: `plan/unsupported`. */
function checkPartitions(path: string, extensions: readonly string[], checkpointed: boolean): void {
  if (isSingleFile(path, extensions)) {
    throw new MillraceError('plan/unsupported', `${path} is one file, which has no partitions; name a directory`, {
      where: { path },
    });
  }
  if (checkpointed) return;
  throw new MillraceError(
    'plan/unsupported',
    `${path} has partitions, whose files become visible with checkpoints; run the job with a stateDir`,
    { where: { path } },
  );
}

function partitionedWriter(
  format: TextFormat,
  spec: ConnectorSpec,
  fields: Fields,
  context: WriterContext,
  partitions: Partitions,
  path: string,
) {
  const { memory, batchRows } = context;
  const inner = fieldsWithout(spec, fields, partitions);
  const files = textFiles(format, format.encoder(spec, inner, context, spec.options.changelog === true));
  const rows = partitioner(fields, partitions, memory, batchRows);
  const roll = rollOf(spec);
  return stagedWriter(
    files,
    path,
    context,
    (nowMs, create, ended) => new PartitionedFiles<StagedTarget>(files, roll, rows, nowMs, create, ended),
    partitions.commit !== null,
  );
}

function checkChanges(path: string, fields: Fields, updating: boolean, changelog: boolean): void {
  if (updating && !changelog) {
    throw new MillraceError(
      'plan/changelog',
      `${path} takes rows once and for all, but this result is corrected later; write its changes with { changelog: true }, or make it final (a window without early results, a bounded run)`,
    );
  }
  if (changelog && fields.some((field) => field.name === 'row_kind')) {
    throw new MillraceError(
      'plan/duplicate',
      `${path}: a column 'row_kind' stands where the kind of each row goes; rename it`,
    );
  }
}

function textFiles(format: TextFormat, encoder: TextEncoder): FileFormat {
  const buffer = new Uint8Array(bufferBytes);
  return {
    extension: format.extensions[0],
    begin(put) {
      const out: ByteSink = {
        buffer,
        at: 0,
        drain() {
          if (this.at > 0) put(buffer.subarray(0, this.at));
          this.at = 0;
        },
      };
      encoder.begin?.(out);
      return {
        append: (batch) => encoder.encode(batch, out),
        flush: () => out.drain(),
        end: () => out.drain(),
        get heldBytes() {
          return out.at;
        },
      };
    },
  };
}

const bufferBytes = 256 * 1024;
