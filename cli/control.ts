/** `millrace savepoint`, `stop` and `cancel`: words to the job that runs with a state directory, through its socket. */
import { resolve } from 'node:path';
import { askJob } from '../engine/control.ts';
import { write } from './output.ts';

interface StateDirOption {
  readonly stateDir: string;
}

export async function savepointCommand(directory: string, { stateDir }: StateDirOption): Promise<void> {
  const answer = await askJob(resolve(stateDir), { verb: 'savepoint', directory: resolve(directory) });
  await write(`${answer.path ?? resolve(directory)}\n`);
}

export async function stopCommand(
  options: StateDirOption & { readonly savepoint?: string; readonly drain?: boolean },
): Promise<void> {
  const { stateDir, savepoint, drain = false } = options;
  const answer = await askJob(resolve(stateDir), {
    verb: 'stop',
    drain,
    savepoint: savepoint === undefined ? null : resolve(savepoint),
  });
  if (answer.path !== null) await write(`${answer.path}\n`);
  else process.stderr.write(answer.id === null ? 'stopped\n' : `stopped with checkpoint ${answer.id}\n`);
}

export async function cancelCommand({ stateDir }: StateDirOption): Promise<void> {
  await askJob(resolve(stateDir), { verb: 'cancel' });
  process.stderr.write('cancelled; its last checkpoint stays\n');
}
