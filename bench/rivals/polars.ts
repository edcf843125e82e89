/**
 * Polars as a rival. It takes its number of threads from its environment when it is loaded, so it runs in a child with
 * POLARS_MAX_THREADS = slots; data goes there once as an Arrow file, a turn is one message there and one back (about
 * 0.1 ms), its result stays in the child, and rows come back only to be compared.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Table, tableToIPC } from 'apache-arrow';
import type { Cell, Engine } from '../harness.ts';

/** Names a query of children/polars.ts. */
export async function polars(slots: number, query: string, data: Table | string): Promise<Engine> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const path = typeof data === 'string' ? data : join(folder, 'data.arrow');
  if (typeof data !== 'string') writeFileSync(path, tableToIPC(data, 'file'));
  const child = fork(fileURLToPath(new URL('../children/polars.js', import.meta.url)), {
    env: { ...process.env, POLARS_MAX_THREADS: String(slots) },
    serialization: 'advanced',
  });
  await ask(child, { kind: 'load', query, path });
  return {
    name: 'polars',
    slots,
    run: () => ask(child, { kind: 'run' }),
    rows: async () => (await ask(child, { kind: 'rows' })) as Cell[][],
    close() {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function ask(child: ChildProcess, message: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`the Polars child ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (answer: { value?: unknown; error?: string }) => {
      child.off('exit', ended);
      if (answer.error !== undefined) reject(new Error(`Polars: ${answer.error}`));
      else resolve(answer.value);
    });
    child.send(message);
  });
}
