/**
 * The `jsonl` source: files of one JSON object a line. Options: `path` (file, directory or pattern), `schema` (Fields, or
 * null: found in the first lines), `onError` ('fail', the default; 'skip': bad lines are counted and left out; 'side': they
 * are rows of the side output), `watch`
 * (files/watch.ts: files that appear are read as they come), `follow` (follow.ts: one file that grows).
 *
 * Splits are ranges of bytes; a line belongs to the split in which it starts. A position is the byte where the next line
 * begins. Replayable as long as the files are not changed.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec, Json, SourceConnector, Split } from '../../core/ports/connector.ts';
import type { Fields } from '../../core/record/types.ts';
import { filesOf, isPattern, listFiles, readError } from '../files/paths.ts';
import { discoverFiles, watchNote, watchOf } from '../files/watch.ts';
import { declaredFields } from '../rows/fields.ts';
import { type FollowOptions, followOf } from './follow.ts';
import { inferJson } from './infer.ts';
import { jsonReader } from './reader.ts';
import { leavesOf } from './values.ts';

export const jsonlSource: SourceConnector = {
  kind: 'jsonl',

  async describe(spec) {
    const watched = watchOf(spec);
    const tailed = followOf(spec);
    const endless = watched !== null || tailed !== null;
    const path = pathOf(spec);
    if (tailed) checkOneFile(path);
    const declared = declaredFields(spec);
    const files = endless ? listFiles(path, extensions).files : filesOf(path, extensions);
    const fields = declared ?? inferFiles(files, spec, !endless);
    const bytes = files.reduce((sum, file) => sum + sizeOf(file), 0);
    const nested = fields.filter((field) => field.type.kind === 'ROW').map((field) => field.name);
    return {
      fields,
      bounded: !endless,
      estimatedRows: null,
      place: 'slot',
      notes: [
        ...(watched ? [watchNote(watched)] : []),
        ...(tailed ? [`followed as it grows: when the system tells, and every ${tailed.everyMs} ms`] : []),
        `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${bytes} bytes`,
        declared ? 'columns as declared' : `columns found in the first ${sampleRows} lines`,
        nested.length === 0
          ? 'lines are scanned by a kernel; those it refuses go through JSON.parse'
          : `lines go through JSON.parse, since ${nested.join(', ')} is nested`,
      ],
    };
  },

  async enumerate(spec, _request, parallelism) {
    const path = pathOf(spec);
    const tailed = followOf(spec);
    if (tailed) return [followSplit(path, tailed)];
    const files = filesOf(path, extensions).map((path) => ({ path, size: sizeOf(path) }));
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    const target = Math.max(splitBytesMin, Math.min(splitBytesMax, Math.ceil(bytes / (parallelism * splitsPerSlot))));
    return files.flatMap(({ path, size }) => splitsOf(path, size, target));
  },

  discover(spec, _request, context) {
    const watched = watchOf(spec);
    if (!watched) return null;
    return discoverFiles(pathOf(spec), extensions, watched, context, ({ path, bytes, inode }) =>
      splitsOf(path, bytes, splitBytesMax, inode),
    );
  },

  reader(spec, request, context) {
    const onError = onErrorOf(spec);
    return jsonReader(leavesOf(request.layout, declaredFields(spec)), request.layout, context, onError !== 'fail');
  },
};

const extensions = ['.jsonl', '.ndjson'];
const splitBytesMin = 1024 * 1024;
const splitBytesMax = 32 * 1024 * 1024;
const splitsPerSlot = 4;
const sampleRows = 1000;
const sampleBytes = 4 * 1024 * 1024;

function pathOf(spec: ConnectorSpec): string {
  const { path } = spec.options;
  if (typeof path === 'string' && path !== '') return path;
  throw new MillraceError('option/invalid', `${spec.label}: a jsonl source needs a path`);
}

function onErrorOf(spec: ConnectorSpec): 'fail' | 'skip' | 'side' {
  const onError = spec.options.onError ?? 'fail';
  if (onError === 'fail' || onError === 'skip' || onError === 'side') return onError;
  throw new MillraceError('option/invalid', `jsonl: onError is 'fail', 'skip' or 'side', not '${String(onError)}'`);
}

/** Errors: `option/invalid` for what cannot be followed. */
function checkOneFile(path: string): void {
  if (!isPattern(path) && !(statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false)) return;
  throw new MillraceError(
    'option/invalid',
    `follow() reads one growing file, and ${path} is none; watch() reads files that appear`,
    {
      where: { path },
    },
  );
}

function followSplit(path: string, follow: FollowOptions): Split {
  const options: Readonly<Record<string, Json>> = { path, from: 0, to: 0, size: 0, follow: { ...follow } };
  return { id: path, options, position: null, estimatedRows: null, minimum: null };
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw readError(error, path);
  }
}

/** `inode`: the file is read only while it is that one. */
function splitsOf(path: string, size: number, target: number, inode: string | null = null): readonly Split[] {
  const splits: Split[] = [];
  const count = Math.max(1, Math.round(size / target));
  for (let i = 0; i < count && size > 0; i++) {
    const from = Math.floor((size * i) / count);
    const to = Math.floor((size * (i + 1)) / count);
    const options: Readonly<Record<string, Json>> = { path, from, to, size, ...(inode === null ? {} : { inode }) };
    splits.push({
      id: `${path}:${from}${inode === null ? '' : `@${inode}`}`,
      options,
      position: null,
      estimatedRows: null,
      minimum: null,
    });
  }
  return splits;
}

/** Errors: `source/bad-record` for a sampled line that is no JSON object, unless bad lines are skipped. */
function inferFiles(files: readonly string[], spec: ConnectorSpec, ended: boolean): Fields {
  const objects: object[] = [];
  for (const path of files) {
    if (objects.length >= sampleRows) break;
    let byte = 0;
    for (const [i, line] of sampleLines(path, ended).entries()) {
      if (objects.length >= sampleRows) break;
      const bad = addSample(objects, line);
      if (bad !== null && onErrorOf(spec) === 'fail') {
        throw new MillraceError('source/bad-record', bad, { where: { path, position: `line ${i + 1}, byte ${byte}` } });
      }
      byte += Buffer.byteLength(line) + 1;
    }
  }
  const fields = inferJson(objects);
  if (fields.length > 0) return fields;
  throw new MillraceError(
    'source/unsupported',
    `${spec.label}: there are no records to find columns in; declare a schema`,
    { where: { path: files[0] ?? pathOf(spec) } },
  );
}

/** Adds the line's object; answers what is wrong with it, or null. */
function addSample(objects: object[], line: string): string | null {
  if (line.trim() === '') return null;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'expected an object on each line';
    objects.push(value);
    return null;
  } catch (error) {
    return `this is no JSON: ${(error as Error).message}`;
  }
}

/** Whole lines from the beginning of a file. `ended`: the last one may lack its end. */
function sampleLines(path: string, ended: boolean): readonly string[] {
  try {
    const fd = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(sampleBytes);
      let length = 0;
      for (let n = -1; n !== 0 && length < sampleBytes; length += n)
        n = readSync(fd, bytes, length, sampleBytes - length, length);
      const whole = ended && length < sampleBytes ? length : length === 0 ? 0 : bytes.lastIndexOf(0x0a, length - 1) + 1;
      const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
      return bytes.toString('utf8', start, whole).split('\n');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw readError(error, path);
  }
}
