// One process that wants a state directory. Arguments: directory, what to do, a number.
//   start   waits until the clock says so many milliseconds, opens, says `won <epoch>` or `lost <code>`, and holds it
//   zombie  opens, makes checkpoints, whose sink commits a file each into `<directory>-out`; before its n-th disk call from
//           then on it stops itself (SIGSTOP)

import { crc32 } from 'node:zlib';
import { fileCommitter } from '../../dist/connectors/files/committer.js';
import { finalName, stagingDirectory } from '../../dist/connectors/files/staging.js';
import { realDisk } from '../../dist/engine/disk.js';
import { openState } from '../../dist/engine/state-directory.js';
import { blockFile } from '../../dist/state/checkpoint/block-file.js';
import { partName } from '../../dist/state/checkpoint/directory.js';

const [directory, what, number] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${line}\n`);
const codeOf = (error) => error.code ?? String(error);

if (what === 'start') {
  while (Date.now() < Number(number));
  try {
    const state = openState(directory);
    say(`won ${state.epoch}`);
    process.stdin.on('end', () => process.exit(0)).resume();
  } catch (error) {
    say(`lost ${codeOf(error)}`);
    process.exit(0);
  }
} else {
  let armed = false;
  let calls = 0;
  const stop = () => {
    if (!armed || ++calls !== Number(number)) return;
    process.kill(process.pid, 'SIGSTOP');
  };
  const watched = (of) =>
    new Proxy(of, {
      get(target, name) {
        const member = target[name];
        if (typeof member !== 'function') return member;
        return (...given) => {
          stop();
          const answer = member.apply(target, given);
          return name === 'create' ? watched(answer) : answer;
        };
      },
    });
  const disk = watched(realDisk);
  const content = (checkpointId, files, handles) => ({
    checkpointId,
    jobName: 'job',
    jobKey: 'job',
    timestampMs: 0,
    plan: {},
    parallelism: 1,
    hashSeed: '1',
    finished: false,
    tasks: [],
    parts: files.map(({ name }, participant) => ({ participant, file: name })),
    sources: [],
    sinks: [{ operator: 'sink', handles }],
    files,
  });
  try {
    const state = openState(directory, { disk });
    armed = true;
    const out = `${directory}-out`;
    const sink = fileCommitter(out, { disk, jobKey: 'job' });
    sink.open(state.epoch, [], null);
    const prepared = (id) => {
      const staged = `1-0-${id}`;
      const bytes = new TextEncoder().encode(`row ${id}\n`);
      const file = disk.create(`${stagingDirectory(out, 'job', state.epoch)}/${staged}`);
      file.write(bytes);
      file.syncNow();
      file.close();
      const final = finalName('job', id, 0, 0, '.jsonl');
      return { staged, final, checkpoint: id, bytes: bytes.length, rows: 1, checksum: crc32(bytes) };
    };
    const checkpoint = async (id) => {
      const { staging, epoch } = state;
      const name = partName(id, epoch, 0);
      const place = {
        disk,
        directory: staging,
        name,
        checkpoint: id,
        epoch,
        participant: 0,
        buffer: new Uint8Array(2 ** 20),
      };
      const file = blockFile(place);
      file.append(6, 0, 0, 0, new Uint8Array(100).fill(id));
      const handles = [prepared(id)];
      state.commit(content(id, [await file.finish({ files: [], operators: [], tables: [] })], handles));
      sink.commit(handles);
    };
    for (const id of [1, 2, 3]) await checkpoint(state.lastCheckpointId + id);
    state.clean(2);
    say('done');
  } catch (error) {
    say(`ended ${codeOf(error)}`);
  }
}
