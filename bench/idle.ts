/** What an unbounded job without data costs: CPU time and wake-ups of all threads of a child that only waits. */
import { fork } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Bench, CaseOptions } from './harness.ts';

export const idle: Bench = {
  name: 'idle',
  describe: 'CPU time and wake-ups of an unbounded job without data for 30 s',
  cases: [{ name: 'silent', rows: 3, slots: [2], bar: '< 0.15 s, 0 wake-ups', measure }],
};

async function measure({ smoke, slots }: CaseOptions) {
  const child = fork(fileURLToPath(new URL('./children/idle.js', import.meta.url)), [String(slots)]);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', (code) => reject(new Error(`the child ended with ${code}`)));
    });
    // V8 collects once more about eight seconds after the last work: that is the start's cost, not idleness's.
    await wait(smoke ? 1 : 20);
    const before = spent(child.pid!);
    await wait(smoke ? 1 : 30);
    const after = spent(child.pid!);
    const of = (name: string, value: number, unit: string) => ({
      engine: 'millrace' as const,
      name,
      value,
      unit,
      checked: true,
    });
    return [
      of('CPU time', Math.round(after.cpuNs - before.cpuNs) / 1e9, 's'),
      of('wake-ups', after.switches - before.switches, 'voluntary switches'),
    ];
  } finally {
    child.removeAllListeners('exit');
    child.kill();
  }
}

/** All threads' time on a processor and how often they went to sleep. Linux. */
function spent(pid: number): { cpuNs: number; switches: number } {
  let cpuNs = 0;
  let switches = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    cpuNs += Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0]);
    switches += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(readFileSync(`${folder}/status`, 'utf8'))![1]);
  }
  return { cpuNs, switches };
}

const wait = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
