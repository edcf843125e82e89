/** `millrace checkpoints list` and `verify`: what a state directory holds, and whether it is whole. */
import Table from 'cli-table3';
import { checkpointsOf, verifyCheckpoints } from '../engine/inspect.ts';
import { write } from './output.ts';
import { bytes } from './report.ts';

export async function listCommand(directory: string): Promise<void> {
  const found = checkpointsOf(directory);
  if (found.length === 0) {
    await write(`${directory} holds no checkpoint\n`);
    return;
  }
  const table = new Table({
    head: ['id', 'taken', 'job', 'slots', 'files', 'bytes', 'epoch', ''],
    style: { head: [], border: [] },
  });
  for (const { id, manifest, reason, bytes: size } of found) {
    if (manifest === null) table.push([id, '', '', '', '', '', '', `refused: ${reason}`]);
    else {
      const taken = new Date(manifest.timestampMs).toISOString();
      const { jobName, parallelism, files, epoch, finished } = manifest;
      table.push([
        id,
        taken,
        jobName,
        parallelism,
        files.length,
        bytes(size),
        epoch,
        finished ? 'the job had ended' : '',
      ]);
    }
  }
  await write(`${table.toString()}\n`);
}

/** Exit code 1 when one is damaged. */
export async function verifyCommand(directory: string): Promise<void> {
  const found = checkpointsOf(directory);
  const onTerminal = process.stderr.isTTY === true;
  let drawnMs = 0;
  const progress = (done: number, all: number): void => {
    if (!onTerminal || performance.now() - drawnMs < 100) return;
    drawnMs = performance.now();
    process.stderr.write(`\r\x1b[K${bytes(done)} of ${bytes(all)} read, ${Math.floor((100 * done) / all)} %`);
  };
  let damaged = 0;
  for (const { checkpoint, reason } of verifyCheckpoints(directory, found, progress)) {
    if (drawnMs > 0) process.stderr.write('\r\x1b[K');
    if (reason !== null) damaged++;
    await write(
      reason === null
        ? `${checkpoint.id}: whole, ${bytes(checkpoint.bytes)}\n`
        : `${checkpoint.id}: refused: ${reason}\n`,
    );
  }
  await write(
    found.length === 0
      ? `${directory} holds no checkpoint\n`
      : `${found.length - damaged} of ${found.length} checkpoints are whole\n`,
  );
  if (damaged > 0) process.exitCode = 1;
}
