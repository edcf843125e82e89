/**
 * The `jsonl` sink: a JSON object a line. Options: `path` (ending in .jsonl or .ndjson: one file, written by one subtask;
 * otherwise a directory with a part file per subtask, which replaces the parts of an earlier run), `changelog` (rows
 * begin with their `row_kind`, and corrections are taken). Nothing is visible before the job ends in order.
 */

import { MillraceError } from '../../core/base/errors.ts';
import { slotsMax } from '../../core/base/limits.ts';
import type { ConnectorSpec, SinkConnector } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { isSingleFile, outputFile, partPath, removeLaterParts } from '../files/output.ts';
import { type ByteSink, rowEncoder } from './encode.ts';

const extensions = ['.jsonl', '.ndjson'] as const;

export const jsonlSink: SinkConnector = {
  kind: 'jsonl',

  describe(spec, fields, updating) {
    const path = pathOf(spec);
    const changelog = spec.options.changelog === true;
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
    layoutOf(fields);
    const single = isSingleFile(path, extensions);
    return { accepts: changelog ? 'all' : 'insert', parallelismMax: single ? 1 : slotsMax, place: 'slot' };
  },

  writer(spec, fields, context) {
    const path = pathOf(spec);
    const file = outputFile(partPath(path, extensions, context.subtask), context.attemptId);
    const encoder = rowEncoder(fields, context.memory, spec.options.changelog === true);
    const out: ByteSink = {
      buffer: new Uint8Array(bufferBytes),
      at: 0,
      drain() {
        file.write(this.buffer.subarray(0, this.at));
        this.at = 0;
      },
    };
    return {
      write(batch) {
        encoder.encode(batch, out);
        return true;
      },
      flush: () => out.drain(),
      finish() {
        out.drain();
        file.commit();
        if (context.subtask === 0 && !isSingleFile(path, extensions)) {
          removeLaterParts(path, extensions[0], context.parallelism);
        }
      },
      close: () => file.discard(),
      get bytes() {
        return file.bytes + out.at;
      },
    };
  },
};

const bufferBytes = 256 * 1024;

function pathOf(spec: ConnectorSpec): string {
  const { path } = spec.options;
  if (typeof path === 'string' && path !== '') return path;
  throw new MillraceError('option/invalid', `${spec.label}: a jsonl sink needs a path`);
}
