/** What a sink's directory holds, as rows by their texts, however the files are written. */
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import type { SimulatedDisk } from '../../testing/simulated-disk.ts';
import { type Expected, startMs } from './shapes.ts';

/** Null: it is what is expected. `complete` false: a part of it is enough. */
export async function wrong(disk: SimulatedDisk, expected: Expected, complete: boolean): Promise<string | null> {
  const rows = await committed(disk, expected);
  if (expected.check) return complete ? expected.check(rows) : null;
  if (!complete && expected.changelog) return null;
  const counts = new Map<string, number>();
  for (const row of expected.rows!) counts.set(row, (counts.get(row) ?? 0) - 1);
  for (const row of rows) {
    const { row_kind: kind = '+I', ...values } = row;
    const text = Object.values(values).map(plain).join(' ');
    counts.set(text, (counts.get(text) ?? 0) + (String(kind).startsWith('+') ? 1 : -1));
  }
  const off = [...counts].filter(([, count]) => (complete ? count !== 0 : count > 0));
  if (off.length === 0) return null;
  const shown = off
    .slice(0, 5)
    .map(([text, count]) => `${count > 0 ? `${count} too many` : `${-count} missing`}: ${text.slice(0, 200)}`);
  return `${expected.directory} is wrong in ${off.length} of ${counts.size} rows: ${shown.join('; ')}`;
}

/** Files that readers see, with their bytes. */
export function visible(disk: SimulatedDisk, expected: readonly Expected[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { directory } of expected) {
    if (disk.stat(directory) === null) continue;
    for (const name of disk.list(directory)) {
      const path = `${directory}/${name}`;
      if (!name.startsWith('.')) found.set(path, Buffer.from(disk.read(path)).toString('latin1'));
    }
  }
  return found;
}

async function committed(disk: SimulatedDisk, { directory, format }: Expected): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  if (disk.stat(directory) === null) return found;
  for (const name of disk.list(directory)) {
    if (name.startsWith('.')) continue;
    const bytes = disk.read(`${directory}/${name}`);
    if (format === 'jsonl') {
      const lines = new TextDecoder().decode(bytes).split('\n');
      for (const line of lines) if (line !== '') found.push(JSON.parse(line));
      continue;
    }
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    found.push(...(await parquetReadObjects({ file, compressors })));
  }
  return found;
}

function plain(value: unknown): string {
  if (value instanceof Date) return String(value.getTime() - startMs);
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)) return String(Date.parse(value) - startMs);
  return String(value);
}
